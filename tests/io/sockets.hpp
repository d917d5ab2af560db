// Peers for the tests of runtime/io: plain sockets and pipes, driven without heddle, and pairs of
// heddle's streams. Everything is on the loopback device, on ports that the system chooses.
#pragma once

#include "runtime/base/owning_fd.hpp"
#include "runtime/base/system.hpp"
#include "tests/core/helpers.hpp"

#include <heddle/heddle.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>

namespace heddle::test {

using detail::owning_fd;

/// A port of the loopback device, chosen by the system.
address any_port();

/// Whether the loopback device has IPv6 here.
bool has_ipv6();

/// A socket that has connected to `to` and that blocks. The listener may hear of it a little later.
owning_fd connect_plainly(const address& to);

/// One of heddle's streams, and a plain non-blocking socket at its other end.
struct connection {
    tcp_stream here;
    owning_fd there;
};
connection connect_pair();

/// Gives a socket the smallest buffers that the system allows, so that it is soon full.
void shrink_buffers(int fd);

/// Two of heddle's streams, connected to each other.
struct stream_pair {
    tcp_stream a;
    tcp_stream b;
};
stream_pair connect_streams();

struct pipe_ends {
    owning_fd reading;
    owning_fd writing;
};
/// `flags` as of pipe2(2).
pipe_ends make_pipe(int flags);

/// More bytes than the system takes of a stream while nobody reads at its other end.
std::string more_than_fits();

/// Hands `bytes` to the system, which must take them all.
void put(int fd, std::string_view bytes);

/// Waits, without heddle, until there is something to read or accept: the network, even the local
/// one, is not immediate.
void await_readable(int fd);

/// Takes what there is and waits for nothing.
std::string take(int fd);

/// Writes until the system takes no more, and goes on taking none; returns how many bytes it took.
std::size_t fill(int fd);

/// Empties `from` until the other end, `to`, can be written again.
void drain(int from, int to);

/// Makes the close of a TCP socket a reset.
void reset_on_close(int fd);

/// `size` printable bytes that differ from their neighbours. Long ones are compared in parentheses,
/// so that a failure does not print them.
std::string pattern(std::size_t size);

/// Lets `f` stand in the door to the system, as sys::intercept says, while it lives.
class interception {
public:
    using function = std::int64_t (*)(detail::sys::call which, int fd);
    explicit interception(function f) noexcept { detail::sys::intercept = f; }
    interception(const interception&) = delete;
    interception& operator=(const interception&) = delete;
    ~interception() { detail::sys::intercept = nullptr; }
};

/// How a call of heddle's ended. doctest prints it by the function that it wants so named.
enum class outcome {
    done,
    timed_out,
    cancelled,           ///< by heddle::cancelled
    operation_canceled,  ///< by a std::system_error, or the code
    bad_descriptor,
    another_error,
};
doctest::String toString(outcome how);

outcome to_outcome(const std::error_code& ec);

template <class F>
outcome outcome_of(F&& f) {
    try {
        f();
    } catch (const cancelled&) {
        return outcome::cancelled;
    } catch (const std::system_error& error) {
        return to_outcome(error.code());
    }
    return outcome::done;
}

/// The text and the code of the std::system_error that leaves `f`; empty where none does.
struct caught_error {
    std::string text;
    std::error_code code;
};
template <class F>
caught_error error_of(F&& f) {
    try {
        f();
    } catch (const std::system_error& error) {
        return {error.what(), error.code()};
    }
    return {};
}

}  // namespace heddle::test
