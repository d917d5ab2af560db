// How much memory this process has.
#pragma once

#include "runtime/base/sanitizer.hpp"
#include "tests/support/emulator.hpp"

#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <cstddef>
#include <fstream>

namespace heddle::test {

/// Bytes of this process that are in memory and its own. Pages of files, which are code for the
/// most part, come and go as the system likes.
inline std::size_t resident_bytes() {
    std::size_t total = 0;
    std::size_t resident = 0;
    std::size_t of_files = 0;
    std::ifstream("/proc/self/statm") >> total >> resident >> of_files;
    return (resident - of_files) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// From now on a large block that is freed leaves the process at once. glibc begins to keep such
/// after some have been freed, for the next to come.
inline void give_large_blocks_back() {
#ifdef __GLIBC__
    ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

/// How much of it may come and go without a reason. The tools keep books of their own, and an
/// emulator the code that it translates.
inline std::size_t resident_slack() {
    const bool tool = detail::switches_are_watched() || detail::under_valgrind();
    return (tool ? std::size_t{64} : under_emulator() ? std::size_t{16} : std::size_t{1}) << 20;
}

/// How much a tool keeps of every fiber that there ever was: the thread sanitizer its name, as it
/// were (0.3 KiB, clang 14), which is far less than a fiber that was not given back.
inline std::size_t kept_bytes(std::size_t fibers) {
    return detail::has_race_tool() ? fibers * 1024 : 0;
}

}  // namespace heddle::test
