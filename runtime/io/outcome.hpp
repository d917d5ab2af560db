// How the calls of io/ carry out an operation, and what its end becomes.
#pragma once

#include "runtime/core/descriptor_wait.hpp"

#include <heddle/io.hpp>

#include <string>

namespace heddle::detail {

// Below all error numbers (Linux has none beyond 4095).
constexpr io_result end_of_stream = -5000;
constexpr io_result given_up = -6000;  ///< less the wait_status

constexpr bool is_cancelled(io_result failure) noexcept {
    return failure == given_up - static_cast<io_result>(wait_status::cancelled);
}

constexpr bool is_system_error(io_result failure) noexcept {
    return failure > end_of_stream;
}

/// Describes an operation that transfers bytes; it is the caller's to carry out.
inline void prepare_transfer(operation& what, operation_kind kind, descriptor_handle handle,
                             const void* buffer, std::size_t length) noexcept {
    what.kind = kind;
    what.handle = handle;
    what.buffer = const_cast<void*>(buffer);  // only transfers to the system have const bytes
    what.length = length;
}

/// Carries out an operation once.
inline io_result carry_out(operation& what, std::int64_t deadline_ns) noexcept {
    const operation_outcome outcome = perform(what, deadline_ns);
    if (outcome.status != wait_status::event) [[unlikely]] {
        return given_up - static_cast<io_result>(outcome.status);
    }
    return outcome.result;
}

/// Repeats a transfer until its whole buffer, which is not empty, is done.
io_result carry_out_whole(operation& what, std::int64_t deadline_ns) noexcept;

/// Throws what a negative result means: heddle::cancelled, or a std::system_error that says
/// "heddle: `call` `object`".
[[noreturn]] void throw_io_error(io_result failure, const char* call, const std::string& object);

}  // namespace heddle::detail
