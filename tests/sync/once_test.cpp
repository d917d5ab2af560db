// Code that runs once: waits inside it, failures, plain threads.
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"

#include "heddle/once.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

TEST_CASE(
    "a function that waits inside call_once is called once, and the others wait for its end") {
    on_both_atomic_paths([] {
        in_fiber([] {
            once_flag flag;
            int calls = 0;
            bool done = false;
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 5; ++i) {
                fibers.push_back(spawn([&] {
                    call_once(
                        flag,
                        [&](int added) {
                            calls += added;
                            this_fiber::sleep_for(1ms);
                            done = true;
                        },
                        1);
                    CHECK(done);
                }));
            }
            for (auto& one : fibers) {
                one.join();
            }
            CHECK(calls == 1);
            call_once(flag, [&] { ++calls; });
            CHECK(calls == 1);
        });
    });
}

TEST_CASE("a call that throws has not been one, and the next in the order tries again") {
    in_fiber([] {
        once_flag flag;
        std::vector<int> order;
        const auto attempt = [&](int me) {
            return [&order, &flag, me] {
                call_once(flag, [&] {
                    order.push_back(me);
                    this_fiber::yield();
                    if (me < 2) {
                        throw std::runtime_error("try " + std::to_string(me));
                    }
                });
            };
        };
        std::vector<fiber<>> fibers;
        for (int i = 0; i < 4; ++i) {
            fibers.push_back(spawn(attempt(i)));
        }
        let_others_run();
        CHECK(message_of<std::runtime_error>([&] { fibers[0].join(); }) == "try 0");
        CHECK(message_of<std::runtime_error>([&] { fibers[1].join(); }) == "try 1");
        fibers[2].join();
        fibers[3].join();
        CHECK(order == std::vector{0, 1, 2});
    });
}

TEST_CASE("waiting for a call is not cancelled, but the call itself is, and is tried again") {
    in_fiber([] {
        once_flag flag;
        int calls = 0;
        const auto body = [&] {
            call_once(flag, [&] {
                ++calls;
                this_fiber::sleep_for(1h);
            });
        };
        fiber<> caller(body);
        fiber<> waiter([&]() noexcept { call_once(flag, [&] { ++calls; }); });
        let_others_run();
        waiter.request_stop();
        let_others_run();
        caller.request_stop();
        waiter.join();
        CHECK(code_of([&] { caller.join(); }) == std::errc::operation_canceled);
        CHECK(calls == 2);
        body();
        CHECK(calls == 2);
    });
}

TEST_CASE("a once keeps the value that was made first, in its place") {
    struct pinned {
        explicit pinned(int n) : number(n) {}
        pinned(const pinned&) = delete;
        pinned& operator=(const pinned&) = delete;
        int number;
    };
    in_fiber([] {
        once<pinned> value;
        CHECK(value.get() == nullptr);
        CHECK(message_of<std::runtime_error>([&] {
                  value.call([]() -> pinned { throw std::runtime_error("not yet"); });
              }) == "not yet");
        CHECK(value.get() == nullptr);
        fiber<> other([&] { CHECK(value.call([] { return pinned(8); }).number == 7); });
        pinned& made = value.call(
            [](int n) {
                this_fiber::yield();
                return pinned(n);
            },
            7);
        CHECK(made.number == 7);
        CHECK(value.get() == &made);
        other.join();
        once<> nothing;
        int calls = 0;
        nothing.call([&] { ++calls; });
        nothing.call([&] { ++calls; });
        CHECK(calls == 1);
    });
    struct counted {
        int& alive;
        explicit counted(int& count) : alive(count) { ++alive; }
        counted(const counted&) = delete;
        counted& operator=(const counted&) = delete;
        ~counted() { --alive; }
    };
    int alive = 0;
    {
        once<counted> made;
        once<counted> never_made;
        made.call([&] { return counted(alive); });
        CHECK(alive == 1);
    }
    CHECK(alive == 0);
}

TEST_CASE("fibers and plain threads meet at the same flag") {
    for (int i = 0; i < scaled(300); ++i) {
        once_flag flag;
        int value = 0;
        const auto body = [&] {
            call_once(flag, [&] {
                this_fiber::yield();
                ++value;
            });
            CHECK(value == 1);
        };
        std::thread plain(body);
        std::thread other([&] { in_fiber(body); });
        in_fiber([&] {
            fiber<> one(body);
            body();
            one.join();
        });
        plain.join();
        other.join();
    }
}

}  // namespace

}  // namespace heddle::test
