// Barriers: phases, completions, who drops out, plain threads, errors, and their end.
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/barrier.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

TEST_CASE("nobody passes a barrier before all have arrived, phase after phase") {
    on_both_atomic_paths([] {
        in_fiber([] {
            constexpr int phases = 20;
            constexpr int members = 5;
            std::vector<int> at(members, 0);
            int completed = 0;
            barrier all(members, [&]() noexcept {
                for (const int phase : at) {
                    CHECK(phase == completed + 1);
                }
                ++completed;
            });
            std::vector<fiber<>> fibers;
            for (std::size_t i = 0; i < members; ++i) {
                fibers.push_back(spawn([&, i] {
                    for (int phase = 1; phase <= phases; ++phase) {
                        for (std::size_t turns = (i + static_cast<std::size_t>(phase)) % 3;
                             turns > 0; --turns) {
                            this_fiber::yield();
                        }
                        at[i] = phase;
                        all.arrive_and_wait();
                        CHECK(completed >= phase);
                    }
                }));
            }
            for (auto& one : fibers) {
                one.join();
            }
            CHECK(completed == phases);
        });
    });
}

TEST_CASE("one who has arrived waits later, and one who drops out is not waited for again") {
    in_fiber([] {
        barrier all(3);
        auto early = all.arrive();
        fiber<> waiter([&] {
            all.arrive_and_wait();
            all.arrive_and_wait();
        });
        let_others_run();
        all.arrive_and_drop();       // ends the first phase
        all.wait(std::move(early));  // which is over
        auto both = all.arrive();    // the second has two
        all.wait(std::move(both));
        waiter.join();
        all.wait(all.arrive(2));
    });
}

TEST_CASE("a completion may wait, and is not cancelled") {
    in_fiber([] {
        bool completed = false;
        const auto complete = [&]() noexcept {
            this_fiber::sleep_for(1ms);
            completed = true;
        };
        barrier all(2, complete);
        fiber<> first([&]() noexcept {
            all.arrive_and_wait();
            CHECK(completed);
        });
        fiber<> last([&]() noexcept {
            this_fiber::yield();
            all.arrive_and_wait();
            CHECK(completed);
        });
        let_others_run();
        first.request_stop();
        last.request_stop();
        first.join();
        last.join();
        CHECK(completed);
    });
}

TEST_CASE("fibers and plain threads meet at a barrier, and one of them may destroy it") {
    for (int i = 0; i < scaled(300); ++i) {
        int completions = 0;
        const auto count = [&]() noexcept { ++completions; };
        auto all = std::make_unique<barrier<decltype(count)>>(4, count);
        auto& meeting = *all;
        const auto body = [&] {
            meeting.arrive_and_wait();
            CHECK(completions == 1);
            meeting.arrive_and_wait();
            CHECK(completions == 2);
            meeting.arrive_and_drop();
        };
        std::thread plain(body);
        std::thread other([&] {
            in_fiber([&] {
                fiber<> one(body);
                body();
                one.join();
            });
        });
        meeting.arrive_and_wait();
        meeting.arrive_and_wait();
        meeting.arrive_and_wait();
        CHECK(completions == 3);
        all.reset();
        plain.join();
        other.join();
    }
}

TEST_CASE("whoever leaves a barrier first may destroy it, while others are about to leave") {
    for (int i = 0; i < scaled(300); ++i) {
        alignas(barrier<>) std::byte place[sizeof(barrier<>)];
        auto& meeting = *::new (place) barrier<>(3);
        std::atomic<bool> destroyed = false;
        const auto body = [&] {
            meeting.arrive_and_wait();
            if (!destroyed.exchange(true)) {
                std::destroy_at(&meeting);
                std::memset(place, 0xff, sizeof place);  // whoever comes to it now stays for ever
            }
        };
        std::thread plain(body);
        std::thread other([&] { in_fiber(body); });
        body();
        plain.join();
        other.join();
    }
}

TEST_CASE("a barrier that more arrive at than it expects ends the process, with the numbers") {
    CHECK(message_of<std::invalid_argument>([] { barrier<>(-1); }) ==
          "heddle::barrier: -1 are expected, which is below zero");
    const child_result child = run_child([] {
        barrier<> two(2);
        static_cast<void>(two.arrive(3));
    });
    CHECK(child.signal == SIGABRT);
    CHECK(contains(child.output, "heddle: more arrive at a barrier than are expected: arrived = 3, "
                                 "missing in this phase = 2"));
}

}  // namespace

}  // namespace heddle::test
