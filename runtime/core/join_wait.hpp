// Waiting for the end of a fiber, among other things: what a select needs of a join.
#pragma once

#include "runtime/core/fiber_block.hpp"

#include <cstdint>

namespace heddle::detail {

/// Leaves the wait (waiter, ticket) with the target, whose end will claim it; false if the target
/// has ended already. One at a time may do so, as with a handle's join.
bool leave_joiner(fiber_block& target, fiber_block& waiter, std::uint64_t ticket) noexcept;

/// Takes it back; false if the target has ended meanwhile.
bool take_back_joiner(fiber_block& target) noexcept;

bool has_ended(const fiber_block& target) noexcept;

}  // namespace heddle::detail
