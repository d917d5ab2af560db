// What the system refuses: every error reaches those whom it concerns, and nobody is left waiting.
#include "tests/reactor/harness.hpp"

#include "runtime/base/system.hpp"
#include "tests/base/door_keeper.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string_view>
#include <system_error>
#include <utility>

namespace heddle::test {
namespace {

namespace sys = detail::sys;
using detail::sys::call;

void ignore(void*, operation&) {}

TEST_CASE_TEMPLATE("where the system has no descriptor to spare, making a reactor fails cleanly",
                   Backend, HEDDLE_BACKENDS) {
    const std::size_t before = open_descriptors();
    for (const call which : {call::epoll_create1, call::eventfd, call::epoll_ctl}) {
        const door_keeper keeper(answer(which, -EMFILE));
        const auto make = [&] { Backend::make(ignore, nullptr); };
        // Those that do not need the call are made.
        try {
            make();
            CHECK(keeper.count(which) == 0);
        } catch (const std::system_error& error) {
            CHECK(error.code() == std::errc::too_many_files_open);
            CHECK(keeper.count(which) == 1);
        }
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE_TEMPLATE("an accept that finds no free descriptor says so, and the next one succeeds",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const listener here;
    const descriptor_handle handle = attached(here.fd.get());
    for (const int error : {EMFILE, ENFILE, ENOMEM, ECONNABORTED}) {
        const owning_fd client = make_tcp_socket();
        request accept(operation_kind::accept, handle);
        CHECK_FALSE(under_test.submit(accept));
        under_test.settle();
        {
            const door_keeper keeper(answer(call::accept4, -error));
            connect_request connect(raw(client.get()), here);
            CHECK(under_test.perform(connect) == 0);
            CHECK(under_test.finish(accept) == -error);
        }
        // The connection is still in the queue, and no second report will announce it.
        request again(operation_kind::accept, handle);
        CHECK(owning_fd(static_cast<int>(under_test.perform(again))));
    }
}

TEST_CASE_TEMPLATE("the real limit of descriptors is an error of accept too", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const listener here;
    const owning_fd client = make_tcp_socket();
    request accept(operation_kind::accept, attached(here.fd.get()));
    CHECK_FALSE(under_test.submit(accept));
    rlimit old_limit{};
    ::getrlimit(RLIMIT_NOFILE, &old_limit);
    owning_fd lowest(::dup(here.fd.get()));
    const rlimit none = {.rlim_cur = static_cast<rlim_t>(lowest.get()),
                         .rlim_max = old_limit.rlim_max};
    lowest.reset();
    ::setrlimit(RLIMIT_NOFILE, &none);
    sys::connect(client.get(), reinterpret_cast<const sockaddr*>(&here.address), here.length);
    const std::int64_t result = under_test.finish(accept);
    ::setrlimit(RLIMIT_NOFILE, &old_limit);
    CHECK(result == -EMFILE);
    CHECK(owning_fd(static_cast<int>(under_test.perform(accept))));
}

TEST_CASE_TEMPLATE("signals and short transfers in the middle of an operation do no harm", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle here = attached(ends.a.get());
    const descriptor_handle there = attached(ends.b.get());
    int calls = 0;
    const door_keeper keeper([&](call which, int) -> std::int64_t {
        const bool moves = which == call::recv || which == call::send;
        return ++calls % 3 == 0 ? -EINTR : moves ? 3 : 0;
    });
    const std::string content = "a sentence of some length";
    std::string sent;
    std::string received;
    while (received.size() < content.size()) {
        if (sent.size() < content.size()) {
            request send(operation_kind::send, here, std::string_view(content).substr(sent.size()));
            const std::int64_t count = under_test.perform(send);
            REQUIRE(count > 0);
            REQUIRE(count <= 3);
            sent += content.substr(sent.size(), static_cast<std::size_t>(count));
        }
        // Without the trait: here a short count proves nothing.
        request receive(operation_kind::receive, there, 100);
        REQUIRE(under_test.perform(receive) > 0);
        received += receive.text();
    }
    CHECK(received == content);
}

TEST_CASE_TEMPLATE("an error of the call is the result of the operation that made it", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle handle = attached(ends.a.get());
    request first(operation_kind::receive, handle, 100);
    request second(operation_kind::receive, handle, 100);
    CHECK_FALSE(under_test.submit(first));
    CHECK_FALSE(under_test.submit(second));
    give(ends.b.get(), "for the second");
    const door_keeper keeper([tries = 0](call which, int) mutable -> std::int64_t {
        return which == call::recv && ++tries == 1 ? -ENOMEM : 0;
    });
    under_test.finish(first);
    under_test.finish(second);
    // One of the tries before the data came may have met the error instead.
    CHECK(first.result == -ENOMEM);
    CHECK(second.text() == "for the second");
}

TEST_CASE("an operation that epoll cannot register ends with the reason, and leaves nothing") {
    harness under_test(detail::make_epoll_reactor);
    for (const int error : {ENOMEM, ENOSPC}) {
        const pair pipe = make_pipe();
        const pair tcp = make_tcp_pair();
        for (const descriptor_handle handle : {raw(pipe.a.get()), attached(tcp.a.get())}) {
            request wait(operation_kind::wait_readable, handle);
            {
                const door_keeper keeper(answer(call::epoll_ctl, -error));
                CHECK(under_test.submit(wait));
                CHECK(wait.result == -error);
                CHECK(under_test.events().pending() == 0);
            }
            CHECK_FALSE(under_test.submit(wait));
            give(handle.id == 0 ? pipe.b.get() : tcp.b.get(), "x");
            CHECK(under_test.finish(wait) == 0);
            under_test.events().detach(handle);
        }
    }
    CHECK(under_test.completed.size() == 4);
}

TEST_CASE("when epoll refuses to go on watching, those who still wait hear of it") {
    harness under_test(detail::make_epoll_reactor);
    for (const bool by_cancel : {true, false}) {
        const pair ends = make_socket_pair();
        fill(ends.a.get());
        request reading(operation_kind::wait_readable, raw(ends.a.get()));
        request writing(operation_kind::wait_writable, raw(ends.a.get()));
        CHECK_FALSE(under_test.submit(reading));
        CHECK_FALSE(under_test.submit(writing));
        give(ends.b.get(), "x");
        const door_keeper keeper(answer(call::epoll_ctl, -ENOMEM));
        if (by_cancel) {
            under_test.events().cancel(reading);
            CHECK(reading.result == -ECANCELED);
        } else {
            CHECK(under_test.finish(reading) == 0);
        }
        CHECK(keeper.count(call::epoll_ctl) == 1);
        CHECK(under_test.events().pending() == 0);
        CHECK(writing.result == -ENOMEM);
    }
}

TEST_CASE("when a raw number turns out to be closed, all who wait on it hear of it") {
    harness under_test(detail::make_epoll_reactor);
    pair ends = make_pipe();
    request first(operation_kind::wait_readable, raw(ends.a.get()));
    request second(operation_kind::wait_readable, first.handle);
    CHECK_FALSE(under_test.submit(first));
    ends.a.reset();
    CHECK(under_test.submit(second));
    CHECK(second.result == -EBADF);
    CHECK(first.result == -EBADF);
    CHECK(under_test.completed == std::vector<operation*>{&first});
}

TEST_CASE("poll reports a raw number that was closed under a wait") {
    harness under_test(detail::make_poll_reactor);
    pair ends = make_pipe();
    request read(operation_kind::read, raw(ends.a.get()), 10);
    request wait(operation_kind::wait_readable, raw(ends.a.get()));
    CHECK_FALSE(under_test.submit(read));
    CHECK_FALSE(under_test.submit(wait));
    ends.a.reset();
    CHECK(under_test.finish(read) == -EBADF);
    CHECK(under_test.finish(wait) == -EBADF);
}

TEST_CASE("a raw number that became a regular file is ready for all who wait on it") {
    harness under_test(detail::make_epoll_reactor);
    const pair ends = make_pipe();
    request first(operation_kind::wait_readable, raw(ends.a.get()));
    request second(operation_kind::wait_readable, raw(ends.a.get()));
    CHECK_FALSE(under_test.submit(first));
    const door_keeper keeper(
        [](call which, int) -> std::int64_t { return which == call::epoll_ctl ? -EPERM : 0; });
    CHECK(under_test.submit(second));
    CHECK(second.result == 0);
    CHECK(first.result == 0);
    CHECK(under_test.completed == std::vector<operation*>{&first});
}

TEST_CASE_TEMPLATE("a failing wait for events loses none of them", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_pipe();
    request wait(operation_kind::wait_readable, raw(ends.a.get()));
    CHECK_FALSE(under_test.submit(wait));
    under_test.settle();
    give(ends.b.get(), "x");
    {
        const door_keeper keeper([](call which, int) -> std::int64_t {
            const bool waits = which == call::ppoll || which == call::epoll_wait;
            return waits ? -ENOMEM : 0;
        });
        under_test.events().poll(0);
        CHECK(wait.pending);
    }
    CHECK(under_test.finish(wait) == 0);
}

TEST_CASE_TEMPLATE("a wait for events that goes on failing ends whatever is pending by its error",
                   Backend, on_poll, on_epoll) {
    harness under_test(Backend::make);
    const pair pipe = make_pipe();
    const pair tcp = make_tcp_pair();
    const bool is_poll = std::string_view(under_test.events().name()) == "poll";
    for (const auto& [error, reported] :
         {std::pair(ENOMEM, ENOMEM), std::pair(EINVAL, is_poll ? EMFILE : ENOTRECOVERABLE)}) {
        request raw_wait(operation_kind::wait_readable, raw(pipe.a.get()));
        request receive(operation_kind::receive, attached(tcp.a.get()), 10);
        CHECK_FALSE(under_test.submit(raw_wait));
        CHECK_FALSE(under_test.submit(receive));
        int failures = 0;
        {
            const door_keeper keeper([&, failure = error](call which, int) -> std::int64_t {
                const bool waits = which == call::ppoll || which == call::epoll_wait ||
                                   which == call::epoll_pwait2;
                return waits ? --failures, -failure : 0;
            });
            while (raw_wait.pending && failures > -1000) {
                under_test.events().poll(failures % 2 == 0 ? -1 : 1000);
            }
        }
        CHECK(failures < -10);
        CHECK(raw_wait.result == -reported);
        CHECK(receive.result == -reported);
        CHECK(under_test.events().pending() == 0);
        CHECK_FALSE(under_test.submit(raw_wait));
        CHECK_FALSE(under_test.submit(receive));
        give(pipe.b.get(), "x");
        give(tcp.b.get(), "y");
        CHECK(under_test.finish(raw_wait) == 0);
        CHECK(under_test.finish(receive) == 1);
        char byte = 0;
        CHECK(sys::read(pipe.a.get(), &byte, 1) == 1);
        under_test.events().detach(receive.handle);
    }
}

}  // namespace
}  // namespace heddle::test
