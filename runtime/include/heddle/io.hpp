// Reading, writing and waiting on descriptors that the program owns: pipes, terminals, anything
// with a number. heddle's own sockets are in socket.hpp.
//
// A descriptor may be in blocking or non-blocking mode; heddle never changes that, and no call
// here blocks the thread while a fiber runs on it, except that the system itself makes regular
// files wait. It may be closed at any time: no call leaves anything behind that would confuse
// another descriptor of the same number. (A descriptor that is closed while a fiber waits on it is
// never reported by some systems; give such a wait a deadline.)
#pragma once

#include <heddle/buffer.hpp>
#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/time.hpp>

#include <cstddef>
#include <cstdint>
#include <system_error>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

/// How a call on a descriptor ended, in one register, so that one test decides: from 0 up what the
/// call gives; else a negative error number of the system, or below all of those how the wait was
/// given up.
using io_result = std::int64_t;

/// The same as an error code; only for a negative result.
std::error_code to_error_code(io_result failure) noexcept;

inline io_result checked(io_result result, std::error_code& ec) noexcept {
    if (result < 0) [[unlikely]] {
        ec = to_error_code(result);
        return 0;
    }
    ec.clear();
    return result;
}

// The calls on raw descriptors, given up at `deadline_ns`.
io_result wait_readable(int fd, std::int64_t deadline_ns) noexcept;
io_result wait_writable(int fd, std::int64_t deadline_ns) noexcept;
io_result read(int fd, mutable_buffer into, std::int64_t deadline_ns) noexcept;
io_result write(int fd, const_buffer from, std::int64_t deadline_ns) noexcept;
io_result write_all(int fd, const_buffer from, std::int64_t deadline_ns) noexcept;

/// Throws what a negative result of `call` ("read from") means.
[[noreturn]] void throw_descriptor_error(io_result failure, const char* call, int fd);

}  // namespace detail

inline namespace v1 {

/// Waits until `fd` can be read without blocking: there are bytes, or a connection to accept, or
/// the end or an error is there to be read. Another reader may be quicker afterwards.
///
/// Blocks the calling fiber, never its thread (a plain thread blocks itself).
/// Cancellation: throws heddle::cancelled.
/// Errors: throws std::system_error with timed_out once `until` has passed, bad_file_descriptor
/// where `fd` is not open. The forms with `ec` report them, and cancellation as operation_canceled.
HEDDLE_THROWS inline void wait_readable(int fd, deadline until = deadline::never()) {
    const detail::io_result result = detail::wait_readable(fd, until.nanoseconds());
    if (result < 0) [[unlikely]] {
        detail::throw_descriptor_error(result, "wait to read from", fd);
    }
}
inline void wait_readable(int fd, deadline until, std::error_code& ec) noexcept {
    detail::checked(detail::wait_readable(fd, until.nanoseconds()), ec);
}
inline void wait_readable(int fd, std::error_code& ec) noexcept {
    wait_readable(fd, deadline::never(), ec);
}

/// Waits until `fd` can be written without blocking, or a write would fail at once; otherwise as
/// wait_readable.
HEDDLE_THROWS inline void wait_writable(int fd, deadline until = deadline::never()) {
    const detail::io_result result = detail::wait_writable(fd, until.nanoseconds());
    if (result < 0) [[unlikely]] {
        detail::throw_descriptor_error(result, "wait to write to", fd);
    }
}
inline void wait_writable(int fd, deadline until, std::error_code& ec) noexcept {
    detail::checked(detail::wait_writable(fd, until.nanoseconds()), ec);
}
inline void wait_writable(int fd, std::error_code& ec) noexcept {
    wait_writable(fd, deadline::never(), ec);
}

/// Reads into the buffer what there is, at least one byte, and returns how many; 0 at the end of
/// the stream. With an empty buffer it returns 0 at once, whatever `fd` is.
///
/// Blocks the calling fiber, never its thread (a plain thread blocks itself).
/// Cancellation: throws heddle::cancelled; nothing has been read.
/// Errors: throws std::system_error with timed_out once `until` has passed (nothing has been
/// read), or what the system says. The forms with `ec` report them, and cancellation as
/// operation_canceled, and return 0.
/// Source: read(2).
HEDDLE_THROWS inline std::size_t read(int fd, mutable_buffer into,
                                      deadline until = deadline::never()) {
    const detail::io_result result = detail::read(fd, into, until.nanoseconds());
    if (result < 0) [[unlikely]] {
        detail::throw_descriptor_error(result, "read from", fd);
    }
    return static_cast<std::size_t>(result);
}
inline std::size_t read(int fd, mutable_buffer into, deadline until, std::error_code& ec) noexcept {
    return static_cast<std::size_t>(
        detail::checked(detail::read(fd, into, until.nanoseconds()), ec));
}
inline std::size_t read(int fd, mutable_buffer into, std::error_code& ec) noexcept {
    return read(fd, into, deadline::never(), ec);
}

/// Writes what the system takes of the buffer, at least one byte, and returns how many. An empty
/// buffer returns 0 at once, whatever `fd` is.
///
/// Blocks the calling fiber, never its thread (a plain thread blocks itself).
/// Cancellation: throws heddle::cancelled; nothing has been written.
/// Errors: throws std::system_error with timed_out once `until` has passed (nothing has been
/// written), broken_pipe where nobody reads any more (never SIGPIPE), or what the system says. The
/// forms with `ec` report them, and cancellation as operation_canceled, and return 0.
/// Source: write(2).
HEDDLE_THROWS inline std::size_t write(int fd, const_buffer from,
                                       deadline until = deadline::never()) {
    const detail::io_result result = detail::write(fd, from, until.nanoseconds());
    if (result < 0) [[unlikely]] {
        detail::throw_descriptor_error(result, "write to", fd);
    }
    return static_cast<std::size_t>(result);
}
inline std::size_t write(int fd, const_buffer from, deadline until, std::error_code& ec) noexcept {
    return static_cast<std::size_t>(
        detail::checked(detail::write(fd, from, until.nanoseconds()), ec));
}
inline std::size_t write(int fd, const_buffer from, std::error_code& ec) noexcept {
    return write(fd, from, deadline::never(), ec);
}

/// Writes the whole buffer, in as many steps as it takes; otherwise as write. After a failure or a
/// cancellation some of the bytes may have been written: where one must know how many, use write.
/// Other writers of the same descriptor may come between the steps.
HEDDLE_THROWS inline void write_all(int fd, const_buffer from, deadline until = deadline::never()) {
    const detail::io_result result = detail::write_all(fd, from, until.nanoseconds());
    if (result < 0) [[unlikely]] {
        detail::throw_descriptor_error(result, "write to", fd);
    }
}
inline void write_all(int fd, const_buffer from, deadline until, std::error_code& ec) noexcept {
    detail::checked(detail::write_all(fd, from, until.nanoseconds()), ec);
}
inline void write_all(int fd, const_buffer from, std::error_code& ec) noexcept {
    write_all(fd, from, deadline::never(), ec);
}

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
