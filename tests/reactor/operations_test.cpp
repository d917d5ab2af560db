// Transfers: what each kind of operation does, and what its result says.
#include "tests/reactor/harness.hpp"

#include "runtime/base/random.hpp"
#include "runtime/base/system.hpp"
#include "tests/support/refused.hpp"
#include "tests/support/report.hpp"

#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>

namespace heddle::test {
namespace {

namespace sys = detail::sys;

TEST_CASE_TEMPLATE("what is sent on one socket is received on the other", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const pair& ends : {make_socket_pair(), make_tcp_pair()}) {
        const descriptor_handle near = attached(ends.a.get());
        const descriptor_handle far = attached(ends.b.get());
        for (const std::string_view word : {"one", "two", "three"}) {
            request receive(operation_kind::receive, far, 100);
            CHECK_FALSE(under_test.submit(receive));
            request send(operation_kind::send, near, word);
            CHECK(under_test.perform(send) == static_cast<std::int64_t>(word.size()));
            CHECK(under_test.finish(receive) == static_cast<std::int64_t>(word.size()));
            CHECK(receive.text() == word);
        }
    }
}

TEST_CASE_TEMPLATE("datagrams keep their bounds, also an empty one", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_socket_pair(SOCK_DGRAM);
    const descriptor_handle far = attached(ends.b.get());
    request receives[3] = {{operation_kind::receive, far, 100},
                           {operation_kind::receive, far, 100},
                           {operation_kind::receive, far, 2}};
    for (request& one : receives) {
        under_test.submit(one);
    }
    for (const std::string_view word : {"first", "", "third"}) {
        request send(operation_kind::send, attached(ends.a.get()), word);
        CHECK(under_test.perform(send) == static_cast<std::int64_t>(word.size()));
    }
    CHECK(under_test.finish(receives[0]) == 5);
    CHECK(under_test.finish(receives[1]) == 0);
    CHECK(under_test.finish(receives[2]) == 2);
    CHECK(receives[2].text() == "th");
}

TEST_CASE_TEMPLATE("what has been sent is received before the end of the stream, which stays",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool drains : {false, true}) {
        pair ends = make_tcp_pair();
        const descriptor_handle here = attached(ends.a.get());
        const descriptor_traits traits = {.short_receive_drains = drains};
        give(ends.b.get(), "the last words");
        ends.b.reset();
        request words(operation_kind::receive, here, 100, traits);
        CHECK(under_test.perform(words) == 14);
        for (int i = 0; i < 2; ++i) {
            request end(operation_kind::receive, here, 100, traits);
            CHECK(under_test.perform(end) == 0);
        }
        under_test.events().detach(here);
    }
}

TEST_CASE_TEMPLATE("sending waits until there is room", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const pair& ends : {make_socket_pair(), make_tcp_pair()}) {
        std::size_t inside = fill(ends.a.get());
        request send(operation_kind::send, attached(ends.a.get()), "more");
        CHECK_FALSE(under_test.submit(send));
        under_test.settle();
        CHECK(send.pending);
        while (inside > 0) {
            await(ends.b.get(), POLLIN);
            inside -= take(ends.b.get(), inside).size();
        }
        CHECK(under_test.finish(send) == 4);
        await_bytes(ends.b.get(), 4);
        CHECK(take(ends.b.get()) == "more");
    }
}

TEST_CASE_TEMPLATE("sending to a peer that has gone is an error and no signal", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool raw_handle : {false, true}) {
        pair ends = make_socket_pair();
        ends.b.reset();
        const descriptor_handle handle = raw_handle ? raw(ends.a.get()) : attached(ends.a.get());
        for (const operation_kind kind : {operation_kind::send, operation_kind::write}) {
            request send(kind, handle, "anybody?");
            CHECK(under_test.perform(send) == -EPIPE);
        }
        under_test.events().detach(handle);
    }
}

TEST_CASE_TEMPLATE("accepting gives a new descriptor that does not block and is closed on exec",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const listener here;
    for (const bool raw_handle : {false, true}) {
        const descriptor_handle handle = raw_handle ? raw(here.fd.get()) : attached(here.fd.get());
        request accept(operation_kind::accept, handle);
        CHECK_FALSE(under_test.submit(accept));
        under_test.settle();
        CHECK(accept.pending);
        const owning_fd client = make_tcp_socket();
        connect_request connect(attached(client.get()), here);
        CHECK(under_test.perform(connect) == 0);
        const owning_fd server(static_cast<int>(under_test.finish(accept)));
        REQUIRE(server);
        CHECK((sys::get_flags(server.get()) & O_NONBLOCK) != 0);
        CHECK(::fcntl(server.get(), F_GETFD) == FD_CLOEXEC);
        give(client.get(), "hello");
        await_bytes(server.get(), 5);
        CHECK(take(server.get()) == "hello");
        under_test.events().detach(connect.handle);
    }
}

TEST_CASE_TEMPLATE("one report of many connections serves many who accept", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const listener here;
    const descriptor_handle handle = attached(here.fd.get());
    constexpr int count = 10;
    std::vector<owning_fd> clients;
    for (int i = 0; i < count; ++i) {
        clients.push_back(make_tcp_socket());
        sys::connect(clients.back().get(), reinterpret_cast<const sockaddr*>(&here.address),
                     here.length);
        await(clients.back().get(), POLLOUT);
    }
    std::vector<owning_fd> servers;
    for (int i = 0; i < count; ++i) {
        request accept(operation_kind::accept, handle);
        servers.emplace_back(static_cast<int>(under_test.perform(accept)));
        CHECK(servers.back());
    }
    request accept(operation_kind::accept, handle);
    CHECK(under_test.submit(accept, false));
    CHECK(accept.result == -EAGAIN);
}

TEST_CASE_TEMPLATE("accepting from a raw listener that blocks does not block", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const listener here;
    sys::set_flags(here.fd.get(), 0);
    request accept(operation_kind::accept, raw(here.fd.get()));
    CHECK(under_test.submit(accept, false));
    CHECK(accept.result == -EAGAIN);
    CHECK_FALSE(under_test.submit(accept));
    under_test.settle();
    CHECK(accept.pending);
    const owning_fd client = make_tcp_socket();
    connect_request connect(attached(client.get()), here);
    CHECK(under_test.perform(connect) == 0);
    CHECK(owning_fd(static_cast<int>(under_test.finish(accept))));
}

TEST_CASE_TEMPLATE("connecting to where nobody listens is refused", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const listener nobody(not_listening);
    const owning_fd client = make_tcp_socket();
    connect_request connect(attached(client.get()), nobody);
    CHECK(under_test.perform(connect) == -refused().value());
    under_test.events().detach(connect.handle);
}

TEST_CASE_TEMPLATE("a connect that the peer does not answer stays under way until it is cancelled",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const listener busy(0);
    const owning_fd first = make_tcp_socket();
    connect_request answered(attached(first.get()), busy);
    CHECK(under_test.perform(answered) == 0);
    await(busy.fd.get(), POLLIN);
    // The queue is full: the system drops what else comes, as a silent peer would.
    const owning_fd second = make_tcp_socket();
    connect_request connect(attached(second.get()), busy);
    for (int i = 0; i < 3; ++i) {
        CHECK(under_test.submit(connect, false));
        CHECK(connect.result == -EAGAIN);
    }
    CHECK_FALSE(under_test.submit(connect));
    under_test.settle();
    CHECK(connect.pending);
    under_test.events().cancel(connect);
    CHECK(under_test.finish(connect) == -ECANCELED);
}

struct unix_listener {
    explicit unix_listener(int backlog) : fd(sys::socket(AF_UNIX, SOCK_STREAM)) {
        address.sun_family = AF_UNIX;
        const sa_family_t family_only = AF_UNIX;  // the system then invents an abstract name
        REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&family_only),
                       sizeof family_only) == 0);
        REQUIRE(sys::listen(fd.get(), backlog) == 0);
        sys::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
    }
    owning_fd fd;
    sockaddr_un address{};
    socklen_t length = sizeof address;
};

struct unix_connect : operation {
    unix_connect(const owning_fd& from, const unix_listener& to) {
        kind = operation_kind::connect;
        handle = attached(from.get());
        address = reinterpret_cast<const sockaddr*>(&to.address);
        length = to.length;
    }
};

TEST_CASE_TEMPLATE("a unix listener whose queue is full refuses, and does not hang or spin",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const unix_listener here(0);
    const owning_fd first(sys::socket(AF_UNIX, SOCK_STREAM));
    const owning_fd second(sys::socket(AF_UNIX, SOCK_STREAM));
    unix_connect connect_first(first, here);
    CHECK(under_test.perform(connect_first) == 0);
    unix_connect connect_second(second, here);
    CHECK(under_test.perform(connect_second) == -ECONNREFUSED);
    CHECK(owning_fd(sys::accept4(here.fd.get(), nullptr, nullptr)));
    unix_connect again(second, here);
    CHECK(under_test.perform(again) == 0);
}

TEST_CASE_TEMPLATE("a pipe is read and written, to the end of file and to the broken pipe", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool blocking : {false, true}) {
        for (const bool by_id : {false, true}) {
            if (blocking && by_id) {
                continue;  // attached descriptors do not block
            }
            pair ends = make_pipe(blocking);
            const descriptor_handle out = by_id ? attached(ends.a.get()) : raw(ends.a.get());
            const descriptor_handle in = by_id ? attached(ends.b.get()) : raw(ends.b.get());
            request read(operation_kind::read, out, 100);
            CHECK_FALSE(under_test.submit(read));
            under_test.settle();
            CHECK(read.pending);
            request write(operation_kind::write, in, "through the pipe");
            CHECK(under_test.perform(write) == 16);
            CHECK(under_test.finish(read) == 16);
            CHECK(read.text() == "through the pipe");
            under_test.events().detach(in);
            ends.b.reset();
            request end(operation_kind::read, out, 100);
            CHECK(under_test.perform(end) == 0);
            under_test.events().detach(out);
            pair broken = make_pipe(blocking);
            broken.a.reset();
            const descriptor_handle to_nobody =
                by_id ? attached(broken.b.get()) : raw(broken.b.get());
            request lost(operation_kind::write, to_nobody, "x");
            CHECK(under_test.perform(lost) == -EPIPE);
            under_test.events().detach(to_nobody);
        }
    }
}

TEST_CASE_TEMPLATE("a pipe that blocks is written in pieces that it takes without blocking",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_pipe(true);
    const int capacity = ::fcntl(ends.b.get(), F_SETPIPE_SZ, 4 * PIPE_BUF);
    REQUIRE(capacity > 0);
    const std::string content(static_cast<std::size_t>(capacity), 'x');
    int written = 0;
    while (written < capacity) {
        request write(operation_kind::write, raw(ends.b.get()), content);
        const std::int64_t count = under_test.perform(write);
        REQUIRE(count > 0);
        REQUIRE(count <= PIPE_BUF);
        written += static_cast<int>(count);
    }
    request write(operation_kind::write, raw(ends.b.get()), content);
    CHECK_FALSE(under_test.submit(write));
    under_test.settle();
    CHECK(write.pending);
    CHECK(take(ends.a.get(), content.size()).size() == content.size());
    CHECK(under_test.finish(write) == PIPE_BUF);
}

TEST_CASE_TEMPLATE("a raw socket that blocks is read and written without blocking", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_socket_pair();
    sys::set_flags(ends.a.get(), 0);
    request read(operation_kind::read, raw(ends.a.get()), 100);
    CHECK_FALSE(under_test.submit(read));
    under_test.settle();
    CHECK(read.pending);
    std::string content(1 << 16, 'x');
    std::int64_t written = 0;
    request write(operation_kind::write, raw(ends.a.get()), content);
    while (under_test.submit(write, false) && write.result > 0) {
        written += write.result;
    }
    CHECK(write.result == -EAGAIN);
    CHECK_FALSE(under_test.submit(write));
    under_test.settle();
    CHECK(write.pending);
    while (written > 0) {
        written -= static_cast<std::int64_t>(take(ends.b.get()).size());
    }
    CHECK(under_test.finish(write) > 0);
    give(ends.b.get(), "at last");
    CHECK(under_test.finish(read) == 7);
}

TEST_CASE_TEMPLATE("a regular file is written, and read to its end", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool by_id : {false, true}) {
        const owning_fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        REQUIRE(file);
        const descriptor_handle handle = by_id ? attached(file.get()) : raw(file.get());
        request write(operation_kind::write, handle, "to keep");
        CHECK(under_test.perform(write) == 7);
        REQUIRE(::lseek(file.get(), 0, SEEK_SET) == 0);
        request read(operation_kind::read, handle, 100);
        CHECK(under_test.perform(read) == 7);
        CHECK(read.text() == "to keep");
        request end(operation_kind::read, handle, 100);
        CHECK(under_test.perform(end) == 0);
        under_test.events().detach(handle);
    }
}

TEST_CASE_TEMPLATE("without leave to wait, an operation is tried and never left pending", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle here = attached(ends.a.get());
    const descriptor_handle handles[] = {raw(ends.a.get()), here, raw(ends.a.get()), here};
    for (const descriptor_handle handle : handles) {
        request wait(operation_kind::wait_readable, handle);
        request receive(operation_kind::receive, handle, 100, {.short_receive_drains = true});
        CHECK(under_test.submit(wait, false));
        CHECK(wait.result == -EAGAIN);
        CHECK(under_test.submit(receive, false));
        CHECK(receive.result == -EAGAIN);
        give(ends.b.get(), "there");
        await_bytes(ends.a.get(), 5);
        CHECK(under_test.submit(wait, false));
        CHECK(wait.result == 0);
        CHECK(under_test.submit(receive, false));
        CHECK(receive.result == 5);
        CHECK(receive.text() == "there");
        CHECK(under_test.events().pending() == 0);
    }
    CHECK(under_test.completed.empty());
}

TEST_CASE_TEMPLATE("a connect without leave to wait can be gone on with", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const listener here;
    const owning_fd client = make_tcp_socket();
    connect_request connect(attached(client.get()), here);
    CHECK(under_test.submit(connect, false));
    CHECK((connect.result == -EAGAIN || connect.result == 0));
    if (connect.result == -EAGAIN) {
        CHECK(under_test.perform(connect) == 0);
    }
    await(here.fd.get(), POLLIN);
    CHECK(owning_fd(sys::accept4(here.fd.get(), nullptr, nullptr)));
}

// Sends `content` in random pieces on one side and receives it in random pieces on the other, both
// at once.
void stream(harness& under_test, descriptor_handle to, descriptor_handle from,
            const std::string& content, bool sockets, detail::random_sequence& random) {
    const auto send = sockets ? operation_kind::send : operation_kind::write;
    const auto receive = sockets ? operation_kind::receive : operation_kind::read;
    std::string received;
    std::size_t sent = 0;
    std::unique_ptr<request> sending;
    std::unique_ptr<request> receiving;
    while (received.size() < content.size()) {
        if (sent < content.size() && (!sending || !sending->pending)) {
            const std::size_t piece = 1 + random.below(40000);
            sending =
                std::make_unique<request>(send, to, std::string_view(content).substr(sent, piece));
            if (under_test.submit(*sending)) {
                REQUIRE(sending->result > 0);
                sent += static_cast<std::size_t>(std::exchange(sending, nullptr)->result);
            }
        }
        if (!receiving) {
            receiving = std::make_unique<request>(receive, from, 1 + random.below(40000),
                                                  descriptor_traits{.short_receive_drains = true});
            under_test.submit(*receiving);
        }
        if (receiving->pending) {
            under_test.events().poll(1'000'000'000);
        }
        if (sending && !sending->pending) {
            REQUIRE(sending->result > 0);
            sent += static_cast<std::size_t>(std::exchange(sending, nullptr)->result);
        }
        if (!receiving->pending) {
            REQUIRE(receiving->result > 0);
            received += receiving->text();
            receiving.reset();
        }
    }
    if (sending) {
        sent += static_cast<std::size_t>(under_test.finish(*sending));
    }
    CHECK(sent == content.size());
    CHECK((received == content));
}

TEST_CASE_TEMPLATE("a long stream arrives whole and in order, in whatever pieces it is sent",
                   Backend, HEDDLE_BACKENDS) {
    detail::random_sequence random(seed());
    std::string content(400'000, '\0');
    std::generate(content.begin(), content.end(), [&] { return static_cast<char>(random.next()); });
    harness under_test(Backend::make);
    const pair tcp = make_tcp_pair();
    stream(under_test, attached(tcp.a.get()), attached(tcp.b.get()), content, true, random);
    const pair pipe = make_pipe();
    stream(under_test, attached(pipe.b.get()), attached(pipe.a.get()), content, false, random);
    const pair blocking = make_pipe(true);
    stream(under_test, raw(blocking.b.get()), raw(blocking.a.get()), content, false, random);
    const pair local = make_socket_pair();
    stream(under_test, raw(local.b.get()), raw(local.a.get()), content, false, random);
}

}  // namespace
}  // namespace heddle::test
