#include "runtime/core/wait_list.hpp"

#include "runtime/base/system.hpp"

namespace heddle::detail {

// The holder is about to let go, unless the system has taken its processor away.
void wait_for_spin_lock(std::atomic<bool>& held) noexcept {
    constexpr int looks = 100;
    constexpr std::int64_t nap_ns = 50'000;
    for (;;) {
        for (int look = 0; look < looks; ++look) {
            if (!held.load(std::memory_order_relaxed) &&
                !held.exchange(true, std::memory_order_acquire)) {  // pairs with unlock
                return;
            }
        }
        sys::nap(nap_ns);
    }
}

}  // namespace heddle::detail
