// Scopes: children that end with their block, their values and their exceptions.
#include "tests/base/door_keeper.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include <heddle/event.hpp>
#include <heddle/local.hpp>
#include <heddle/scope.hpp>
#include <heddle/semaphore.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

void sleep_for_ever() {
    this_fiber::sleep_until(deadline::never());
}

[[noreturn]] void fail(const char* why) {
    throw std::runtime_error(why);
}

[[noreturn]] void fail_by_code() {
    throw std::system_error(std::make_error_code(std::errc::io_error));
}

/// What the std::runtime_error says that `f` throws.
template <class F>
std::string failure_of(F&& f) {
    return message_of<std::runtime_error>([&] { return f(), 0; });
}

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

TEST_CASE("with_scope gives the value of its body, when all children have ended") {
    in_fiber([] {
        bool ended = false;
        const auto value = with_scope([&](scope& all) {
            all.spawn([&] {
                this_fiber::sleep_for(1us);
                ended = true;
            });
            return std::make_unique<int>(3);
        });
        CHECK(ended);
        CHECK(*value == 3);
        int target = 0;
        CHECK(&with_scope([&](scope&) -> int& { return target; }) == &target);
        with_scope([](scope&) {});
    });
}

TEST_CASE("a child's exception ends the waits of the body, and with_scope throws it") {
    in_fiber([] {
        CHECK(failure_of([] {
                  with_scope([](scope& all) {
                      all.spawn([] { fail("of the child"); });
                      sleep_for_ever();
                  });
              }) == "of the child");
        this_fiber::sleep_for(1us);  // that was over with the scope
        CHECK_FALSE(this_fiber::get_stop_token().stop_requested());
    });
}

TEST_CASE("an exception of the body cancels the children, and with_scope throws the first") {
    in_fiber([] {
        bool ended = false;
        CHECK(failure_of([&] {
                  with_scope([&](scope& all) {
                      all.spawn([&] {
                          CHECK_THROWS_AS(sleep_for_ever(), cancelled);
                          ended = true;
                          fail("later");
                      });
                      let_others_run();
                      fail("of the body");
                  });
              }) == "of the body");
        CHECK(ended);
        CHECK(failure_of([&] {
                  with_scope([&](scope& all) {
                      all.spawn([] { fail("first"); });
                      CHECK_THROWS_AS(sleep_for_ever(), cancelled);
                      fail("later");
                  });
              }) == "first");
    });
}

TEST_CASE("cancel ends the body, too; that is no error unless a value is due") {
    in_fiber([] {
        bool went_on = false;
        with_scope([&](scope& all) {
            all.spawn(sleep_for_ever);
            all.cancel();
            all.join();  // waits for those who are cancelled
            sleep_for_ever();
            went_on = true;
        });
        CHECK_FALSE(went_on);
        CHECK(with_scope([](scope& all) {
                  all.cancel();
                  return 1;
              }) == 1);
        CHECK(code_of([&] {
                  return with_scope([&](scope& all) {
                      all.spawn([&] { all.cancel(); });
                      sleep_for_ever();
                      return 1;
                  });
              }) == std::errc::operation_canceled);
        this_fiber::sleep_for(1us);
    });
}

TEST_CASE("join_all gives all values, or the first exception") {
    in_fiber([] {
        const auto [one, none, text] = join_all(
            [] {
                this_fiber::sleep_for(1us);
                return 1;
            },
            [] {},
            [](std::stop_token token) { return std::string(token.stop_possible() ? "t" : ""); });
        CHECK(one == 1);
        CHECK(none == std::monostate());
        CHECK(text == "t");
        CHECK(join_all() == std::tuple<>());
        CHECK(failure_of([] { join_all(sleep_for_ever, [] { fail("one of all"); }); }) ==
              "one of all");
    });
}

TEST_CASE("the first to finish wins a race, and the others are cancelled") {
    in_fiber([] {
        int ended = 0;
        const auto sleeps = [&ended](auto how_long) {
            return [&ended, how_long] {
                struct counter {
                    int& count;
                    ~counter() { ++count; }
                } const at_end{ended};
                this_fiber::sleep_for(how_long);
                return how_long.count();
            };
        };
        CHECK(race(sleeps(1h), sleeps(2us), sleeps(3h)) == 2);
        CHECK(ended == 3);
        CHECK(failure_of([&] { race(sleep_for_ever, [] { fail("quickest"); }); }) == "quickest");
        CHECK(race([] { return 1; },
                   [] {
                       CHECK_THROWS_AS(sleep_for_ever(), cancelled);
                       fail("a loser's");
                       return 2L;
                   }) == 1L);
        race([] {}, sleep_for_ever);
        this_fiber::sleep_for(1us);
    });
}

TEST_CASE("a fiber that is stopped in a race or while it joins all stops them, and ends") {
    in_fiber([] {
        int ended = 0;
        const auto child = [&] {
            CHECK_THROWS_AS(sleep_for_ever(), cancelled);
            ++ended;
        };
        fiber races([&] { race(child, child); });
        fiber joins([&] { join_all(child, child); });
        let_others_run();
        races.request_stop();
        joins.request_stop();
        CHECK(code_of([&] { return races.join(), 0; }) == std::errc::operation_canceled);
        CHECK(code_of([&] { return joins.join(), 0; }) == std::errc::operation_canceled);
        CHECK(ended == 4);
    });
}

TEST_CASE("join_all with an error code gives all values, or says why there are none") {
    in_fiber([] {
        std::error_code ec = std::make_error_code(std::errc::io_error);
        auto all = join_all(
            ec, [] { return std::make_unique<int>(1); },
            [] {
                this_fiber::sleep_for(1us);
                return std::optional<int>();
            },
            [] {});
        REQUIRE(all.has_value());
        CHECK_FALSE(ec);
        auto& [one, nothing, none] = *all;
        CHECK(*one == 1);
        CHECK_FALSE(nothing.has_value());
        CHECK(none == std::monostate());
        CHECK(join_all(ec) == std::tuple<>());
        CHECK_FALSE(join_all(ec, sleep_for_ever, fail_by_code).has_value());
        CHECK(ec == std::errc::io_error);
        CHECK(failure_of([&] { join_all(ec, sleep_for_ever, [] { fail("one of all"); }); }) ==
              "one of all");
        // One that ends so has not failed: the others go on, and only its value is missing.
        bool other_ended = false;
        CHECK_FALSE(join_all(
                        ec, [] { throw cancelled(); },
                        [&] {
                            this_fiber::sleep_for(1us);
                            other_ended = true;
                        })
                        .has_value());
        CHECK(ec == std::errc::operation_canceled);
        CHECK(other_ended);
        CHECK(join_all(ec, [] {}).has_value());
        CHECK_FALSE(ec);
    });
}

TEST_CASE("a race with an error code gives the value of the first, or its error") {
    in_fiber([] {
        std::error_code ec = std::make_error_code(std::errc::io_error);
        const std::optional<long> ready = race(
            ec, [] { return 1; },
            [] {
                sleep_for_ever();
                return 2L;
            });
        CHECK(ready == 1L);
        CHECK_FALSE(ec);
        const std::optional<std::unique_ptr<int>> late = race(
            ec,
            [] {
                sleep_for_ever();
                return std::make_unique<int>(1);
            },
            [] {
                this_fiber::sleep_for(1us);
                return std::make_unique<int>(2);
            });
        REQUIRE(late.has_value());
        CHECK(**late == 2);
        CHECK(race(
            ec, [] {},
            [] {
                CHECK_THROWS_AS(sleep_for_ever(), cancelled);
                fail("a loser's");
            }));
        CHECK_FALSE(ec);
        CHECK_FALSE(race(ec, sleep_for_ever, fail_by_code));
        CHECK(ec == std::errc::io_error);
        CHECK_FALSE(race(ec, sleep_for_ever, [] { throw cancelled(); }));
        CHECK(ec == std::errc::operation_canceled);
        CHECK(failure_of([&] { race(ec, sleep_for_ever, [] { fail("quickest"); }); }) ==
              "quickest");
        CHECK(race(ec, [] {}));
        CHECK_FALSE(ec);
    });
}

TEST_CASE("joining all and a race report by their code that their fiber was stopped") {
    using form = bool (*)(std::error_code & ec, std::function<void()> f);
    const form forms[] = {
        [](std::error_code& ec, std::function<void()> f) { return join_all(ec, f, f).has_value(); },
        [](std::error_code& ec, std::function<void()> f) { return race(ec, f, f); }};
    for (const form call : forms) {
        in_fiber([call] {
            int ended = 0;
            const auto waits = [&ended] {
                CHECK_THROWS_AS(sleep_for_ever(), cancelled);
                ++ended;
            };
            const auto is_cancelled = [&] {
                std::error_code ec;
                CHECK_FALSE(call(ec, waits));
                CHECK(ec == std::errc::operation_canceled);
            };
            fiber before(is_cancelled);
            before.request_stop();
            before.join();
            CHECK(ended == 2);
            fiber meanwhile(is_cancelled);
            let_others_run();
            meanwhile.request_stop();
            meanwhile.join();
            CHECK(ended == 4);
            for (const deadline until : {in_the_past(), deadline(1ms)}) {
                std::error_code ec;
                CHECK_FALSE(with_deadline(
                    until,
                    [&] {
                        is_cancelled();
                        this_fiber::check_cancelled();
                    },
                    ec));
                CHECK(ec == std::errc::timed_out);
            }
            CHECK(ended == 8);
            std::error_code ec;
            CHECK(call(ec, [] {}));
            CHECK_FALSE(ec);
        });
    }
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

TEST_CASE("outside of a fiber there is no scope") {
    CHECK_THROWS_AS(const scope none, std::logic_error);
    CHECK_THROWS_AS(with_deadline(1s, [] {}), std::logic_error);
    CHECK_THROWS_AS(join_all([] {}), std::logic_error);
    in_fiber([] {
        scope all;
        std::thread([&] {
            CHECK_THROWS_AS(all.spawn([] {}), std::logic_error);
            run([&] { CHECK_THROWS_AS(all.spawn([] {}), std::logic_error); });
        }).join();
        all.join();
    });
}

TEST_CASE("a child that waits for itself or for its own scope is refused") {
    in_fiber([] {
        scope all;
        child<> self = all.spawn([&] {
            CHECK(code_of([&] { return self.get(), 0; }) ==
                  std::errc::resource_deadlock_would_occur);
            CHECK(code_of([&] { return all.join(), 0; }) ==
                  std::errc::resource_deadlock_would_occur);
        });
        let_others_run();
        all.join();
    });
}

TEST_CASE("a child that waits for itself or its own scope is refused, too, if others wait for it") {
    in_fiber([] {
        for (const bool cancelled : {false, true}) {
            scope all;
            child<> self = all.spawn([&] {
                const shield as_if_not_cancelled;
                CHECK(code_of([&] { return all.join(), 0; }) ==
                      std::errc::resource_deadlock_would_occur);
                std::error_code ec;
                CHECK_FALSE(self.get(ec));
                CHECK(ec == std::errc::resource_deadlock_would_occur);
            });
            if (cancelled) {
                all.cancel();
            }
            all.join();
        }
    });
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

TEST_CASE("a child that gets no stack fails the scope") {
    in_fiber([] {
        scope all;
        child<> sleeper = all.spawn(sleep_for_ever);
        let_others_run();
        const auto stack_bytes = std::size_t{700'000};  // of a size that has no idle stack
        child<> refused = all.spawn({.stack_bytes = stack_bytes}, [] {});
        {
            const door_keeper no_memory([](detail::sys::call asked, int) -> std::int64_t {
                return asked == detail::sys::call::mmap ? -ENOMEM : 0;
            });
            let_others_run();
        }
        CHECK(code_of([&] { return all.join(), 0; }) == std::errc::not_enough_memory);
        CHECK(code_of([&] { return sleeper.get(), 0; }) == std::errc::operation_canceled);
        CHECK(code_of([&] { return refused.get(), 0; }) == std::errc::not_enough_memory);
    });
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
