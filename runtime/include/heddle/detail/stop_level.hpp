// What stands between a fiber and the requests to stop that reach it: its levels.
#pragma once

#include <heddle/detail/abi.hpp>

#include <atomic>
#include <cstdint>
#include <limits>

#pragma GCC visibility push(default)

namespace heddle::detail {

/// stop_level::shield_until of a level that is no shield.
constexpr std::int64_t no_shield = std::numeric_limits<std::int64_t>::min();

/// One nested block of a fiber that changes what a request to stop means inside: the body of a
/// scope, in which the scope's cancellation counts too, or a shield, which keeps out what comes
/// from further outside. It lies in the frame of the block. Owner thread only, but for `asked`.
struct stop_level {
    stop_level* outer = nullptr;            ///< the next one outside; null at the outermost
    std::int64_t shield_until = no_shield;  ///< when the shield is over
    unsigned uncaught = 0;                  ///< exceptions that were unwinding when it began
    bool entered = false;                   ///< on a plain thread, nothing is
    bool stopped = false;                   ///< the scope has been cancelled
    bool stopped_outside = false;           ///< the fiber, or a level further outside, has been
    bool delivered = false;                 ///< a cancellation point has failed since `stopped`
    std::atomic<bool> asked = false;        ///< what `stopped` is about to become; any thread
};

/// Begins and ends a level of the calling fiber. The innermost ends first.
void enter_level(stop_level& level) noexcept;
void leave_level(stop_level& level) noexcept;

}  // namespace heddle::detail

#pragma GCC visibility pop
