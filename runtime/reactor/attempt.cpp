// One attempt at an operation: what the system answers when it is asked now. Shared by all that
// waits by asking again: the back-ends over readiness, plain threads, the tests' late back-end.
#include "runtime/reactor/reactor.hpp"

#include "runtime/base/system.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace heddle::detail {

namespace {

// Asks for one direction; 0, -EAGAIN or what is wrong.
std::int64_t check_readiness(int fd, bool reading) noexcept {
    const auto events = static_cast<short>(reading ? POLLIN : POLLOUT);
    pollfd question{.fd = fd, .events = events, .revents = 0};
    const int count = sys::poll(&question, 1, 0);
    if (count < 0) {
        return count;
    }
    if ((question.revents & POLLNVAL) != 0) {
        return -EBADF;
    }
    return question.revents != 0 ? 0 : -EAGAIN;
}

// A raw listener may be in blocking mode. (Another process may still be quicker than we are after
// the report; accept4 has no flag that would help.)
std::int64_t try_accept(const operation& what) noexcept {
    if (what.handle.id == 0) {
        const std::int64_t ready = check_readiness(what.handle.fd, true);
        if (ready < 0) {
            return ready;
        }
    }
    return sys::accept4(what.handle.fd, nullptr, nullptr);
}

std::int64_t try_connect(operation& what) noexcept {
    const int fd = what.handle.fd;
    if (!what.connecting) {
        const int result = sys::connect(fd, what.address, static_cast<socklen_t>(what.length));
        if (result == -EAGAIN) {
            // A Unix listener whose queue is full. Nothing will report that it has room again, so
            // this is no reason to wait; other systems call it refused too.
            return -ECONNREFUSED;
        }
        if (result != -EINPROGRESS) {
            return result;
        }
        what.connecting = true;
        return -EAGAIN;
    }
    const std::int64_t ready = check_readiness(fd, false);
    if (ready < 0) {
        return ready;
    }
    int error = 0;
    const int result = sys::getsockopt(fd, SOL_SOCKET, SO_ERROR, error);
    return result < 0 ? result : -error;
}

// read and write. An attached descriptor is non-blocking. A raw one may not be: sockets can be
// asked not to block call by call; the rest is then read only when ready, and written in pieces
// that a ready pipe takes without blocking (pipe(7): at least PIPE_BUF bytes).
std::int64_t try_transfer(const operation& what) noexcept {
    const int fd = what.handle.fd;
    const bool reading = what.kind == operation_kind::read;
    std::size_t length = what.length;
    if (what.handle.id == 0) {
        const std::int64_t as_socket = reading ? sys::recv(fd, what.buffer, length, MSG_DONTWAIT)
                                               : sys::send(fd, what.buffer, length, MSG_DONTWAIT);
        if (as_socket != -ENOTSOCK) {
            return as_socket;
        }
        const int flags = sys::get_flags(fd);
        if (flags < 0) {
            return flags;
        }
        if ((flags & O_NONBLOCK) == 0) {
            const std::int64_t ready = check_readiness(fd, reading);
            if (ready < 0) {
                return ready;
            }
            length = reading ? length : std::min<std::size_t>(length, PIPE_BUF);
        }
    }
    return reading ? sys::read(fd, what.buffer, length) : sys::write(fd, what.buffer, length);
}

}  // namespace

std::int64_t try_operation(operation& what) noexcept {
    const int fd = what.handle.fd;
    switch (what.kind) {
    case operation_kind::wait_readable:
    case operation_kind::wait_writable:
        return check_readiness(fd, reads(what.kind));
    case operation_kind::accept:
        return try_accept(what);
    case operation_kind::connect:
        return try_connect(what);
    case operation_kind::receive:
        return sys::recv(fd, what.buffer, what.length, MSG_DONTWAIT);
    case operation_kind::send:
        return sys::send(fd, what.buffer, what.length, MSG_DONTWAIT);
    case operation_kind::read:
    case operation_kind::write:
        return try_transfer(what);
    }
    return -EINVAL;
}

}  // namespace heddle::detail
