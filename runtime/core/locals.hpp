// The values of fiber_local: a table per flow that has any.
#pragma once

#include "runtime/core/fiber_block.hpp"

#include <heddle/detail/local.hpp>

#include <vector>

namespace heddle::detail {

/// Owner flow only.
struct local_table {
    std::vector<local_value*> places;  ///< by local_key::place; of any number that had the place
    local_value* newest = nullptr;
    int round = 0;  ///< of what is made now
};

[[gnu::cold]] void destroy_locals_of(fiber_block& self) noexcept;

/// Destroys the values of the running fiber, whose function is over.
inline void destroy_locals(fiber_block& self) noexcept {
    if ((self.flags & flag_has_locals) != 0) [[unlikely]] {
        destroy_locals_of(self);
    }
}

}  // namespace heddle::detail
