// How much memory this process has.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <fstream>

namespace heddle::test {

/// Bytes of this process that are in memory.
inline std::size_t resident_bytes() {
    std::size_t total = 0;
    std::size_t resident = 0;
    std::ifstream("/proc/self/statm") >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace heddle::test
