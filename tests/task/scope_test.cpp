// Scopes: children that end with their block, their values and their exceptions.
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"
#include "tests/task/helpers.hpp"

#include <heddle/event.hpp>
#include <heddle/local.hpp>
#include <heddle/scope.hpp>
#include <heddle/semaphore.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

/// How a child process ends in which `body` is the main function.
child_result end_of(void (*body)()) {
    return run_child([=] { run(body); });
}

TEST_CASE("a scope waits for its children, and their handles give their values") {
    on_both_atomic_paths([] {
        in_fiber([] {
            scope all;
            child<int> one = all.spawn([] { return 1; });
            child<int> two = all.spawn(
                [](int x) {
                    this_fiber::sleep_for(1us);
                    return x;
                },
                2);
            child<> none = all.spawn({.name = "named"}, [] { this_fiber::yield(); });
            child<std::unique_ptr<int>> owned = all.spawn(
                [owned = std::make_unique<int>(4)]() mutable { return std::move(owned); });
            int target = 0;
            child<int&> reference = all.spawn([&]() -> int& { return target; });
            all.join();
            CHECK(get_statistics().fibers_alive == 1);
            CHECK(one.get() == 1);
            CHECK(two.get() == 2);
            none.get();
            CHECK(*owned.get() == 4);
            CHECK(&reference.get() == &target);
            CHECK_FALSE(one.valid());
            CHECK(code_of([&] { return one.get(); }) == std::errc::invalid_argument);
        });
    });
}

TEST_CASE("a child's value can be waited for before the scope is joined, by several fibers") {
    on_both_atomic_paths([] {
        in_fiber([] {
            counting_semaphore<> go(0);
            scope all;
            child<int> value = all.spawn([&] {
                go.acquire();
                return 5;
            });
            fiber<int> other([&] { return value.get() + 1; });
            let_others_run();
            fiber<> releases([&] {
                let_others_run();
                go.release();
            });
            all.join();
            CHECK(other.join() == 6);
            CHECK(all.spawn([] { return 3; }).get() == 3);  // not started: runs at once
        });
    });
}

TEST_CASE("a plain thread gets a child's value") {
    in_fiber([] {
        counting_semaphore<> go(0);
        scope all;
        child<int> value = all.spawn([&] {
            go.acquire();
            return 5;
        });
        int got = 0;
        std::thread thread([&] { got = value.get(); });
        go.release();
        all.join();
        thread.join();
        CHECK(got == 5);
    });
}

TEST_CASE("a value that is not there in time stays the handle's") {
    in_fiber([] {
        counting_semaphore<> go(0);
        scope all;
        child<int> value = all.spawn([&] {
            go.acquire();
            return 5;
        });
        CHECK(code_of([&] { return value.get(1ms); }) == std::errc::timed_out);
        std::error_code ec;
        CHECK_FALSE(value.get(in_the_past(), ec));
        CHECK(ec == std::errc::timed_out);
        fiber<> stopped([&] { value.get(); });
        let_others_run();
        stopped.request_stop();
        CHECK(code_of([&] { return stopped.join(), 0; }) == std::errc::operation_canceled);
        CHECK(value.valid());
        go.release();
        CHECK(value.get(ec) == 5);
        CHECK_FALSE(ec);
    });
}

TEST_CASE("the first exception cancels the siblings, and join rethrows it when they have ended") {
    on_both_atomic_paths([] {
        in_fiber([] {
            scope all;
            int ended = 0;
            for (int i = 0; i < 3; ++i) {
                all.spawn([&] {
                    struct counter {
                        int& count;
                        ~counter() {
                            this_fiber::sleep_for(1us);  // shielded: an exception is unwinding
                            ++count;
                        }
                    } const at_end{ended};
                    sleep_for_ever();
                });
            }
            all.spawn([] {
                this_fiber::sleep_for(1us);
                fail("first");
            });
            CHECK(failure_of([&] { all.join(); }) == "first");
            CHECK(ended == 3);
            CHECK(failure_of([&] { all.join(); }) == "first");
            CHECK(get_statistics().fibers_alive == 1);
        });
    });
}

TEST_CASE("exceptions after the first are kept, in their order") {
    in_fiber([] {
        scope all;
        all.spawn([] { sleep_for_ever(); });
        for (const char* const why : {"first", "second", "third"}) {
            all.spawn([why] {
                this_fiber::yield();
                fail(why);
            });
        }
        CHECK(failure_of([&] { all.join(); }) == "first");
        std::vector<std::string> seen;
        for (const std::exception_ptr& one : all.exceptions()) {
            seen.push_back(failure_of([&] { std::rethrow_exception(one); }));
        }
        CHECK(seen == std::vector<std::string>{"first", "second", "third"});
    });
}

TEST_CASE(
    "the first exception is the first to leave a function, however long the fiber then takes") {
    in_fiber([] {
        struct ends_late {
            event& may_end;
            ~ends_late() { may_end.wait(); }
        };
        event may_end;
        const fiber_local<ends_late> local([&] { return ends_late{may_end}; });
        scope all;
        all.spawn([&] {
            static_cast<void>(local.get());
            fail("first");
        });
        all.spawn([] {
            std::error_code ec;
            this_fiber::sleep_until(deadline::never(), ec);
            fail("second");
        });
        let_others_run();
        CHECK(all.exceptions().size() == 2);
        may_end.set();
        CHECK(failure_of([&] { all.join(); }) == "first");
    });
}

TEST_CASE("siblings may take their time with being cancelled") {
    in_fiber([] {
        scope all;
        int rounds = 0;
        all.spawn([&] {
            while (rounds < 100) {
                try {
                    sleep_for_ever();
                } catch (...) {
                    ++rounds;
                }
            }
        });
        all.spawn([] { fail("first"); });
        CHECK(failure_of([&] { all.join(); }) == "first");
        CHECK(rounds == 100);
    });
}

TEST_CASE("get rethrows a child's exception, and join does so too") {
    in_fiber([] {
        {
            scope all;
            child<int> failing = all.spawn([]() -> int { fail("of a child"); });
            CHECK(failure_of([&] { failing.get(); }) == "of a child");
            CHECK(failure_of([&] { all.join(); }) == "of a child");
        }
        {
            scope taken_by_get;
            child<> failing = taken_by_get.spawn([] { fail("of a child"); });
            CHECK(failure_of([&] { failing.get(); }) == "of a child");
        }
        {
            scope taken_as_code;
            child<> failing = taken_as_code.spawn(
                [] { throw std::system_error(std::make_error_code(std::errc::io_error)); });
            std::error_code ec;
            CHECK_FALSE(failing.get(ec));
            CHECK(ec == std::errc::io_error);
            CHECK_FALSE(taken_as_code.join(ec));
            CHECK(ec == std::errc::io_error);
        }
    });
}

TEST_CASE("a child that was stopped has not failed") {
    in_fiber([] {
        scope all;
        child<> stopped = all.spawn(sleep_for_ever);
        child<> in_code = all.spawn([] {
            std::error_code ec;
            this_fiber::sleep_for(1h, ec);
            throw std::system_error(ec);
        });
        child<> by_hand = all.spawn([] { throw cancelled(); });
        let_others_run();
        CHECK(stopped.request_stop());
        CHECK(in_code.request_stop());
        CHECK_FALSE(all.get_stop_token().stop_requested());
        all.join();
        for (child<>* const one : {&stopped, &in_code, &by_hand}) {
            CHECK(code_of([&] { return one->get(), 0; }) == std::errc::operation_canceled);
        }
    });
}

TEST_CASE("a code of cancellation that nobody asked for is a failure like any other") {
    in_fiber([] {
        scope all;
        child<> sleeper = all.spawn(sleep_for_ever);
        all.spawn(
            [] { throw std::system_error(std::make_error_code(std::errc::operation_canceled)); });
        CHECK(code_of([&] { return all.join(), 0; }) == std::errc::operation_canceled);
        CHECK(all.exceptions().size() == 1);
    });
}

TEST_CASE("cancel stops the children there are and those that come, once") {
    on_both_atomic_paths([] {
        in_fiber([] {
            scope all;
            const std::stop_token token = all.get_stop_token();
            int cancelled_ones = 0;
            const auto wait = [&] {
                CHECK_THROWS_AS(sleep_for_ever(), cancelled);
                CHECK(this_fiber::get_stop_token().stop_requested());
                ++cancelled_ones;
            };
            all.spawn(wait);
            let_others_run();
            all.spawn(wait);  // not started when it is stopped
            CHECK_FALSE(token.stop_requested());
            CHECK(all.cancel());
            CHECK_FALSE(all.cancel());
            CHECK(token.stop_requested());
            all.spawn(wait);
            all.join();
            CHECK(cancelled_ones == 3);
            CHECK(all.get_stop_token().stop_requested());
        });
    });
}

TEST_CASE("a scope may be joined again with other children") {
    in_fiber([] {
        scope all;
        all.join();
        all.spawn([] {});
        all.join();
        child<int> late = all.spawn([] { return 2; });
        all.join();
        CHECK(late.get() == 2);
    });
}

TEST_CASE("children may spawn siblings, which join waits for") {
    in_fiber([] {
        scope all;
        int ended = 0;
        struct spawner {
            scope& all;
            int& ended;
            int generations;
            void operator()() const {
                this_fiber::sleep_for(1us);
                if (generations > 0) {
                    all.spawn(spawner{all, ended, generations - 1});
                    all.spawn(spawner{all, ended, generations - 1});
                }
                ++ended;
            }
        };
        all.spawn(spawner{all, ended, 6});
        all.join();
        CHECK(ended == 127);
    });
}

TEST_CASE("the destructor stops and joins, also where an exception ends the block") {
    in_fiber([] {
        bool ended = false;
        const auto child = [&] {
            CHECK_THROWS_AS(sleep_for_ever(), cancelled);
            ended = true;
        };
        {
            scope all;
            all.spawn(child);
        }
        CHECK(std::exchange(ended, false));
        CHECK(failure_of([&] {
                  scope all;
                  all.spawn(child);
                  let_others_run();
                  fail("of the block");
              }) == "of the block");
        CHECK(ended);
    });
}

TEST_CASE("a scope works in a destructor during unwinding") {
    struct opens_scope {
        int& sum;
        ~opens_scope() {
            scope all;
            auto one = all.spawn([] {
                this_fiber::sleep_for(1us);
                return 1;
            });
            all.join();
            sum += one.get();
            CHECK(failure_of([] {
                      with_scope([](scope& inner) {
                          inner.spawn([] { fail("inner"); });
                          sleep_for_ever();  // the failure of the child ends this, even here
                      });
                  }) == "inner");
            CHECK(code_of([] { return with_deadline(1ms, sleep_for_ever), 0; }) ==
                  std::errc::timed_out);
            sum += 1;
        }
    };
    in_fiber([] {
        int sum = 0;
        fiber unwinding([&] {
            const opens_scope at_end{sum};
            sleep_for_ever();
        });
        let_others_run();
        unwinding.request_stop();
        CHECK(code_of([&] { return unwinding.join(), 0; }) == std::errc::operation_canceled);
        CHECK(sum == 2);
    });
}

TEST_CASE("an exception that nobody takes terminates, and the child is named") {
    const child_result dropped = end_of([] {
        scope all;
        all.spawn({.name = "culprit"}, [] { fail("nobody takes this"); });
        let_others_run();
    });
    CHECK(dropped.signal == SIGABRT);
    CHECK(contains(dropped.output, "\"culprit\""));
    CHECK(contains(dropped.output, "nobody takes this"));
    const child_result read = end_of([] {
        scope all;
        all.spawn([] { fail("somebody reads this"); });
        let_others_run();
        CHECK(all.exceptions().size() == 1);
    });
    CHECK(read.exit_status == 0);
}

TEST_CASE("ten thousand children at a time, and as many one after the other") {
    in_fiber([] {
        const int count = scaled_stacks(10'000);
        counting_semaphore<> go(0);
        int ended = 0;
        scope all;
        for (int i = 0; i < count; ++i) {
            all.spawn([&] {
                go.acquire();
                ++ended;
            });
        }
        let_others_run();
        go.release(count / 2);
        let_others_run();
        all.cancel();
        all.join();
        CHECK(ended == count / 2);
        scope server;
        for (int i = 0; i < count; ++i) {
            server.spawn([&] { ++ended; });
            this_fiber::yield();
        }
        CHECK(get_statistics().fibers_alive <= 2);
        server.join();
        CHECK(ended == count / 2 + count);
    });
}

TEST_CASE("a handle outlives the scope, and the run") {
    child<int> kept;
    child<> failed;
    run([&] {
        scope all;
        kept = all.spawn([] { return 8; });
        failed = all.spawn([] { fail("kept"); });
        CHECK(failure_of([&] { all.join(); }) == "kept");
    });
    CHECK(kept.get() == 8);
    CHECK(failure_of([&] { failed.get(); }) == "kept");
}

TEST_CASE("a plain thread and the scope wait for a child, and are told of its exception, at once") {
    for (int i = 0; i < scaled(50); ++i) {
        in_fiber([] {
            scope all;
            event may_fail;
            child<> failing = all.spawn([&] {
                may_fail.wait();
                fail("told");
            });
            std::thread plain([&] {
                std::error_code ec = std::make_error_code(std::errc::timed_out);
                for (int looks = 0; looks < 100 && ec == std::errc::timed_out; ++looks) {
                    failing.get(1us, ec);
                }
                may_fail.set();
                CHECK(failure_of([&] { failing.get(); }) == "told");
            });
            fiber impatient([&] { all.join(); });
            let_others_run();
            CHECK(failure_of([&] { impatient.join(); }) == "told");
            plain.join();
        });
    }
}

TEST_CASE("who joins a scope while others wait for its children does not turn in the meantime") {
    struct ends_late {
        event& may_end;
        ~ends_late() { may_end.wait(); }
    };
    for (const bool gives_up : {false, true}) {
        in_fiber([gives_up] {
            event may_end;
            const fiber_local<ends_late> local([&] { return ends_late{may_end}; });
            scope all;
            child<> last = all.spawn([&] { static_cast<void>(local.get()); });
            fiber gets([&] {
                std::error_code ec;
                CHECK(last.get(ec) != gives_up);
            });
            let_others_run();
            fiber first([&] { all.join(); });
            fiber second([&] { all.join(); });
            let_others_run();
            if (gives_up) {
                gets.request_stop();
                let_others_run();
            }
            CHECK(get_statistics().fibers_runnable == 1);
            may_end.set();
            gets.join();
            first.join();
            second.join();
        });
    }
}

TEST_CASE("plain threads cancel scopes") {
    for (int round = 0; round < scaled(200); ++round) {
        in_fiber([] {
            with_scope([](scope& all) {
                for (int i = 0; i < 10; ++i) {
                    all.spawn([i] {
                        for (int turn = 0; turn < i; ++turn) {
                            this_fiber::yield();
                        }
                        sleep_for_ever();
                    });
                }
                std::thread([&] { all.cancel(); }).join();
                CHECK_THROWS_AS(sleep_for_ever(), cancelled);
            });
            this_fiber::check_cancelled();
        });
    }
}

}  // namespace

}  // namespace heddle::test
