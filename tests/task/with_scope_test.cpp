// Blocks of children in one call: with_scope, join_all and race.
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"
#include "tests/task/helpers.hpp"

#include <heddle/scope.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <tuple>
#include <variant>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

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

TEST_CASE("a race that cannot spawn all ends those that it has spawned") {
    struct cannot_be_copied_now {
        cannot_be_copied_now() = default;
        cannot_be_copied_now(const cannot_be_copied_now&) { fail("copied"); }
        int operator()() const { return 2; }
    };
    in_fiber([] {
        const cannot_be_copied_now second;
        int ended = 0;
        const auto first = [&] {
            CHECK_THROWS_AS(sleep_for_ever(), cancelled);
            ++ended;
            return 1;
        };
        CHECK(failure_of([&] { return race(first, second); }) == "copied");
        CHECK(failure_of([&] {
                  std::error_code ec;
                  return race(ec, first, second);
              }) == "copied");
        CHECK(ended == 2);
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

}  // namespace

}  // namespace heddle::test
