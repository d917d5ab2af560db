// Events: whom set() lets go on, deadlines, cancellation, plain threads, and their end.
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"

#include "heddle/event.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

TEST_CASE("an event that is set keeps nobody waiting until it is reset") {
    on_both_atomic_paths([] {
        event happened;
        CHECK_FALSE(happened.is_set());
        CHECK_FALSE(happened.try_wait());
        happened.set();
        happened.set();
        happened.wait();  // on a plain thread
        in_fiber([&] {
            happened.wait();
            happened.wait(in_the_past());
            CHECK(happened.try_wait());
            CHECK(happened.is_set());
            happened.reset();
            CHECK_FALSE(happened.try_wait());
            CHECK(code_of([&] { happened.wait(1ms); }) == std::errc::timed_out);
        });
        CHECK(event(true).is_set());
    });
}

TEST_CASE("whoever waits for an event goes on when it is set, though it is reset at once") {
    on_both_atomic_paths([] {
        in_fiber([] {
            event happened;
            std::vector<int> order;
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 3; ++i) {
                fibers.push_back(spawn([&, i] {
                    happened.wait();
                    order.push_back(i);
                }));
            }
            let_others_run();
            CHECK(order.empty());
            happened.set();
            happened.reset();
            fiber<> late([&] { happened.wait(); });
            let_others_run();
            CHECK(order == std::vector{0, 1, 2});
            late.request_stop();
            CHECK(code_of([&] { late.join(); }) == std::errc::operation_canceled);
            for (auto& one : fibers) {
                one.join();
            }
        });
    });
}

TEST_CASE("an automatic event lets one go on each time, the one that has waited longest") {
    on_both_atomic_paths([] {
        in_fiber([] {
            auto_reset_event next;
            std::vector<int> order;
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 3; ++i) {
                fibers.push_back(spawn([&, i] {
                    next.wait();
                    order.push_back(i);
                }));
            }
            let_others_run();
            next.set();
            CHECK_FALSE(next.try_wait());  // it is the first waiter's
            let_others_run();
            CHECK(order == std::vector{0});
            next.set();
            next.set();
            CHECK_FALSE(next.is_set());
            let_others_run();
            CHECK(order == std::vector{0, 1, 2});
            next.set();
            next.set();  // does not count
            next.wait();
            CHECK_FALSE(next.try_wait());
            next.set();
            next.reset();
            CHECK_FALSE(next.try_wait());
        });
    });
}

TEST_CASE("a wait for an event ends with its deadline or with its fiber's cancellation") {
    in_fiber([] {
        auto_reset_event next;
        CHECK(code_of([&] { next.wait(in_the_past()); }) == std::errc::timed_out);
        std::error_code ec;
        next.wait(1ms, ec);
        CHECK(ec == std::errc::timed_out);
        fiber<> stopped([&] {
            std::error_code inside;
            next.wait(inside);
            CHECK(inside == std::errc::operation_canceled);
            next.wait();
        });
        fiber<> impatient([&] { CHECK(code_of([&] { next.wait(1ms); }) == std::errc::timed_out); });
        fiber<> patient([&] { next.wait(); });
        let_others_run();
        stopped.request_stop();
        impatient.join();
        next.set();  // nobody but the patient one is there to see it
        patient.join();
        CHECK(code_of([&] { stopped.join(); }) == std::errc::operation_canceled);
        CHECK_FALSE(next.is_set());
        next.set();
        next.wait(ec);
        CHECK_FALSE(ec);
    });
}

TEST_CASE("a fiber that was asked to stop sees no event, and an automatic one stays set") {
    in_fiber([] {
        auto_reset_event next(true);
        fiber<> stopped([&] { next.wait(); });
        stopped.request_stop();
        CHECK(code_of([&] { stopped.join(); }) == std::errc::operation_canceled);
        CHECK(next.is_set());
    });
}

TEST_CASE("a set that meets the cancellation of its waiter is the waiter's") {
    in_fiber([] {
        auto_reset_event next;
        bool seen = false;
        fiber<> waiter([&] {
            next.wait();
            seen = true;
        });
        let_others_run();
        next.set();
        waiter.request_stop();
        waiter.join();
        CHECK(seen);
        CHECK_FALSE(next.is_set());
    });
}

TEST_CASE("fibers and plain threads tell one another of events") {
    const int rounds = scaled(2000);
    auto_reset_event there;
    auto_reset_event back;
    event over;
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            there.wait();
            back.set();
        }
        CHECK(code_of([&] { there.wait(1ms); }) == std::errc::timed_out);
        over.wait();
    });
    in_fiber([&] {
        for (int i = 0; i < rounds; ++i) {
            there.set();
            back.wait();
        }
        this_fiber::sleep_for(2ms);
        over.set();
    });
    other.join();
}

TEST_CASE("whoever has waited for an event may destroy it at once") {
    for (int i = 0; i < scaled(2000); ++i) {
        auto happened = std::make_unique<event>();
        std::thread setter([&set_there = *happened] { set_there.set(); });
        if (i % 2 == 0) {
            happened->wait();
        } else {
            in_fiber([&] { happened->wait(); });
        }
        happened.reset();
        setter.join();
    }
}

}  // namespace

}  // namespace heddle::test
