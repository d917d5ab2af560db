// Whether an emulator stands between the test and the system.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

namespace heddle::test {

/// qemu in user mode takes any advice on memory and passes on what it knows; Linux refuses what
/// does not exist.
inline bool under_emulator() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* const memory = ::mmap(nullptr, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const bool takes_anything = ::madvise(memory, page, -1) == 0;
    ::munmap(memory, page);
    return takes_anything;
}

}  // namespace heddle::test
