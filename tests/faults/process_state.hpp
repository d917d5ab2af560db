// What a run of heddle must leave as it found it.
#pragma once

#include <cstddef>
#include <string>

namespace heddle::test {

struct process_state {
    std::size_t descriptors = 0;
    std::size_t mapped_bytes = 0;  ///< of anonymous mappings; 0 where a tool has its own
    long blocks = 0;               ///< of operator new

    static process_state now();

    /// What is there that was not there before; empty where there is nothing.
    std::string beyond(const process_state& before) const;
};

}  // namespace heddle::test
