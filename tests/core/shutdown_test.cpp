// The end of run(): what becomes of the fibers that the main function leaves behind.
#include "helpers.hpp"
#include "tests/support/support.hpp"

#include <heddle/cancel.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <functional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;
using heddle::spawn;

TEST_CASE("a detached fiber is stopped and joined when the main function has returned") {
    bool cancelled = false;
    bool ended = false;
    heddle::run([&] {
        heddle::spawn_detached([&] {
            try {
                sleep_for_ever();
            } catch (const heddle::cancelled&) {
                cancelled = true;
                let_others_run();
                ended = true;
                throw;
            }
        });
    });
    CHECK(cancelled);
    CHECK(ended);
}

TEST_CASE("fibers that end by themselves after the main function are waited for") {
    int ended = 0;
    heddle::run([&] {
        for (int i = 0; i < 10; ++i) {
            heddle::spawn_detached([&, i] {
                for (int turn = 0; turn < 100 * i; ++turn) {
                    heddle::this_fiber::yield();
                }
                ++ended;
            });
        }
    });
    CHECK(ended == 10);
}

TEST_CASE("an exception of the main function comes out after the other fibers have ended") {
    bool ended = false;
    CHECK_THROWS_WITH_AS(heddle::run([&] {
                             heddle::spawn_detached([&] {
                                 std::error_code code;
                                 heddle::this_fiber::sleep_until(heddle::deadline::never(), code);
                                 ended = code == std::errc::operation_canceled;
                             });
                             heddle::this_fiber::yield();
                             throw std::runtime_error("main failed");
                         }),
                         "main failed", std::runtime_error);
    CHECK(ended);
}

TEST_CASE("a handle that outlives run joins at once and gives the result") {
    fiber value = heddle::run([] { return spawn([] { return std::string(100, 'v'); }); });
    CHECK(value.joinable());
    CHECK(value.join() == std::string(100, 'v'));
    CHECK(code_of([&] { return value.join(); }) == std::errc::invalid_argument);

    fiber<> failed = heddle::run([] { return spawn([] { throw std::runtime_error("late"); }); });
    CHECK_THROWS_WITH_AS(failed.join(), "late", std::runtime_error);

    fiber<> stopped = heddle::run([] { return spawn(sleep_for_ever); });
    CHECK_FALSE(stopped.request_stop());
    CHECK(stopped.get_stop_token().stop_requested());
    CHECK(stopped.get_id() != heddle::fiber_id());
    CHECK(code_of([&] { return stopped.join(), 0; }) == std::errc::operation_canceled);

    stopped = heddle::run([] { return spawn(sleep_for_ever); });
    std::error_code code;
    CHECK_FALSE(stopped.join(in_the_past(), code));
    CHECK(code == std::errc::operation_canceled);
}

TEST_CASE("a handle that outlives run can be dropped, detached, assigned over, or used elsewhere") {
    {
        const fiber<> dropped = heddle::run([] { return spawn(sleep_for_ever); });
    }
    heddle::run([] { return spawn(sleep_for_ever); }).detach();
    fiber<> handle = heddle::run([] { return spawn(sleep_for_ever); });
    handle = heddle::run([] { return spawn([] {}); });
    heddle::run([&] {
        handle.join();
        handle = spawn([] {});
    });
    std::jthread([&] { handle.join(); }).join();
    CHECK_FALSE(handle.joinable());
}

TEST_CASE("a handle in a static variable may be dropped when the program ends") {
    const child_result child = run_child([] {
        static fiber<> never_joined;
        heddle::run([] {
            never_joined = spawn(sleep_for_ever);
            heddle::this_fiber::yield();
        });
        std::exit(0);
    });
    CHECK(child.exit_status == 0);
    CHECK(child.output == "");
}

TEST_CASE("fibers spawned during the shutdown run, and are stopped already") {
    constexpr int generations = 200;
    int started = 0;
    int cancelled = 0;
    std::function<void()> generation = [&] {
        ++started;
        CHECK(heddle::this_fiber::get_stop_token().stop_requested());
        try {
            sleep_for_ever();
        } catch (const heddle::cancelled&) {
            ++cancelled;
            if (started < generations) {
                heddle::spawn_detached(generation);
                fiber never_finishes([] {
                    heddle::this_fiber::check_cancelled();
                    FAIL("went on");
                });
                CHECK_FALSE(never_finishes.request_stop());
            }
            throw;
        }
    };
    heddle::run([&] { heddle::spawn_detached(generation); });
    CHECK(started == generations);
    CHECK(cancelled == generations);
}

TEST_CASE("stop callbacks that the shutdown runs may spawn as many fibers as they like") {
    int ran = 0;
    heddle::run([&] {
        for (int i = 0; i < 3; ++i) {
            heddle::spawn_detached([&] {
                const std::stop_callback spawns(heddle::this_fiber::get_stop_token(), [&] {
                    for (int j = 0; j < 2000; ++j) {
                        heddle::spawn_detached([&] { ++ran; });
                    }
                });
                sleep_for_ever();
            });
        }
        let_others_run();
    });
    CHECK(ran == 6000);
}

TEST_CASE("a fiber that takes its time within the period of grace is waited for") {
    bool ended = false;
    heddle::run(
        [&] {
            heddle::spawn_detached([&] {
                std::error_code code;
                heddle::this_fiber::sleep_until(heddle::deadline::never(), code);
                for (int turn = 0; turn < 10'000; ++turn) {
                    heddle::this_fiber::yield();
                }
                ended = true;
            });
        },
        {.shutdown_grace = 1h});
    CHECK(ended);
}

TEST_CASE(
    "a fiber that refuses to end is named, and the process terminates, not before the grace") {
    const auto began = std::chrono::steady_clock::now();
    const child_result child = run_child([] {
        heddle::run(
            [] {
                heddle::spawn_detached({.name = "stubborn"}, [] {
                    for (;;) {
                        std::error_code code;
                        heddle::this_fiber::sleep_for(1h, code);
                    }
                });
                heddle::spawn_detached({.name = "obedient"}, sleep_for_ever);
            },
            {.shutdown_grace = 30ms});
        std::puts("run returned");
    });
    CHECK(std::chrono::steady_clock::now() - began >= 30ms);
    CAPTURE(child.output);
    CHECK(child.signal == SIGABRT);
    CHECK(contains(child.output, "shutdown_grace"));
    CHECK(contains(child.output, "\"stubborn\""));
    CHECK_FALSE(contains(child.output, "\"obedient\""));
    CHECK_FALSE(contains(child.output, "run returned"));
}

TEST_CASE("who can run when the grace is over has one more turn") {
    bool ended = false;
    heddle::run(
        [&] {
            heddle::spawn_detached([&] {
                std::error_code code;
                heddle::this_fiber::sleep_until(heddle::deadline::never(), code);
                const heddle::shield whole;
                // As if the process had been kept from running.
                const auto began = std::chrono::steady_clock::now();
                while (std::chrono::steady_clock::now() - began < 20ms) {
                }
                heddle::this_fiber::sleep_for(1ns);
                ended = true;
            });
            let_others_run();
        },
        {.shutdown_grace = 10ms});
    CHECK(ended);
}

TEST_CASE("a fiber that waits in a destructor at the end of the grace is named, too") {
    const child_result child = run_child([] {
        heddle::run(
            [] {
                heddle::spawn_detached({.name = "joins"}, [] {
                    const fiber<> inner = spawn({.name = "never ends"}, [] {
                        for (;;) {
                            heddle::this_fiber::yield();
                        }
                    });
                });
                let_others_run();
            },
            {.shutdown_grace = 0ns});
    });
    CAPTURE(child.output);
    CHECK(child.signal == SIGABRT);
    CHECK(contains(child.output, "\"joins\", waiting: joining in a destructor"));
    CHECK(contains(child.output, "\"never ends\""));
}

TEST_CASE("a negative period of grace is none, and the longest does not overflow") {
    heddle::run([] { heddle::spawn_detached([] {}); }, {.shutdown_grace = -1h});
    heddle::run([] { heddle::spawn_detached(sleep_for_ever); },
                {.shutdown_grace = std::chrono::nanoseconds::max()});
}
