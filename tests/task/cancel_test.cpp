// Cancellation: what it ends, what it leaves alone, and std::stop_token on either side of it.
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include <heddle/heddle.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

/// Every way to wait that is a cancellation point, none of which comes to an end by itself.
std::vector<std::function<void()>> endless_waits() {
    return {
        sleep_for_ever,
        [] { fiber<>(sleep_for_ever).join(); },
        [] { counting_semaphore<>(0).acquire(); },
        [] { static_cast<void>(channel<int>().recv()); },
        [] { channel<int>().send(1); },
        [] { latch(1).wait(); },
        [] { event().wait(); },
        [] {
            mutex lock;
            std::unique_lock guard(lock);
            condition_variable condition;
            condition.wait(guard);
        },
        [] {
            scope all;
            all.spawn(sleep_for_ever);
            all.join();
        },
        [] {
            scope all;
            all.spawn(sleep_for_ever).get();
        },
        [] { with_scope([](scope&) { sleep_for_ever(); }); },
        [] { with_deadline(1h, sleep_for_ever); },
        [] { join_all(sleep_for_ever, sleep_for_ever); },
        [] { race(sleep_for_ever, sleep_for_ever); },
        [] { this_fiber::check_cancelled(), this_fiber::yield(); },
    };
}

TEST_CASE("every wait that is a cancellation point ends by it, before and while it waits") {
    on_both_atomic_paths([] {
        in_fiber([] {
            for (const bool before : {true, false}) {
                const auto waits = endless_waits();
                for (std::size_t i = 0; i < waits.size(); ++i) {
                    CAPTURE(before);
                    CAPTURE(i);
                    fiber child([&] {
                        for (;;) {
                            waits[i]();
                        }
                    });
                    if (!before) {
                        let_others_run();
                    }
                    child.request_stop();
                    CHECK(code_of([&] { return child.join(), 0; }) ==
                          std::errc::operation_canceled);
                    CHECK(get_statistics().fibers_alive == 1);
                }
            }
        });
    });
}

TEST_CASE("code that catches everything, in every wait, still comes to its end") {
    in_fiber([] {
        const auto waits = endless_waits();
        int rounds = 0;
        fiber child([&](std::stop_token token) {
            std::size_t next = 0;
            while (!token.stop_requested() || rounds < 100) {
                try {
                    waits[next++ % waits.size()]();
                } catch (...) {
                    ++rounds;
                }
            }
        });
        let_others_run();
        child.request_stop();
        child.join();
        CHECK(rounds >= 100);
        // The same for the children of a scope and its body.
        rounds = 0;
        with_scope([&](scope& all) {
            const auto swallow = [&] {
                for (const auto& wait : waits) {
                    try {
                        wait();
                    } catch (...) {
                        ++rounds;
                    }
                }
            };
            for (int i = 0; i < 3; ++i) {
                all.spawn(swallow);
            }
            let_others_run();
            all.cancel();
            swallow();
        });
        CHECK(rounds == 4 * static_cast<int>(waits.size()));
    });
}

TEST_CASE("locks and relocking are no cancellation points, in code that may not throw") {
    in_fiber([] {
        mutex lock;
        bool locked = false;
        bool relocked = false;
        lock.lock();
        fiber locks([&]() noexcept {
            const std::lock_guard guard(lock);
            locked = true;
        });
        condition_variable condition;
        mutex other;
        fiber waits([&]() {
            std::unique_lock guard(other);
            const auto in_code_that_may_not_throw = [&]() noexcept {
                std::stop_source never;
                try {
                    condition.wait(guard);
                } catch (const cancelled&) {
                    relocked = guard.owns_lock();
                }
            };
            in_code_that_may_not_throw();
        });
        let_others_run();
        other.lock();
        locks.request_stop();
        waits.request_stop();
        let_others_run();
        CHECK_FALSE(locked);
        lock.unlock();
        other.unlock();
        locks.join();
        waits.join();
        CHECK(locked);
        CHECK(relocked);
    });
}

TEST_CASE("somebody else's stop token stops a fiber or a scope by a callback") {
    in_fiber([] {
        std::stop_source outside;
        int ended = 0;
        const auto child = [&] {
            CHECK_THROWS_AS(sleep_for_ever(), cancelled);
            ++ended;
        };
        fiber one(child);
        const std::stop_callback stops_one(outside.get_token(), [&] { one.request_stop(); });
        with_scope([&](scope& all) {
            const std::stop_callback stops_all(outside.get_token(), [&] { all.cancel(); });
            all.spawn(child);
            all.spawn(child);
            let_others_run();
            std::thread([&] { outside.request_stop(); }).join();
            sleep_for_ever();
        });
        one.join();
        CHECK(ended == 3);
    });
}

TEST_CASE("callbacks of a fiber's token and of a scope's run before its waits end") {
    in_fiber([] {
        std::vector<std::string> log;
        with_scope([&](scope& all) {
            const std::stop_callback of_scope(all.get_stop_token(),
                                              [&] { log.emplace_back("scope"); });
            all.spawn([&](std::stop_token token) {
                const std::stop_callback of_child(token, [&] { log.emplace_back("token"); });
                CHECK_THROWS_AS(sleep_for_ever(), cancelled);
                log.emplace_back("child");
            });
            let_others_run();
            all.cancel();
            all.join();
        });
        CHECK(log == std::vector<std::string>{"scope", "token", "child"});
        // When a deadline passes they run where no fiber does.
        log.clear();
        scope late(100ms);  // the child waits by then, under every tool
        late.spawn([&](std::stop_token token) {
            const std::stop_callback of_child(
                token, [&] { log.push_back(std::to_string(this_fiber::get_id().number())); });
            CHECK_THROWS_AS(sleep_for_ever(), cancelled);
        });
        let_others_run();
        CHECK(code_of([&] { return late.join(), 0; }) == std::errc::timed_out);
        CHECK(log == std::vector<std::string>{"0"});
    });
}

TEST_CASE("a stop callback may do what does not wait") {
    in_fiber([] {
        counting_semaphore<> permits(0);
        mutex lock;
        fiber<> next(sleep_for_ever);
        fiber child([&](std::stop_token token) {
            const std::stop_callback callback(token, [&] {
                permits.release();
                const std::lock_guard guard(lock);
                next.request_stop();
                fiber<> spawned([] {});
                spawned.detach();
            });
            CHECK_THROWS_AS(sleep_for_ever(), cancelled);
        });
        let_others_run();
        child.request_stop();
        permits.acquire();
        child.join();
        CHECK(code_of([&] { return next.join(), 0; }) == std::errc::operation_canceled);
    });
}

/// How a process ends in which a stop callback of a fiber does something, and another fiber is
/// there to run meanwhile.
child_result end_with_callback(std::function<void()> callback, bool by_deadline) {
    return run_child([=] {
        run([=] {
            scope all(by_deadline ? deadline(1ms) : deadline::never());
            std::optional<std::stop_callback<std::function<void()>>> registered;
            all.spawn({.name = "registers"}, [&](std::stop_token token) {
                registered.emplace(token, callback);
                sleep_for_ever();
            });
            fiber<> other([&] {
                for (;;) {
                    this_fiber::yield();
                    this_fiber::check_cancelled();
                }
            });
            let_others_run();
            if (!by_deadline) {
                all.cancel();
            }
            std::error_code ec;
            all.join(ec);
        });
    });
}

TEST_CASE("a stop callback that gives way ends the process with a message") {
    for (const bool by_deadline : {false, true}) {
        CAPTURE(by_deadline);
        const std::vector<std::function<void()>> ways = {
            [] { this_fiber::sleep_for(1us); },
            [] { counting_semaphore<>(0).acquire(1s); },
            [] { channel<int>().send(1, 1s); },
        };
        for (const auto& way : ways) {
            const child_result ended = end_with_callback(way, by_deadline);
            CAPTURE(ended.output);
            CHECK(ended.signal == SIGABRT);
            CHECK(contains(ended.output, "a stop callback gives way"));
        }
    }
    const child_result yields = end_with_callback([] { this_fiber::yield(); }, false);
    CHECK(contains(yields.output, "a stop callback gives way"));
    const child_result joins = end_with_callback([] { fiber([] {}).join(); }, false);
    CHECK(contains(joins.output, "a stop callback gives way"));
    const child_result harmless = end_with_callback([] {}, true);
    CHECK(harmless.exit_status == 0);
}

TEST_CASE("the levels of a fiber end in the order of their blocks, or the process ends") {
    const child_result ended = run_child([] {
        run([] {
            std::optional<shield> first(std::in_place);
            const shield second;
            first.reset();
        });
    });
    CHECK(ended.signal == SIGABRT);
    CHECK(contains(ended.output, "ends before one that it encloses"));
}

}  // namespace

}  // namespace heddle::test
