// Latches: when a wait ends, deadlines, cancellation, plain threads, errors, and their end.
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/latch.hpp"

#include <doctest/doctest.h>

#include <signal.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

TEST_CASE("a latch lets its waiters go on when all have arrived, and nobody before") {
    on_both_atomic_paths([] {
        in_fiber([] {
            latch all(3);
            int gone_on = 0;
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 4; ++i) {
                fibers.push_back(spawn([&] {
                    all.wait();
                    ++gone_on;
                }));
            }
            let_others_run();
            all.count_down(2);
            CHECK_FALSE(all.try_wait());
            let_others_run();
            CHECK(gone_on == 0);
            all.arrive_and_wait();
            CHECK(all.try_wait());
            for (auto& one : fibers) {
                one.join();
            }
            CHECK(gone_on == 4);
            all.wait();
            all.wait(in_the_past());
            all.count_down(0);
        });
    });
}

TEST_CASE("a latch without a count keeps nobody waiting") {
    const latch none(0);
    CHECK(none.try_wait());
    none.wait();  // on a plain thread
    in_fiber([&] { none.wait(); });
}

TEST_CASE("a wait for a latch ends with its deadline or with its fiber's cancellation") {
    in_fiber([] {
        latch all(2);
        CHECK(code_of([&] { all.wait(1ms); }) == std::errc::timed_out);
        CHECK(code_of([&] { all.wait(in_the_past()); }) == std::errc::timed_out);
        std::error_code ec;
        all.wait(1ms, ec);
        CHECK(ec == std::errc::timed_out);
        all.arrive_and_wait(1, 1ms, ec);
        CHECK(ec == std::errc::timed_out);
        fiber<> stopped([&] {
            std::error_code inside;
            all.wait(inside);
            CHECK(inside == std::errc::operation_canceled);
            all.arrive_and_wait();  // the arrival counts, though the wait throws
        });
        fiber<> waiter([&] { all.wait(); });
        let_others_run();
        stopped.request_stop();
        waiter.join();
        CHECK(code_of([&] { stopped.join(); }) == std::errc::operation_canceled);
        CHECK(all.try_wait());
        all.wait(ec);
        CHECK_FALSE(ec);
    });
}

TEST_CASE("fibers and plain threads arrive at the same latch") {
    for (int round = 0; round < scaled(200); ++round) {
        latch all(4);
        int written = 0;
        std::vector<std::thread> threads;
        threads.emplace_back([&] {
            written = 1;
            all.arrive_and_wait();
        });
        threads.emplace_back([&] {
            in_fiber([&] {
                fiber<> other([&] { all.count_down(); });
                all.arrive_and_wait();
                CHECK(written == 1);
            });
        });
        all.arrive_and_wait();
        CHECK(written == 1);
        for (auto& one : threads) {
            one.join();
        }
    }
}

TEST_CASE("whoever has waited for a latch may destroy it at once") {
    for (int i = 0; i < scaled(2000); ++i) {
        auto done = std::make_unique<latch>(1);
        std::thread arriver([&arrive_there = *done] { arrive_there.count_down(); });
        if (i % 3 == 0) {
            done->wait();
        } else if (i % 3 == 1) {
            in_fiber([&] { done->wait(); });
        } else {
            while (!done->try_wait()) {
                std::this_thread::yield();
            }
        }
        done.reset();
        arriver.join();
    }
}

TEST_CASE("a count that cannot be is refused or reported, with its number") {
    CHECK(message_of<std::invalid_argument>([] { latch(-2); }) ==
          "heddle::latch: the count begins with -2, which is below zero");
    const child_result below = run_child([] {
        latch one(1);
        one.count_down(3);
    });
    CHECK(below.signal == SIGABRT);
    CHECK(contains(below.output, "heddle: a latch is counted down below zero: its count = 1, taken "
                                 "from it = 3"));
    const child_result up = run_child([] { latch(1).count_down(-7); });
    CHECK(contains(up.output, "heddle: a latch is counted up, by this many: count = 7"));
}

}  // namespace

}  // namespace heddle::test
