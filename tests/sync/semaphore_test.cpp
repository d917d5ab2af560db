// Semaphores: order, deadlines, cancellation, plain threads.
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/semaphore.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

TEST_CASE("permits that are there are taken at once, and no more than those") {
    counting_semaphore<> two(2);
    CHECK(two.try_acquire());
    two.acquire();  // on a plain thread
    CHECK_FALSE(two.try_acquire());
    two.release(2);
    in_fiber([&] {
        two.acquire();
        CHECK(two.try_acquire());
        CHECK_FALSE(two.try_acquire());
    });
}

TEST_CASE("permits go to waiters in the order in which they began to wait") {
    on_both_atomic_paths([] {
        in_fiber([] {
            counting_semaphore<> permits(0);
            std::vector<int> order;
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 5; ++i) {
                fibers.push_back(spawn([&order, &permits, i] {
                    permits.acquire();
                    order.push_back(i);
                }));
            }
            let_others_run();
            permits.release(2);
            CHECK_FALSE(permits.try_acquire());  // they are the waiters' from then on
            let_others_run();
            CHECK(order == std::vector{0, 1});
            permits.release(3);
            for (auto& one : fibers) {
                one.join();
            }
            CHECK(order == std::vector{0, 1, 2, 3, 4});
            CHECK_FALSE(permits.try_acquire());
        });
    });
}

TEST_CASE("a waiter whose deadline passes leaves its place, and no permit is lost") {
    in_fiber([] {
        counting_semaphore<> permits(0);
        CHECK(code_of([&] { permits.acquire(1ms); }) == std::errc::timed_out);
        CHECK(code_of([&] { permits.acquire(in_the_past()); }) == std::errc::timed_out);
        CHECK_FALSE(permits.try_acquire_for(1ms));
        permits.release();
        permits.acquire(in_the_past());  // tries once all the same
        std::error_code ec;
        permits.acquire(1ms, ec);
        CHECK(ec == std::errc::timed_out);
        CHECK_FALSE(permits.try_acquire_for(1ms, ec));
        CHECK_FALSE(ec);
        fiber<> second([&] { permits.acquire(); });
        fiber<> third([&] { permits.acquire(); });
        let_others_run();
        second.request_stop();
        let_others_run();
        permits.release();
        third.join();
        CHECK(code_of([&] { second.join(); }) == std::errc::operation_canceled);
        CHECK_FALSE(permits.try_acquire());
    });
}

TEST_CASE("a fiber that was asked to stop takes no permit, though there is one") {
    in_fiber([] {
        counting_semaphore<> permits(1);
        fiber<> stopped([&] {
            std::error_code ec;
            permits.acquire(ec);
            CHECK(ec == std::errc::operation_canceled);
        });
        stopped.request_stop();
        stopped.join();
        CHECK(permits.try_acquire());
    });
}

TEST_CASE("fibers and plain threads hand permits to one another") {
    const int rounds = scaled(2000);
    counting_semaphore<> there(0);
    counting_semaphore<> back(0);
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            there.acquire();
            back.release();
        }
        CHECK_FALSE(there.try_acquire_for(1ms));
    });
    in_fiber([&] {
        for (int i = 0; i < rounds; ++i) {
            there.release();
            back.acquire();
        }
    });
    other.join();
}

TEST_CASE("trying for a time tells a permit, the end of the time, and a request to stop apart") {
    in_fiber([] {
        counting_semaphore<> permits(1);
        std::error_code ec = std::make_error_code(std::errc::io_error);
        CHECK(permits.try_acquire_until(in_the_past(), ec));
        CHECK_FALSE(ec);
        CHECK_FALSE(permits.try_acquire_until(in_the_past(), ec));
        CHECK_FALSE(ec);
        fiber<> stopped([&] {
            CHECK_FALSE(permits.try_acquire_for(1h, ec));
            CHECK(ec == std::errc::operation_canceled);
            permits.release();
            CHECK_FALSE(permits.try_acquire_for(1h, ec));
            CHECK(ec == std::errc::operation_canceled);
        });
        let_others_run();
        stopped.request_stop();
        stopped.join();
        CHECK(permits.try_acquire());
    });
}

TEST_CASE("a number of permits that cannot be is refused, with the number and the limit") {
    CHECK(message_of<std::invalid_argument>([] { counting_semaphore<3>(4); }) ==
          "heddle::counting_semaphore: 4 permits at the start, but it holds from 0 to 3");
    CHECK(message_of<std::invalid_argument>([] { counting_semaphore<>(-1); }) !=
          "nothing was thrown");
}

TEST_CASE("a semaphore that is given too many permits, or a negative number, ends the process") {
    const child_result too_many = run_child([] { counting_semaphore<3>(2).release(2); });
    CHECK(too_many.signal == SIGABRT);
    CHECK(contains(too_many.output, "heddle: a semaphore is given more permits than it can hold: "
                                    "given = 2, limit = 3"));
    const child_result negative = run_child([] { counting_semaphore<>(0).release(-2); });
    CHECK(negative.signal == SIGABRT);
    CHECK(contains(negative.output, "permits, by this many: permits = 2"));
    const child_result least = run_child(
        [] { counting_semaphore<>(0).release(std::numeric_limits<std::ptrdiff_t>::min()); });
    CHECK(least.signal == SIGABRT);
    CHECK(contains(least.output, "permits, by this many: permits = "));
}

}  // namespace

}  // namespace heddle::test
