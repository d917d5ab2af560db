// How a wait ended, as it travels in a register from whoever ended it to the inline code that
// turns it into a return, an exception or an error code.
#pragma once

#include <heddle/detail/abi.hpp>

#include <cstdint>
#include <system_error>

#pragma GCC visibility push(default)

namespace heddle::detail {

/// The outcome of a wait. Zero is what callers hope for, so that one test decides.
enum class wait_status : std::intptr_t {
    event = 0,  ///< what was waited for has happened
    timed_out,  ///< the deadline passed first
    cancelled,  ///< the fiber was asked to stop first
    refused,    ///< nothing was waited for: the call is an error of its caller's
    closed,     ///< what was waited for has been closed
    again,      ///< something has happened that is to be looked at: the wait is not over
    admitted,   ///< there is room now, which is kept for the one that waited
};

/// Throws what a failed wait means: heddle::cancelled, or std::system_error(timed_out) with
/// `what` as its explanation.
[[noreturn]] void throw_wait_status(wait_status status, const char* what);

/// The same as an error code; clear for wait_status::event.
std::error_code to_error_code(wait_status status) noexcept;

/// Throws std::system_error(code, what), or heddle::cancelled when `code` says
/// operation_canceled because the calling fiber was asked to stop.
[[noreturn]] void throw_error(std::error_code code, const char* what);

}  // namespace heddle::detail

#pragma GCC visibility pop
