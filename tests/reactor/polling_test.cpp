// The poll() of the reactor itself: how long it waits, what interrupts it, and that it is fair.
#include "tests/reactor/harness.hpp"

#include "runtime/base/random.hpp"
#include "runtime/base/system.hpp"
#include "tests/base/door_keeper.hpp"
#include "tests/support/child.hpp"
#include "tests/support/report.hpp"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <thread>

namespace heddle::test {
namespace {

namespace sys = detail::sys;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
using std::chrono::operator""ms;
using std::chrono::operator""us;

constexpr std::int64_t an_hour_ns = 3'600'000'000'000;

TEST_CASE_TEMPLATE("a poll that finds nothing lasts as long as it may, to the nanosecond", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair pipe = make_pipe();
    const pair tcp = make_tcp_pair();  // can always be written, which nobody waits for
    request waits[] = {{operation_kind::wait_readable, raw(pipe.a.get())},
                       {operation_kind::receive, attached(tcp.a.get()), 100}};
    for (request& one : waits) {
        CHECK_FALSE(under_test.submit(one));
    }
    under_test.settle();
    for (const nanoseconds timeout : {nanoseconds(1), nanoseconds(50us), nanoseconds(1500us)}) {
        CAPTURE(timeout.count());
        const auto begin = steady_clock::now();
        under_test.events().poll(timeout.count());
        CHECK(steady_clock::now() - begin >= timeout);
    }
    for (request& one : waits) {
        CHECK(one.pending);
        under_test.events().cancel(one);
        under_test.finish(one);
    }
}

TEST_CASE_TEMPLATE("a hang-up that nobody waits for does not keep the poller busy", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool by_id : {false, true}) {
        pair ends = make_socket_pair();
        const descriptor_handle handle = by_id ? attached(ends.a.get()) : raw(ends.a.get());
        request receive(operation_kind::receive, handle, 10);
        CHECK_FALSE(under_test.submit(receive));
        give(ends.b.get(), "x");
        CHECK(under_test.finish(receive) == 1);
        ends.b.reset();
        under_test.settle();
        const auto begin = steady_clock::now();
        under_test.events().poll(200'000);
        CHECK(steady_clock::now() - begin >= 200us);
        under_test.events().detach(handle);
    }
}

TEST_CASE("without epoll_pwait2 a poll never ends early either") {
    // In a child, because the door remembers that the call is absent.
    const child_result child = run_child([] {
        const auto events = detail::make_epoll_reactor([](void*, operation&) {}, nullptr);
        const door_keeper keeper([](sys::call which, int) -> std::int64_t {
            return which == sys::call::epoll_pwait2 ? -ENOSYS : 0;
        });
        for (const nanoseconds timeout : {nanoseconds(1), nanoseconds(50us), nanoseconds(1500us)}) {
            const auto begin = steady_clock::now();
            events->poll(timeout.count());
            std::printf("%s ", steady_clock::now() - begin >= timeout ? "in time" : "early");
        }
        std::printf("by %d", keeper.count(sys::call::epoll_wait));
    });
    CHECK(child.output == "in time in time in time by 3");
}

TEST_CASE_TEMPLATE("a poll that may wait for ever ends when something happens", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_pipe();
    request wait(operation_kind::wait_readable, raw(ends.a.get()));
    CHECK_FALSE(under_test.submit(wait));
    under_test.settle();
    std::thread writer([&] {
        std::this_thread::sleep_for(1ms);
        give(ends.b.get(), "x");
    });
    while (wait.pending) {
        under_test.events().poll(-1);
    }
    writer.join();
    CHECK(wait.result == 0);
}

TEST_CASE_TEMPLATE("an interrupt from before makes the next poll return, and only that one",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (int round = 0; round < 3; ++round) {
        under_test.events().interrupt();
        under_test.events().interrupt();
        under_test.events().poll(an_hour_ns);
        const auto begin = steady_clock::now();
        under_test.events().poll(200'000);
        CHECK(steady_clock::now() - begin >= 200us);
    }
}

TEST_CASE_TEMPLATE("an interrupt from another thread ends every poll that waits", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    std::atomic<int> returned = 0;
    constexpr int rounds = 200;
    std::thread other([&] {
        for (int round = 0; round < rounds; ++round) {
            under_test.events().interrupt();
            while (returned <= round) {
                std::this_thread::yield();
            }
        }
    });
    for (int round = 0; round < rounds; ++round) {
        under_test.events().poll(round % 2 == 0 ? -1 : an_hour_ns);
        ++returned;
    }
    other.join();
}

detail::reactor* to_interrupt = nullptr;

TEST_CASE_TEMPLATE("a signal handler may interrupt, and a signal ends a poll that waits", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    struct sigaction action {};
    struct sigaction old_action {};
    action.sa_handler = [](int) { to_interrupt->interrupt(); };
    REQUIRE(::sigaction(SIGVTALRM, &action, &old_action) == 0);
    to_interrupt = &under_test.events();
    ::raise(SIGVTALRM);
    under_test.events().poll(an_hour_ns);
    std::atomic<bool> over = false;
    const pthread_t target = ::pthread_self();
    std::thread other([&] {
        while (!over) {
            ::pthread_kill(target, SIGVTALRM);
            std::this_thread::sleep_for(100us);
        }
    });
    under_test.events().poll(-1);
    over = true;
    other.join();
    ::sigaction(SIGVTALRM, &old_action, nullptr);
}

// As many pipes as asked for, each with something to read, and a raw wait for each.
struct storm {
    explicit storm(int count) {
        for (int i = 0; i < count; ++i) {
            pipes.push_back(make_pipe());
            give(pipes.back().b.get(), "x");
        }
    }
    void wait_for_all(harness& under_test, bool by_id) {
        for (const pair& one : pipes) {
            waits.emplace_back(operation_kind::wait_readable,
                               by_id ? attached(one.a.get()) : raw(one.a.get()));
        }
        for (request& one : waits) {
            under_test.submit(one);
        }
    }
    std::vector<pair> pipes;
    std::deque<request> waits;
};

TEST_CASE_TEMPLATE("one poll completes a batch at most", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    storm all(detail::poll_batch * 2 + 10);
    all.wait_for_all(under_test, false);
    while (under_test.events().pending() > 0) {
        const std::size_t before = under_test.completed.size();
        under_test.events().poll(an_hour_ns);
        CHECK(under_test.completed.size() - before <= detail::poll_batch);
    }
    CHECK(under_test.completed.size() == all.waits.size());
}

TEST_CASE_TEMPLATE("in a storm of descriptors that are always ready, each has its turn", Backend,
                   HEDDLE_BACKENDS) {
    detail::random_sequence random(seed());
    harness under_test(Backend::make);
    constexpr int count = 1000;
    storm all(count);
    all.wait_for_all(under_test, false);
    std::vector<int> turns(count);
    // Enough for each to have ten turns if all were equal.
    for (int polls = 0; polls < 10 * count / detail::poll_batch; ++polls) {
        under_test.events().poll(0);
        std::vector<operation*> ended;
        ended.swap(under_test.completed);
        for (std::size_t i = ended.size(); i > 1; --i) {
            std::swap(ended[i - 1], ended[random.below(i)]);
        }
        for (operation* const one : ended) {
            const auto found = std::find_if(all.waits.begin(), all.waits.end(),
                                            [&](const request& any) { return &any == one; });
            ++turns[static_cast<std::size_t>(found - all.waits.begin())];
            under_test.submit(*one);
        }
    }
    CHECK(*std::min_element(turns.begin(), turns.end()) >= 1);
    for (request& one : all.waits) {
        under_test.events().cancel(one);
    }
    while (under_test.events().pending() > 0) {
        under_test.events().poll(0);
    }
}

TEST_CASE_TEMPLATE("a poll with nothing pending reports nothing", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle handle = attached(ends.a.get());
    request receive(operation_kind::receive, handle, 100);
    CHECK_FALSE(under_test.submit(receive));
    under_test.events().cancel(receive);
    CHECK(under_test.finish(receive) == -ECANCELED);
    under_test.completed.clear();
    give(ends.b.get(), "nobody asked");
    await_bytes(ends.a.get(), 12);
    under_test.settle();
    CHECK(under_test.completed.empty());
    // What an edge found nobody for is remembered.
    CHECK(under_test.perform(receive) == 12);
}

TEST_CASE("a reactor that dies while it owns an operation ends the program") {
    const child_result child = run_child([] {
        const pair ends = make_pipe();
        request wait(operation_kind::wait_readable, raw(ends.a.get()));
        detail::make_poll_reactor([](void*, operation&) {}, nullptr)->submit(wait, true);
    });
    CHECK(child.signal == SIGABRT);
    CHECK(child.output.find("heddle: a reactor dies that owns operations: pending = 1") == 0);
}

}  // namespace
}  // namespace heddle::test
