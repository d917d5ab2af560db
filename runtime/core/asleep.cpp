#include "runtime/core/asleep.hpp"

#include <sys/stat.h>

namespace heddle::detail {

bool (*other_threads_hook)() noexcept = nullptr;

namespace {

// A folder's link count is two and one for each folder in it (proc(5): one per thread). 0 where
// that cannot be told.
unsigned long count_threads() noexcept {
    struct stat info = {};
    return ::stat("/proc/self/task", &info) == 0 && info.st_nlink > 2 ? info.st_nlink - 2 : 0;
}

const unsigned long threads_before_main = count_threads();

}  // namespace

bool other_threads_exist() noexcept {
    if (other_threads_hook != nullptr) {
        return other_threads_hook();
    }
    const unsigned long now = count_threads();
    return now == 0 || threads_before_main == 0 || now > threads_before_main;
}

}  // namespace heddle::detail
