// Deadlines of scopes: which one wins, what they cancel, and what the error says.
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include <heddle/cancel.hpp>
#include <heddle/scope.hpp>
#include <heddle/semaphore.hpp>

#include <doctest/doctest.h>

#include <string>
#include <system_error>
#include <thread>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

template <class F>
std::string text_of(F&& f) {
    return message_of<std::system_error>([&] { return f(), 0; });
}

/// Whether a wait that begins now is cancelled.
bool is_cancelled_now() {
    std::error_code code;
    this_fiber::sleep_for(0ns, code);
    return code == std::errc::operation_canceled;
}

TEST_CASE("with_deadline gives what its function gives in time") {
    in_fiber([] {
        CHECK(with_deadline(1h, [] { return 1; }) == 1);
        CHECK(with_deadline(deadline::never(),
                            [](scope& own) { return own.spawn([] { return 2; }).get(); }) == 2);
        with_deadline(1h, [] {});
        int target = 0;
        CHECK(&with_deadline(1h, [&]() -> int& { return target; }) == &target);
    });
}

TEST_CASE("when the deadline passes, the wait inside is cancelled and the error names the scope") {
    on_both_atomic_paths([] {
        in_fiber([] {
            bool inside = false;
            const int line = __LINE__ + 2;
            const std::string text = text_of([&] {
                with_deadline(1ms, [&] {
                    CHECK_THROWS_AS(sleep_for_ever(), cancelled);
                    CHECK_THROWS_AS(this_fiber::check_cancelled(), cancelled);
                    CHECK_FALSE(this_fiber::get_stop_token().stop_requested());
                    inside = true;
                    sleep_for_ever();
                });
            });
            CHECK(inside);
            CHECK(contains(text, "heddle::with_deadline"));
            CHECK(contains(text, "deadline_test.cpp:" + std::to_string(line)));
            CHECK_FALSE(is_cancelled_now());  // that ended with the scope
            this_fiber::check_cancelled();
        });
    });
}

TEST_CASE("the nearest deadline wins, the call's own or that of any scope around it") {
    in_fiber([] {
        counting_semaphore<> none(0);
        // The call's own.
        CHECK(with_deadline(
            1h, [&] { return code_of([&] { none.acquire(1ms); }) == std::errc::timed_out; }));
        // The inner scope's.
        CHECK(with_deadline(1h, [&] {
            return contains(text_of([&] { with_deadline(1ms, [&] { none.acquire(1h); }); }),
                            "with_deadline");
        }));
        // The outer scope's: inside it is a cancellation, also for the inner scope.
        bool inner_was_cancelled = false;
        CHECK(code_of([&] {
                  with_deadline(1ms, [&] {
                      try {
                          with_deadline(1h, [&] { none.acquire(1h); });
                      } catch (const cancelled&) {
                          inner_was_cancelled = true;
                          throw;
                      }
                  });
                  return 0;
              }) == std::errc::timed_out);
        CHECK(inner_was_cancelled);
        CHECK_FALSE(is_cancelled_now());
    });
}

TEST_CASE("a deadline in the past lets the function begin, and its first wait is cancelled") {
    in_fiber([] {
        CHECK(with_deadline(in_the_past(), [] { return 1; }) == 1);
        bool began = false;
        CHECK(code_of([&] {
                  with_deadline(in_the_past(), [&] {
                      began = true;
                      sleep_for_ever();
                  });
                  return 0;
              }) == std::errc::timed_out);
        CHECK(began);
        bool child_ran = false;
        CHECK(code_of([&] {
                  with_deadline(in_the_past(), [&](scope& own) {
                      own.spawn([&] {
                          child_ran = true;
                          CHECK(is_cancelled_now());
                      });
                  });
                  return 0;
              }) == std::errc::timed_out);
        CHECK(child_ran);
    });
}

TEST_CASE("a function that swallows the cancellation is told on; one that was quicker is not") {
    in_fiber([] {
        CHECK(code_of([] {
                  return with_deadline(1ms, [] {
                      try {
                          sleep_for_ever();
                      } catch (...) {
                      }
                      return 1;
                  });
              }) == std::errc::timed_out);
        std::error_code inside;
        CHECK(code_of([&] {
                  with_deadline(1ms, [&] { this_fiber::sleep_for(1h, inside); });
                  return 0;
              }) == std::errc::timed_out);
        CHECK(inside == std::errc::operation_canceled);
        // The deadline passes, but nothing was cut short by it.
        CHECK(with_deadline(1us, [] {
                  const shield all;
                  this_fiber::sleep_for(1ms);
                  return 2;
              }) == 2);
    });
}

TEST_CASE("the forms with an error code report what the others throw") {
    in_fiber([] {
        std::error_code ec = std::make_error_code(std::errc::io_error);
        CHECK(with_deadline(
                  1h, [] { return 1; }, ec) == 1);
        CHECK_FALSE(ec);
        CHECK_FALSE(with_deadline(1ms, sleep_for_ever, ec));
        CHECK(ec == std::errc::timed_out);
        const auto waits = [](scope&) {
            sleep_for_ever();
            return 1;
        };
        CHECK_FALSE(with_deadline(1ms, waits, ec).has_value());
        CHECK(ec == std::errc::timed_out);
        CHECK(with_scope([](scope&) {}, ec));
        CHECK_FALSE(ec);
        CHECK_FALSE(with_scope([](scope& all) { all.cancel(), sleep_for_ever(); }, ec));
        CHECK(ec == std::errc::operation_canceled);
        const auto fails = [](scope& all) {
            all.spawn([] { throw std::system_error(std::make_error_code(std::errc::io_error)); });
            return 1;
        };
        CHECK_FALSE(with_scope(fails, ec).has_value());
        CHECK(ec == std::errc::io_error);
        CHECK_THROWS_AS(with_scope([](scope&) { throw 1; }, ec), int);
        fiber stopped([&] { CHECK_FALSE(with_scope(waits, ec).has_value()); });
        let_others_run();
        stopped.request_stop();
        stopped.join();
        CHECK(ec == std::errc::operation_canceled);
    });
}

TEST_CASE("a code of cancellation that is thrown on counts as that") {
    in_fiber([] {
        CHECK(code_of([] {
                  with_deadline(1ms, [] {
                      std::error_code ec;
                      this_fiber::sleep_for(1h, ec);
                      throw std::system_error(ec);
                  });
                  return 0;
              }) == std::errc::timed_out);
        // Unless nobody was cancelled.
        CHECK(code_of([] {
                  with_deadline(1h, [] {
                      throw std::system_error(std::make_error_code(std::errc::operation_canceled));
                  });
                  return 0;
              }) == std::errc::operation_canceled);
    });
}

TEST_CASE("another exception than cancellation is more than a timeout") {
    in_fiber([] {
        CHECK(message_of<std::runtime_error>([] {
                  with_deadline(1ms, [] {
                      try {
                          sleep_for_ever();
                      } catch (const cancelled&) {
                          throw std::runtime_error("while giving up");
                      }
                  });
                  return 0;
              }) == "while giving up");
    });
}

TEST_CASE("the deadline of a scope cancels its children, in every generation, and not its owner") {
    in_fiber([] {
        int ended = 0;
        const auto leaf = [&] {
            CHECK_THROWS_AS(sleep_for_ever(), cancelled);
            ++ended;
        };
        scope all(1ms);
        all.spawn([&] {
            scope inner;
            inner.spawn(leaf);
            inner.spawn([&] {
                with_scope([&](scope& innermost) {
                    innermost.spawn(leaf);
                    sleep_for_ever();
                });
            });
            inner.join();
        });
        this_fiber::sleep_for(2ms);
        CHECK_FALSE(is_cancelled_now());
        const std::string text = text_of([&] { all.join(); });
        CHECK(contains(text, "heddle::scope at "));
        CHECK(ended == 2);
        std::error_code ec;
        CHECK_FALSE(all.join(ec));
        CHECK(ec == std::errc::timed_out);
        {
            scope dropped(1us);
            dropped.spawn(leaf);
            this_fiber::sleep_for(1ms);
        }
        CHECK(ended == 3);
    });
}

TEST_CASE("children that end in time are no timeout, whenever the scope is joined") {
    in_fiber([] {
        scope all(1ms);
        child<int> quick = all.spawn([] { return 1; });
        let_others_run();
        this_fiber::sleep_for(2ms);
        all.join();
        CHECK(quick.get() == 1);
        all.spawn([] { CHECK(is_cancelled_now()); });  // too late
        CHECK(code_of([&] { return all.join(), 0; }) == std::errc::timed_out);
    });
}

TEST_CASE("a shield in the body holds against the scope's deadline, until it is over") {
    in_fiber([] {
        bool went_on = false;
        CHECK(code_of([&] {
                  with_deadline(1us, [&] {
                      {
                          const shield inner;
                          this_fiber::sleep_for(1ms);
                          CHECK_FALSE(is_cancelled_now());
                          went_on = true;
                      }
                      sleep_for_ever();
                  });
                  return 0;
              }) == std::errc::timed_out);
        CHECK(went_on);
        CHECK(code_of([&] {
                  with_deadline(1us, [&] {
                      const shield brief(1ms);
                      CHECK_THROWS_AS(sleep_for_ever(), cancelled);
                      sleep_for_ever();
                  });
                  return 0;
              }) == std::errc::timed_out);
    });
}

TEST_CASE(
    "what a shield keeps out is not taken for the reason why something inside was cancelled") {
    in_fiber([] {
        const auto cancels_its_own = [] {
            with_scope([](scope& inner) {
                inner.cancel();
                CHECK(is_cancelled_now());
            });
        };
        CHECK(with_deadline(in_the_past(), [&] {
                  const shield whole;
                  cancels_its_own();
                  return 42;
              }) == 42);
        // A shield that is over keeps nothing out.
        CHECK(code_of([&] {
                  with_deadline(in_the_past(), [&] {
                      const shield over(in_the_past());
                      cancels_its_own();
                  });
                  return 0;
              }) == std::errc::timed_out);
    });
}

TEST_CASE("a scope under a shield has a deadline all the same, and keeps requests out") {
    in_fiber([] {
        fiber child([] {
            {
                const shield outer;
                CHECK(code_of([] { return with_deadline(1ms, sleep_for_ever), 0; }) ==
                      std::errc::timed_out);
                with_scope([](scope& own) {
                    auto value = own.spawn([] {
                        this_fiber::sleep_for(1us);
                        return 1;
                    });
                    CHECK(value.get() == 1);
                });
                CHECK(this_fiber::get_stop_token().stop_requested());
            }
            CHECK(is_cancelled_now());
        });
        child.request_stop();
        child.join();
    });
}

TEST_CASE("the fiber's own cancellation stays when the scope is over") {
    in_fiber([] {
        fiber child([] {
            CHECK_THROWS_AS(with_deadline(1h, sleep_for_ever), cancelled);
            CHECK(is_cancelled_now());
            CHECK_THROWS_AS(with_deadline(1h, sleep_for_ever), cancelled);
            CHECK(code_of([] { return with_deadline(in_the_past(), sleep_for_ever), 0; }) ==
                  std::errc::timed_out);  // the scope's was the nearest
            CHECK(is_cancelled_now());
        });
        let_others_run();
        child.request_stop();
        child.join();
    });
}

TEST_CASE("a fiber that only asks whether it is cancelled notices deadlines and other threads") {
    in_fiber([] {
        CHECK(code_of([] {
                  with_deadline(1ms, [] {
                      for (;;) {
                          this_fiber::check_cancelled();
                      }
                  });
                  return 0;
              }) == std::errc::timed_out);
        with_scope([](scope& own) {
            std::thread other([&] { own.cancel(); });
            std::error_code ec;
            while (!ec) {
                this_fiber::check_cancelled(ec);
            }
            other.join();
        });
    });
}

TEST_CASE("many deadlines at once fire in their order") {
    in_fiber([] {
        const int count = scaled(1000);
        int timeouts = 0;
        scope all;
        for (int i = 0; i < count; ++i) {
            all.spawn([&, i] {
                std::error_code ec;
                bool too_late = false;
                const auto inner = std::chrono::microseconds(i % 50);
                const auto outer = std::chrono::microseconds(i % 70);
                const deadline call(inner);
                const deadline whole(outer);
                try {
                    with_deadline(whole, [&] {
                        too_late = whole.has_passed();  // to be opened
                        this_fiber::sleep_until(call, ec);
                    });
                    CHECK(call <= whole);
                } catch (const std::system_error&) {
                    ++timeouts;
                    CHECK((whole <= call || too_late));
                    CHECK(ec == std::errc::operation_canceled);
                }
            });
        }
        all.join();
        CHECK(timeouts > 0);
        CHECK_FALSE(is_cancelled_now());
    });
}

}  // namespace

}  // namespace heddle::test
