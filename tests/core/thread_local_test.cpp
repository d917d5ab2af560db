// A started fiber stays on its thread: whatever belongs to the thread is the same before and after
// every kind of wait, also for compilers that have looked it up before.
#include "helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/io.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <functional>
#include <pthread.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;

namespace {

thread_local int counter = 0;
constinit thread_local int constant_start = 5;

/// What a thread can be told by.
struct identity {
    std::thread::id id;
    pthread_t handle;
    const int* errno_place;
    const int* counter_place;
    const int* constant_place;

    bool operator==(const identity&) const = default;
};

// Inlined, so that the addresses may be kept across the wait in between.
[[gnu::always_inline]] inline identity look() {
    return {std::this_thread::get_id(), ::pthread_self(), &errno, &counter, &constant_start};
}

[[gnu::noinline]] identity look_afresh() {
    return look();
}

template <class Wait>
void check_same_thread(Wait wait) {
    const identity before = look();
    const int counted = ++counter;
    wait();
    CHECK(look() == before);
    CHECK(look_afresh() == before);
    ++counter;
    CHECK(*before.counter_place == counter);
    CHECK(counter > counted);
}

/// A pipe whose ends close themselves.
struct pipe_ends {
    int ends[2] = {-1, -1};
    pipe_ends() { REQUIRE(::pipe(ends) == 0); }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    ~pipe_ends() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
};

void every_kind_of_wait() {
    check_same_thread([] { heddle::this_fiber::yield(); });
    check_same_thread([] { let_others_run(); });
    check_same_thread([] { heddle::this_fiber::sleep_for(10us); });
    check_same_thread([] { heddle::this_fiber::sleep_until(in_the_past()); });
    check_same_thread([] { fiber([] {}).join(); });
    check_same_thread([] { fiber([] { let_others_run(); }).join(); });
    check_same_thread([] {
        fiber child([] { let_others_run(); });
        std::error_code code;
        child.join(1us, code);
    });
    check_same_thread([] { const fiber dropped([] { let_others_run(); }); });
    check_same_thread([] { CHECK_THROWS_AS(fiber([] { throw 1; }).join(), int); });
    check_same_thread([] {
        fiber sleeper([] {
            check_same_thread(
                [] { CHECK_THROWS_AS(heddle::this_fiber::sleep_for(1h), heddle::cancelled); });
        });
        let_others_run();
        sleeper.request_stop();
        sleeper.join();
    });
    const pipe_ends pipe;
    check_same_thread([&] {
        fiber writer([&] { CHECK(::write(pipe.ends[1], "x", 1) == 1); });
        heddle::wait_readable(pipe.ends[0]);
        writer.join();
    });
    check_same_thread([&] { heddle::wait_writable(pipe.ends[1]); });
    check_same_thread([&] { heddle::wait_readable(pipe.ends[0], 1h); });
}

}  // namespace

TEST_CASE("thread id, errno and thread-local variables are the same after every kind of wait") {
    in_fiber([] {
        const identity main = look();
        std::vector<fiber<>> fibers;
        for (int i = 0; i < 20; ++i) {
            fibers.push_back(heddle::spawn([&] {
                CHECK(look() == main);
                every_kind_of_wait();
            }));
        }
        every_kind_of_wait();
        for (fiber<>& one : fibers) {
            one.join();
        }
    });
}

TEST_CASE("fibers of two threads each keep what belongs to their thread") {
    identity seen[2];
    {
        const auto work = [&](std::size_t which) {
            seen[which] = look();
            for (int round = 0; round < scaled(20); ++round) {
                heddle::run([&] {
                    std::vector<fiber<>> fibers;
                    for (int i = 0; i < 20; ++i) {
                        fibers.push_back(heddle::spawn([&] {
                            CHECK(look() == seen[which]);
                            every_kind_of_wait();
                            CHECK(look() == seen[which]);
                        }));
                    }
                    for (fiber<>& one : fibers) {
                        one.join();
                    }
                });
            }
        };
        const std::jthread first(work, 0);
        const std::jthread second(work, 1);
    }
    CHECK(seen[0].errno_place != seen[1].errno_place);
    CHECK(seen[0].counter_place != seen[1].counter_place);
}
