#include <heddle/once.hpp>
#include <heddle/time.hpp>

#include "runtime/sync/ownership.hpp"

namespace heddle::detail {

bool once_begin(once_state& state) noexcept {
    if (!mutex_take_free(state.running)) {
        if (mutex_is_own(state.running)) [[unlikely]] {
            report_second_lock("a once flag");
        }
        mutex_lock_until(state.running, deadline::never().nanoseconds());
    }
    if (!state.done.load(std::memory_order_relaxed)) {
        return true;
    }
    mutex_let_go(state.running);
    return false;
}

void once_end(once_state& state, bool done) noexcept {
    state.done.store(done, std::memory_order_release);  // pairs with the load in once_is_done
    mutex_let_go(state.running);
}

}  // namespace heddle::detail
