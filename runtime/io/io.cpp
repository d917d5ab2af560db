#include "runtime/io/outcome.hpp"

#include "runtime/base/limits.hpp"

#include <heddle/error.hpp>

#include <cerrno>

namespace heddle::detail {
namespace {

// The calls that transfer nothing have no buffer.
io_result wait_ready(operation_kind kind, int fd, std::int64_t deadline_ns) noexcept {
    operation what;
    what.kind = kind;
    what.handle.fd = fd;
    return carry_out(what, deadline_ns);
}

}  // namespace

std::error_code to_error_code(io_result failure) noexcept {
    if (failure == end_of_stream) {
        return errc::end_of_stream;
    }
    if (failure <= given_up) {
        return to_error_code(static_cast<wait_status>(given_up - failure));
    }
    return {static_cast<int>(-failure), std::system_category()};
}

void throw_io_error(io_result failure, const char* call, const std::string& object) {
    std::string what = std::string("heddle: ") + call + ' ' + object;
    if (is_cancelled(failure)) {
        throw_wait_status(wait_status::cancelled, what.c_str());
    }
    if (is_system_error(failure)) {
        what += limit_note(static_cast<int>(-failure));
    }
    throw std::system_error(to_error_code(failure), what);
}

void throw_descriptor_error(io_result failure, const char* call, int fd) {
    throw_io_error(failure, call, "descriptor " + std::to_string(fd));
}

io_result carry_out_whole(operation& what, std::int64_t deadline_ns) noexcept {
    for (bool begun = false;; begun = true) {
        const io_result count = carry_out(what, deadline_ns);
        if (count < 0) [[unlikely]] {
            // A socket of heddle's that was open for the step before was closed since.
            const bool closed_meanwhile = count == -EBADF && begun && what.handle.id != 0;
            return closed_meanwhile ? -ECANCELED : count;
        }
        if (count == 0) [[unlikely]] {
            return reads(what.kind) ? end_of_stream : -EIO;
        }
        const auto done = static_cast<std::size_t>(count);
        if (done == what.length) {
            return 0;
        }
        what.buffer = static_cast<char*>(what.buffer) + done;
        what.length -= done;
    }
}

io_result wait_readable(int fd, std::int64_t deadline_ns) noexcept {
    return wait_ready(operation_kind::wait_readable, fd, deadline_ns);
}

io_result wait_writable(int fd, std::int64_t deadline_ns) noexcept {
    return wait_ready(operation_kind::wait_writable, fd, deadline_ns);
}

io_result read(int fd, mutable_buffer into, std::int64_t deadline_ns) noexcept {
    if (into.empty()) {
        return 0;
    }
    operation what;
    prepare_transfer(what, operation_kind::read, {.fd = fd}, into.data(), into.size());
    return carry_out(what, deadline_ns);
}

io_result write(int fd, const_buffer from, std::int64_t deadline_ns) noexcept {
    if (from.empty()) {
        return 0;
    }
    operation what;
    prepare_transfer(what, operation_kind::write, {.fd = fd}, from.data(), from.size());
    return carry_out(what, deadline_ns);
}

io_result write_all(int fd, const_buffer from, std::int64_t deadline_ns) noexcept {
    if (from.empty()) {
        return 0;
    }
    operation what;
    prepare_transfer(what, operation_kind::write, {.fd = fd}, from.data(), from.size());
    return carry_out_whole(what, deadline_ns);
}

}  // namespace heddle::detail
