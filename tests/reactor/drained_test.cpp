// When a short count proves that a descriptor is drained, when it does not, and what a message
// costs: the questions that the readiness back-ends put to the system are counted.
#include "tests/reactor/harness.hpp"

#include "runtime/base/system.hpp"
#include "tests/base/door_keeper.hpp"

#include <sys/uio.h>

#include <cstring>

namespace heddle::test {
namespace {

namespace sys = detail::sys;
using detail::sys::call;

constexpr descriptor_traits tcp_traits = {.short_receive_drains = true};

// Waits for a message with the reactor, which was asked before it came.
std::string receive_next(harness& under_test, descriptor_handle handle, int sender,
                         std::string_view message, descriptor_traits traits = tcp_traits) {
    request receive(operation_kind::receive, handle, 100, traits);
    CHECK_FALSE(under_test.submit(receive));
    give(sender, message);
    CHECK(under_test.finish(receive) >= 0);
    return std::string(receive.text());
}

TEST_CASE_TEMPLATE("data and the end of the stream in one report are both received", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool registered_before : {true, false}) {
        const pair ends = make_tcp_pair();
        const descriptor_handle handle = attached(ends.a.get());
        if (registered_before) {
            CHECK(receive_next(under_test, handle, ends.b.get(), "warm up") == "warm up");
        }
        give(ends.b.get(), "last");
        sys::shutdown(ends.b.get(), SHUT_WR);
        await(ends.a.get(), POLLIN | POLLRDHUP);
        request data(operation_kind::receive, handle, 100, tcp_traits);
        request end(operation_kind::receive, handle, 100, tcp_traits);
        CHECK(under_test.perform(data) == 4);
        CHECK(under_test.perform(end) == 0);
        under_test.events().detach(handle);
    }
}

TEST_CASE_TEMPLATE("the end of the stream that comes between report and receipt is not lost",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle handle = attached(ends.a.get());
    CHECK(receive_next(under_test, handle, ends.b.get(), "warm up") == "warm up");
    request data(operation_kind::receive, handle, 100, tcp_traits);
    request end(operation_kind::receive, handle, 100, tcp_traits);
    CHECK_FALSE(under_test.submit(data));
    give(ends.b.get(), "last");
    await_bytes(ends.a.get(), 4);
    {
        // The report is on its way when the stream ends.
        const door_keeper keeper([&](call which, int) -> std::int64_t {
            if (which == call::recv) {
                sys::intercept = nullptr;
                sys::shutdown(ends.b.get(), SHUT_WR);
                await(ends.a.get(), POLLRDHUP);
            }
            return 0;
        });
        CHECK(under_test.finish(data) == 4);
    }
    CHECK(under_test.perform(end) == 0);
}

TEST_CASE_TEMPLATE("urgent data cuts receipts short, and what is behind it is received", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool registered_before : {true, false}) {
        const pair ends = make_tcp_pair();
        const descriptor_handle handle = attached(ends.a.get());
        if (registered_before) {
            CHECK(receive_next(under_test, handle, ends.b.get(), "warm up") == "warm up");
        }
        give(ends.b.get(), "before");
        CHECK(sys::send(ends.b.get(), "!", 1, MSG_OOB) == 1);
        give(ends.b.get(), "behind");
        await(ends.a.get(), POLLIN | POLLPRI);
        await_bytes(ends.a.get(), 6);
        std::string all;
        while (all.size() < 12) {
            request receive(operation_kind::receive, handle, 100, tcp_traits);
            const std::int64_t count = under_test.perform(receive);
            REQUIRE(count > 0);
            all += receive.text();
        }
        CHECK(all == "beforebehind");
        under_test.events().detach(handle);
    }
}

void send_with_descriptor(int socket, std::string_view word, int passed) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof passed)] = {};
    iovec part = {.iov_base = const_cast<char*>(word.data()), .iov_len = word.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof passed);
    std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
    REQUIRE(::sendmsg(socket, &message, 0) == static_cast<ssize_t>(word.size()));
}

TEST_CASE_TEMPLATE("descriptors passed over a unix socket cut receipts short, and nothing is lost",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_socket_pair();
    const descriptor_handle handle = attached(ends.a.get());
    CHECK(receive_next(under_test, handle, ends.b.get(), "warm up", {}) == "warm up");
    request receive(operation_kind::receive, handle, 100);
    CHECK_FALSE(under_test.submit(receive));
    send_with_descriptor(ends.b.get(), "first", ends.b.get());
    send_with_descriptor(ends.b.get(), "second", ends.b.get());
    give(ends.b.get(), "third");
    REQUIRE(under_test.finish(receive) > 0);
    std::string all(receive.text());
    while (all.size() < 16) {
        REQUIRE(under_test.perform(receive) > 0);
        all += receive.text();
    }
    CHECK(all == "firstsecondthird");
}

TEST_CASE_TEMPLATE("a message over a warmed-up TCP stream costs one recv, one send, one wait",
                   Backend, HEDDLE_READINESS_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle handle = attached(ends.a.get());
    const auto echo = [&] {
        const std::string message = receive_next(under_test, handle, ends.b.get(), "ping");
        request send(operation_kind::send, handle, message);
        CHECK(under_test.submit(send));
        CHECK(send.result == 4);
        await_bytes(ends.b.get(), 4);
        CHECK(take(ends.b.get()) == "ping");
    };
    echo();
    door_keeper keeper;
    constexpr int rounds = 20;
    for (int i = 0; i < rounds; ++i) {
        echo();
    }
    CHECK(keeper.count(call::recv) == rounds);
    CHECK(keeper.count(call::send) == rounds);
    CHECK(keeper.count(call::epoll_ctl) == 0);
    // epoll_wait where the system has nothing finer.
    CHECK(keeper.count(call::epoll_pwait2) + keeper.count(call::epoll_wait) +
              keeper.count(call::ppoll) ==
          rounds);
}

TEST_CASE("epoll registers an attached descriptor once, and a raw one for each wait") {
    harness under_test(detail::make_epoll_reactor);
    const pair tcp = make_tcp_pair();
    const pair pipe = make_pipe();
    const descriptor_handle handle = attached(tcp.a.get());
    door_keeper keeper;
    request send(operation_kind::send, handle, "x");
    CHECK(under_test.submit(send));
    CHECK(keeper.count(call::epoll_ctl) == 0);
    for (int i = 0; i < 5; ++i) {
        CHECK(receive_next(under_test, handle, tcp.b.get(), "ping") == "ping");
        CHECK(keeper.count(call::epoll_ctl) == 1);
    }
    request cancelled(operation_kind::receive, handle, 1, tcp_traits);
    CHECK_FALSE(under_test.submit(cancelled));
    under_test.events().cancel(cancelled);
    CHECK(keeper.count(call::epoll_ctl) == 1);
    under_test.events().detach(handle);
    CHECK(keeper.count(call::epoll_ctl) == 2);
    keeper.forget();
    for (int i = 1; i <= 5; ++i) {
        request wait(operation_kind::wait_readable, raw(pipe.a.get()));
        CHECK_FALSE(under_test.submit(wait));
        give(pipe.b.get(), "x");
        CHECK(under_test.finish(wait) == 0);
        take(pipe.a.get());
        CHECK(keeper.count(call::epoll_ctl) == 2 * i);
    }
}

TEST_CASE_TEMPLATE("a receive that was filled is asked again at once, for there may be more",
                   Backend, HEDDLE_READINESS_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle handle = attached(ends.a.get());
    give(ends.b.get(), "abcdef");
    await_bytes(ends.a.get(), 6);
    const door_keeper keeper;
    for (const std::string_view part : {"ab", "cd", "ef"}) {
        request receive(operation_kind::receive, handle, 2, tcp_traits);
        CHECK(under_test.submit(receive));
        CHECK(receive.text() == part);
    }
    request empty(operation_kind::receive, handle, 2, tcp_traits);
    CHECK_FALSE(under_test.submit(empty));
    CHECK(keeper.count(call::recv) == 4);
    under_test.events().cancel(empty);
}

TEST_CASE_TEMPLATE("a short count keeps those behind from asking in vain", Backend,
                   HEDDLE_READINESS_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle handle = attached(ends.a.get());
    request first(operation_kind::receive, handle, 100, tcp_traits);
    request second(operation_kind::receive, handle, 100, tcp_traits);
    CHECK_FALSE(under_test.submit(first));
    CHECK_FALSE(under_test.submit(second));
    const door_keeper keeper;
    for (request* const one : {&first, &second}) {
        give(ends.b.get(), "ping");
        CHECK(under_test.finish(*one) == 4);
    }
    CHECK(keeper.count(call::recv) == 2);
}

TEST_CASE_TEMPLATE("what has said that it has nothing is not asked again before it is reported",
                   Backend, HEDDLE_READINESS_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_socket_pair();
    fill(ends.a.get());
    const descriptor_handle handle = attached(ends.a.get());
    const door_keeper keeper;
    for (int round = 0; round < 3; ++round) {
        request receive(operation_kind::receive, handle, 100);
        request send(operation_kind::send, handle, "x");
        CHECK_FALSE(under_test.submit(receive));
        CHECK_FALSE(under_test.submit(send));
        under_test.events().cancel(receive);
        under_test.events().cancel(send);
    }
    CHECK(keeper.count(call::recv) == 1);
    CHECK(keeper.count(call::send) == 1);
}

TEST_CASE_TEMPLATE("a descriptor without the trait is asked until it says that it has no more",
                   Backend, HEDDLE_READINESS_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_socket_pair();
    const descriptor_handle handle = attached(ends.a.get());
    CHECK(receive_next(under_test, handle, ends.b.get(), "warm up", {}) == "warm up");
    const door_keeper keeper;
    for (int i = 1; i <= 5; ++i) {
        CHECK(receive_next(under_test, handle, ends.b.get(), "ping", {}) == "ping");
        // Once in vain behind the message before, once for this.
        CHECK(keeper.count(call::recv) == 2 * i);
    }
}

TEST_CASE_TEMPLATE(
    "after a doubtful report a TCP stream is asked until it says that it has no more", Backend,
    HEDDLE_READINESS_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle handle = attached(ends.a.get());
    CHECK(receive_next(under_test, handle, ends.b.get(), "warm up") == "warm up");
    request data(operation_kind::receive, handle, 100, tcp_traits);
    CHECK_FALSE(under_test.submit(data));
    give(ends.b.get(), "last");
    sys::shutdown(ends.b.get(), SHUT_WR);
    await(ends.a.get(), POLLIN | POLLRDHUP);
    door_keeper keeper;
    CHECK(under_test.finish(data) == 4);
    CHECK(keeper.count(call::recv) == 1);
    for (int i = 0; i < 2; ++i) {
        request end(operation_kind::receive, handle, 100, tcp_traits);
        CHECK(under_test.submit(end));
        CHECK(end.result == 0);
    }
    CHECK(keeper.count(call::recv) == 3);
}

TEST_CASE_TEMPLATE("a stream is drained by a short count only in its own lifetime", Backend,
                   HEDDLE_READINESS_BACKENDS) {
    // The trait must not pass to the next owner of the number, nor its doubts.
    harness under_test(Backend::make);
    for (int round = 0; round < 2; ++round) {
        int number = -1;
        {
            const pair tcp = make_tcp_pair();
            number = tcp.a.get();
            const descriptor_handle handle = attached(number);
            const door_keeper keeper;
            for (int i = 0; i < 3; ++i) {
                CHECK(receive_next(under_test, handle, tcp.b.get(), "ping") == "ping");
            }
            CHECK(keeper.count(call::recv) <= 4);  // the first try of all is in vain
            sys::shutdown(tcp.b.get(), SHUT_WR);
            request end(operation_kind::receive, handle, 100, tcp_traits);
            CHECK(under_test.perform(end) == 0);
            under_test.events().detach(handle);
        }
        const pair local = make_socket_pair();
        REQUIRE((local.a.get() == number || local.b.get() == number));
        const int peer = local.a.get() == number ? local.b.get() : local.a.get();
        const descriptor_handle handle = attached(number);
        CHECK(receive_next(under_test, handle, peer, "warm up", {}) == "warm up");
        const door_keeper keeper;
        CHECK(receive_next(under_test, handle, peer, "ping", {}) == "ping");
        CHECK(keeper.count(call::recv) == 2);
        under_test.events().detach(handle);
    }
}

TEST_CASE_TEMPLATE("the next owner of a number is not kept from trying by what the last one found",
                   Backend, HEDDLE_READINESS_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_socket_pair();
    const descriptor_handle first = attached(ends.a.get());
    fill(first.fd);
    request receive(operation_kind::receive, first, 100);
    request send(operation_kind::send, first, "x");
    CHECK_FALSE(under_test.submit(receive));
    CHECK_FALSE(under_test.submit(send));
    under_test.events().detach(first);
    take(ends.b.get());
    give(ends.b.get(), "already there");
    receive.handle = send.handle = attached(first.fd);
    CHECK(under_test.submit(receive));
    CHECK(receive.text() == "already there");
    CHECK(under_test.submit(send));
    CHECK(send.result == 1);
}

}  // namespace
}  // namespace heddle::test
