// What the conformance suite stands on: the back-ends, a reactor under test, operations that bring
// their own buffers, and descriptors of all kinds.
#pragma once

#include "runtime/base/owning_fd.hpp"
#include "runtime/reactor/backends.hpp"
#include "runtime/reactor/reactor.hpp"
#include "tests/reactor/late_reactor.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::test {

using detail::descriptor_handle;
using detail::descriptor_traits;
using detail::operation;
using detail::operation_kind;
using detail::owning_fd;
using maker = std::unique_ptr<detail::reactor> (*)(detail::reactor::completion, void*);

// The back-ends, as types for TEST_CASE_TEMPLATE.
struct on_poll {
    static constexpr maker make = detail::make_poll_reactor;
};
struct on_epoll {
    static constexpr maker make = detail::make_epoll_reactor;
};
struct on_late {
    static constexpr maker make = make_late_reactor;
};

/// The list of all back-ends, and of those that wait for readiness and try again.
#define HEDDLE_BACKENDS on_poll, on_epoll, on_late
#define HEDDLE_READINESS_BACKENDS on_poll, on_epoll

/// A reactor under test. When it goes, it checks that nothing is pending and that no descriptor is
/// open that was not before: declare it first, so that it goes last.
class harness {
public:
    explicit harness(maker make);
    harness(const harness&) = delete;
    harness& operator=(const harness&) = delete;
    ~harness();

    detail::reactor& events() { return *events_; }
    /// Submits, and checks that an operation is pending exactly when it has not ended.
    bool submit(operation& what, bool may_wait = true);
    /// Polls until the operation has ended, and returns its result. Fails the test case when that
    /// takes too long.
    std::int64_t finish(operation& what);
    /// Submits and finishes.
    std::int64_t perform(operation& what);
    /// Polls without waiting, often enough for whatever can end to end.
    void settle();
    /// The operations that were completed, in order.
    std::vector<operation*> completed;

private:
    static void note(void* self, operation& ended);

    std::size_t descriptors_before_;
    std::unique_ptr<detail::reactor> events_;
};

/// An operation together with its buffer.
struct request : operation {
    /// One that transfers nothing, or receives at most `capacity` bytes.
    request(operation_kind what, descriptor_handle where, std::size_t capacity = 0,
            descriptor_traits of = {});
    /// One that sends.
    request(operation_kind what, descriptor_handle where, std::string_view content);

    /// What was received.
    std::string_view text() const;

private:
    std::string storage_;
};

/// A raw handle, and an attached one with a new id.
inline descriptor_handle raw(int fd) {
    return {fd, 0};
}
descriptor_handle attached(int fd);

/// Two connected descriptors; of a pipe `a` is the end to read from.
struct pair {
    owning_fd a, b;
};
pair make_pipe(bool blocking = false);
pair make_socket_pair(int type = SOCK_STREAM);
pair make_tcp_pair();

/// A listening socket, and where to connect to. `not_listening`: one that only keeps the port, on
/// which somebody else could listen otherwise.
constexpr int not_listening = -1;
struct listener {
    explicit listener(int backlog = 128);
    owning_fd fd;
    sockaddr_storage address{};
    socklen_t length = sizeof address;
};
/// A request that connects to it.
struct connect_request : operation {
    connect_request(descriptor_handle where, const listener& to);
};
owning_fd make_tcp_socket();

/// Writes to, or reads from, a descriptor behind the reactor's back. give() writes all of it.
void give(int fd, std::string_view content);
std::string take(int fd, std::size_t most = 65536);
/// Writes until the descriptor takes no more; returns how much went in.
std::size_t fill(int fd);
/// Waits until poll(2) reports all of `events`: the network, even the local one, is not immediate.
void await(int fd, short events);
/// Waits until so many bytes can be read.
void await_bytes(int fd, int count);

std::size_t open_descriptors();

}  // namespace heddle::test
