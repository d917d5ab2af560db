// Sleeping and timers: never early, in order, at both ends of the clock, and in great numbers.
#include "helpers.hpp"
#include "runtime/base/random.hpp"
#include "runtime/core/worker.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using heddle::fiber;
using heddle::spawn;

TEST_CASE("a sleep is never too short, not by a nanosecond") {
    heddle::detail::random_sequence random(seed());
    in_fiber([&] {
        for (int i = 0; i < 200; ++i) {
            const auto length = std::chrono::nanoseconds(1 + random.below(200'000));
            const auto began = clock_type::now();
            heddle::this_fiber::sleep_for(length);
            CHECK(clock_type::now() - began >= length);
            const auto until = clock_type::now() + length;
            heddle::this_fiber::sleep_until(until);
            CHECK(clock_type::now() >= until);
        }
        const auto began = clock_type::now();
        heddle::this_fiber::sleep_for(std::chrono::duration<double, std::micro>(100.5));
        CHECK(clock_type::now() - began >= 100'500ns);
    });
}

TEST_CASE("sleeps of many fibers are never too short") {
    heddle::detail::random_sequence random(seed());
    in_fiber([&] {
        std::vector<fiber<bool>> sleepers;
        for (int i = 0; i < 1000; ++i) {
            sleepers.push_back(spawn([length = std::chrono::nanoseconds(random.below(3'000'000))] {
                const auto began = clock_type::now();
                heddle::this_fiber::sleep_for(length);
                return clock_type::now() - began >= length;
            }));
        }
        for (fiber<bool>& one : sleepers) {
            CHECK(one.join());
        }
    });
}

TEST_CASE("a sleep into the past gives way once and goes on") {
    in_fiber([] {
        int turns = 0;
        fiber other([&](std::stop_token token) {
            while (!token.stop_requested()) {
                ++turns;
                heddle::this_fiber::yield();
            }
        });
        heddle::this_fiber::sleep_until(in_the_past());
        CHECK(turns == 1);
        heddle::this_fiber::sleep_for(-1h);
        heddle::this_fiber::sleep_for(std::chrono::nanoseconds::min());
        heddle::this_fiber::sleep_for(std::chrono::hours::min());
        heddle::this_fiber::sleep_until(clock_type::time_point::min());
        CHECK(turns == 5);
        std::error_code code = std::make_error_code(std::errc::io_error);
        heddle::this_fiber::sleep_for(-1s, code);
        CHECK_FALSE(code);
    });
}

TEST_CASE("the longest sleep lasts until it is cancelled") {
    in_fiber([] {
        const auto sleeps = [](auto length) {
            fiber sleeper([length] { heddle::this_fiber::sleep_for(length); });
            let_others_run();
            CHECK(code_of([&] { return sleeper.join(100us), 0; }) == std::errc::timed_out);
            sleeper.request_stop();
            CHECK(code_of([&] { return sleeper.join(), 0; }) == std::errc::operation_canceled);
        };
        sleeps(std::chrono::nanoseconds::max());
        sleeps(std::chrono::hours::max());
        sleeps(std::chrono::duration<double>(std::numeric_limits<double>::infinity()));
        sleeps(std::chrono::duration<double>(1e300));
        sleeps(24h * 365 * 200);
        fiber sleeper([] { heddle::this_fiber::sleep_until(clock_type::time_point::max()); });
        let_others_run();
    });
}

TEST_CASE("sleepers wake in the order of their deadlines") {
    heddle::detail::random_sequence random(seed());
    in_fiber([&] {
        // Until, on a busy machine, all have begun to sleep before the first wakes.
        bool late = true;
        for (auto lead = 2ms; late; lead *= 2) {
            late = false;
            const auto start = clock_type::now() + lead;
            std::vector<clock_type::time_point> woken;
            std::vector<fiber<>> sleepers;
            for (int i = 0; i < 2000; ++i) {
                const auto until = start + std::chrono::nanoseconds(random.below(2'000'000));
                sleepers.push_back(spawn([&woken, &late, start, until] {
                    late |= clock_type::now() >= start;
                    heddle::this_fiber::sleep_until(until);
                    woken.push_back(until);
                }));
            }
            for (fiber<>& one : sleepers) {
                one.join();
            }
            CHECK(woken.size() == 2000);
            CHECK((late || std::is_sorted(woken.begin(), woken.end())));
        }
    });
}

TEST_CASE("sleepers with equal deadlines all wake") {
    in_fiber([] {
        const auto until = clock_type::now() + 2ms;
        int woken = 0;
        std::vector<fiber<>> sleepers;
        for (int i = 0; i < 1000; ++i) {
            sleepers.push_back(spawn([&] {
                heddle::this_fiber::sleep_until(until);
                CHECK(clock_type::now() >= until);
                ++woken;
            }));
        }
        for (fiber<>& one : sleepers) {
            one.join();
        }
        CHECK(woken == 1000);
    });
}

TEST_CASE("of a hundred thousand timers nearly all are cancelled, and the others fire") {
    in_fiber([] {
        const int count = scaled_stacks(100'000);
        int woken = 0;
        int cancelled = 0;
        std::vector<fiber<>> sleepers;
        for (int i = 0; i < count; ++i) {
            sleepers.push_back(spawn({.stack_bytes = 16 * 1024}, [&, i] {
                std::error_code code;
                if (i % 100 == 0) {
                    heddle::this_fiber::sleep_for(1ms, code);
                } else {
                    heddle::this_fiber::sleep_for(1h + std::chrono::seconds(i * 7919L % 1000),
                                                  code);
                }
                ++(code ? cancelled : woken);
            }));
        }
        heddle::this_fiber::yield();
        CHECK(heddle::get_statistics().stacks_in_use == static_cast<std::uint64_t>(count) + 1);
        for (std::size_t i = 0; i < sleepers.size(); ++i) {
            if (i * 31 % sleepers.size() % 100 != 0) {
                sleepers[i * 31 % sleepers.size()].request_stop();
            }
        }
        for (std::size_t i = 0; i < sleepers.size(); ++i) {
            if (i % 100 != 0) {
                sleepers[i].request_stop();
            }
        }
        for (fiber<>& one : sleepers) {
            one.join();
        }
        CHECK(woken == (count + 99) / 100);
        CHECK(woken + cancelled == count);
    });
}

TEST_CASE("timers stay in order through storms of stops, deadlines and joins") {
    heddle::detail::random_sequence random(seed());
    in_fiber([&] {
        int timed_out = 0;
        int ended = 0;
        int cancelled = 0;
        // Until each outcome was seen: where few rounds are made, none may have come about.
        const auto all_seen = [&] { return timed_out > 0 && ended > 0 && cancelled > 0; };
        for (int round = 0; round < scaled(100) || !all_seen(); ++round) {
            std::vector<fiber<>> sleepers;
            std::vector<fiber<>> joiners;
            for (int i = 0; i < 100; ++i) {
                // The first one outlasts every deadline.
                const auto length = i == 0 ? std::chrono::microseconds(1h)
                                           : std::chrono::microseconds(random.below(100));
                sleepers.push_back(spawn([length] { heddle::this_fiber::sleep_for(length); }));
            }
            for (fiber<>& target : sleepers) {
                joiners.push_back(
                    spawn([&target, &timed_out, &ended, &cancelled, length = random.below(100)] {
                        const heddle::deadline until = std::chrono::microseconds(length);
                        std::error_code code;
                        if (target.join(until, code)) {
                            ++ended;
                        } else if (code == std::errc::timed_out) {
                            CHECK(until.has_passed());
                            ++timed_out;
                        } else {
                            CHECK(code == std::errc::operation_canceled);
                            ++cancelled;
                        }
                    }));
            }
            for (int i = 0; i < 50; ++i) {
                joiners[random.below(100)].request_stop();
                sleepers[1 + random.below(99)].request_stop();
                if (random.below(3) == 0) {
                    heddle::this_fiber::yield();
                }
            }
            for (fiber<>& one : joiners) {
                one.join();
            }
        }
    });
}
