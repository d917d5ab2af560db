// One way to block: exactly one of event, deadline and cancellation ends a wait, in whatever order
// they come and from whatever thread.
#include "gate.hpp"
#include "helpers.hpp"
#include "runtime/base/random.hpp"
#include "runtime/core/framed_wait.hpp"
#include "runtime/core/wait_reason.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <set>
#include <string_view>
#include <thread>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;
using heddle::detail::wait_status;

namespace {

/// Gives way until a deadline of the worker's that was armed before `until` has been looked at.
void let_pass(heddle::deadline until) {
    while (heddle::detail::current_worker->now() <= until.nanoseconds()) {
        heddle::this_fiber::yield();
    }
}

}  // namespace

TEST_CASE("the event ends a wait") {
    on_both_atomic_paths([] {
        in_fiber([] {
            gate door;
            fiber waiter([&] { return door.wait(); });
            let_others_run();
            CHECK(door.open());
            CHECK(waiter.join() == wait_status::event);
        });
    });
}

TEST_CASE("the event ends a wait before a later stop and a later deadline can") {
    on_both_atomic_paths([] {
        in_fiber([] {
            gate door;
            const heddle::deadline soon = 1ms;
            fiber waiter([&] { return door.wait(soon); });
            let_others_run();
            CHECK(door.open());
            CHECK(waiter.request_stop());
            let_pass(soon);
            CHECK(waiter.join() == wait_status::event);
        });
    });
}

TEST_CASE("a stop ends a wait before a later event and a later deadline can") {
    on_both_atomic_paths([] {
        in_fiber([] {
            gate door;
            const heddle::deadline soon = 1ms;
            fiber waiter([&] { return door.wait(soon); });
            let_others_run();
            CHECK(waiter.request_stop());
            CHECK_FALSE(door.open());
            let_pass(soon);
            CHECK(waiter.join() == wait_status::cancelled);
        });
    });
}

TEST_CASE("a deadline ends a wait before a later event and a later stop can") {
    on_both_atomic_paths([] {
        in_fiber([] {
            gate door;
            const heddle::deadline soon = 1ms;
            fiber waiter([&] {
                const wait_status status = door.wait(soon);
                CHECK(soon.has_passed());
                return status;
            });
            let_pass(soon);
            CHECK_FALSE(door.open());
            waiter.request_stop();
            CHECK(waiter.join() == wait_status::timed_out);
        });
    });
}

TEST_CASE("a wait in a frame that its deadline has ended takes no event from those behind it") {
    using heddle::detail::framed_wait;
    const auto end_a_wait = [] {
        framed_wait wait(*heddle::detail::try_this_block());
        CHECK(wait.begin(heddle::detail::wait_reason::condition_variable, nullptr, true));
        CHECK(wait.sleep(heddle::deadline(-1s).nanoseconds()) == wait_status::timed_out);
        CHECK(wait.tell() == framed_wait::answer::too_late);
    };
    on_both_atomic_paths([&] {
        end_a_wait();
        in_fiber(end_a_wait);
    });
}

TEST_CASE("a deadline that passes between the claim of an event and its message changes nothing") {
    in_fiber([] {
        gate door;
        const heddle::deadline soon = 1ms;
        int returned = 0;
        fiber waiter([&] {
            const wait_status status = door.wait(soon);
            ++returned;
            return status;
        });
        let_others_run();
        // As another thread does it, which may be interrupted between the two.
        REQUIRE(door.claim());
        let_pass(soon);
        let_others_run();
        CHECK(returned == 0);
        CHECK(waiter.request_stop());
        let_others_run();
        CHECK(returned == 0);
        door.tell();
        CHECK(waiter.join() == wait_status::event);
        CHECK(returned == 1);
    });
}

TEST_CASE("the ticket of an earlier wait ends no later one") {
    in_fiber([] {
        gate first;
        gate second;
        fiber waiter([&] {
            first.wait();
            const std::uint64_t stale = first.ticket;
            CHECK(second.wait() == wait_status::event);
            return stale;
        });
        let_others_run();
        const std::uint64_t stale = first.ticket;
        CHECK(first.open());
        let_others_run();
        REQUIRE(second.ticket != 0);
        CHECK(second.ticket != stale);
        CHECK_FALSE(heddle::detail::claim(*second.waiter, stale));
        CHECK_FALSE(first.open());
        CHECK(second.open());
        CHECK(waiter.join() == stale);
        CHECK_FALSE(second.open());
    });
}

TEST_CASE("the end of a fiber leaves nothing that its last ticket could wake") {
    std::uint64_t ticket = 0;
    heddle::detail::fiber_block* block = nullptr;
    heddle::run([&] {
        gate door;
        fiber waiter([&] { door.wait(); });
        let_others_run();
        ticket = door.ticket;
        block = door.waiter;
        door.open();
        waiter.join();
        CHECK_FALSE(heddle::detail::claim(*block, ticket));
    });
    // Block memory stays readable for the life of the process.
    CHECK_FALSE(heddle::detail::claim(*block, ticket));
}

TEST_CASE("tickets are never given twice, by no worker of no thread") {
    constexpr int threads = 2;
    // More than one block of tickets each.
    const auto count = static_cast<std::size_t>(scaled(2'500'000));
    std::vector<std::uint64_t> seen[threads];
    {
        std::vector<std::jthread> workers;
        for (std::vector<std::uint64_t>& mine : seen) {
            workers.emplace_back([&mine, count] {
                heddle::run([&] {
                    heddle::detail::worker& here = *heddle::detail::current_worker;
                    mine.reserve(count);
                    for (std::size_t i = 0; i < count; ++i) {
                        mine.push_back(here.begin_wait(
                            here.current(), heddle::detail::wait_reason::sleep, nullptr, 0));
                        here.end_wait(here.current());
                    }
                });
            });
        }
    }
    std::vector<std::uint64_t> all = seen[0];
    all.insert(all.end(), seen[1].begin(), seen[1].end());
    std::sort(all.begin(), all.end());
    CHECK(all.front() != 0);
    CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}

TEST_CASE("every reason to wait has words of its own") {
    using heddle::detail::wait_reason;
    std::set<std::string_view> texts;
    for (auto value = 0; value < static_cast<int>(wait_reason::count); ++value) {
        const auto text = heddle::detail::describe(static_cast<wait_reason>(value)).text;
        CHECK_FALSE(text.empty());
        CHECK(text != heddle::detail::describe(wait_reason::count).text);
        CHECK(texts.insert(text).second);
        CHECK(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; }));
    }
}

TEST_CASE("a cancelled wait gives the others one turn") {
    in_fiber([] {
        std::vector<int> order;
        fiber loop([&] {
            for (int i = 0; i < 3; ++i) {
                std::error_code code;
                heddle::this_fiber::sleep_for(1h, code);
                CHECK(code == std::errc::operation_canceled);
                order.push_back(1);
            }
        });
        fiber other([&] {
            for (int i = 0; i < 3; ++i) {
                order.push_back(2);
                heddle::this_fiber::yield();
            }
        });
        loop.request_stop();
        let_others_run();
        CHECK(order == std::vector<int>{2, 1, 2, 1, 2, 1});
    });
}

TEST_CASE("whoever ends a wait, in random programs exactly one does") {
    heddle::detail::random_sequence random(seed());
    on_both_atomic_paths([&] {
        in_fiber([&] {
            int outcomes[3] = {};
            // Until each was seen.
            const auto all_seen = [&] { return std::count(outcomes, outcomes + 3, 0) == 0; };
            for (int round = 0; round < scaled(20'000) || !all_seen(); ++round) {
                gate door;
                int claims = 0;
                const bool timed = random.below(2) == 0;
                const heddle::deadline until =
                    timed ? heddle::deadline(std::chrono::microseconds(random.below(20)))
                          : heddle::deadline::never();
                fiber waiter([&] { return door.wait(until); });
                fiber opener([&, turns = random.below(4)] {
                    if (timed && turns == 0) {
                        heddle::this_fiber::sleep_until(until);
                    }
                    for (std::uint64_t turn = 0; turn < turns; ++turn) {
                        heddle::this_fiber::yield();
                    }
                    claims += door.open() ? 1 : 0;
                });
                fiber stopper([&, turns = random.below(8)] {
                    if (timed && turns < 4) {
                        heddle::this_fiber::sleep_until(until);
                    }
                    for (std::uint64_t turn = 0; turn < turns; ++turn) {
                        heddle::this_fiber::yield();
                    }
                    waiter.request_stop();
                });
                opener.join();
                stopper.join();
                const wait_status status = waiter.join();
                CHECK(claims == (status == wait_status::event ? 1 : 0));
                ++outcomes[static_cast<int>(status)];
            }
        });
    });
}

TEST_CASE("events from another thread meet deadlines and stops, and exactly one ends each wait") {
    const int rounds = scaled(20'000);
    std::atomic<int> told = 0;
    int events = 0;
    int others = 0;
    shared_gate door;
    std::jthread opener([&](std::stop_token token) {
        while (!token.stop_requested()) {
            told += door.open() ? 1 : 0;
        }
    });
    heddle::detail::random_sequence random(seed());
    heddle::run([&] {
        for (int round = 0; round < rounds; ++round) {
            const heddle::deadline until =
                round % 3 == 0 ? heddle::deadline::never()
                               : heddle::deadline(std::chrono::nanoseconds(random.below(20'000)));
            fiber waiter([&] { return door.wait(until); });
            if (round % 3 == 1) {
                heddle::this_fiber::yield();
                waiter.request_stop();
            }
            ++(waiter.join() == wait_status::event ? events : others);
        }
        CHECK(heddle::get_statistics().fibers_alive == 1);
    });
    opener.request_stop();
    opener.join();
    CHECK(events == told);
    CHECK(events + others == rounds);
    CHECK(events > 0);
}
