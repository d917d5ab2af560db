#include "runtime/core/asleep.hpp"

#include "runtime/base/system.hpp"

#include <algorithm>
#include <cstdint>

namespace heddle::detail {

std::atomic<std::uint64_t> waiting_for_other_threads = 0;
bool (*other_threads_hook)() noexcept = nullptr;

namespace {

// A folder's link count is two and one for each folder in it (proc(5): one per thread). 0 where
// that cannot be told.
std::int64_t count_threads() noexcept {
    return std::max<std::int64_t>(sys::count_links("/proc/self/task") - 2, 0);
}

const std::int64_t threads_before_main = count_threads();

}  // namespace

bool other_threads_exist() noexcept {
    if (other_threads_hook != nullptr) {
        return other_threads_hook();
    }
    const std::int64_t now = count_threads();
    return now == 0 || threads_before_main == 0 || now > threads_before_main;
}

}  // namespace heddle::detail
