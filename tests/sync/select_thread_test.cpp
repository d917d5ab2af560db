// Selects that meet across threads: every value arrives, and none of them is left behind.
#include "runtime/base/random.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"
#include "tests/support/report.hpp"

#include "heddle/select.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

/// A number whose move may throw, as far as its type says.
struct boxed_number {
    std::unique_ptr<int> number;
    explicit boxed_number(int n) : number(std::make_unique<int>(n)) {}
    boxed_number(boxed_number&& other) noexcept(false) : number(std::move(other.number)) {}
    boxed_number& operator=(boxed_number&&) = delete;
    ~boxed_number() = default;
};

// Two parties in two threads, each of which sends or receives over either of two channels: exactly
// one value goes over in each round.
template <class RunFirst, class RunSecond>
void meet(int rounds, RunFirst run_first, RunSecond run_second) {
    const channel<int> a;
    const channel<int> b;
    std::atomic<int> sent = 0;
    std::atomic<int> received = 0;
    const auto party = [&](bool swapped) {
        const channel<int>& one = swapped ? b : a;
        const channel<int>& other = swapped ? a : b;
        for (int i = 0; i < rounds; ++i) {
            const auto got = [&](std::optional<int> value) { received += value == i ? 1 : 0; };
            const auto gone = [&] { ++sent; };
            select(on_send(one, i, gone), on_recv(other, got), on_recv(one, got),
                   on_send(other, i, gone));
        }
    };
    std::thread first([&] { run_first([&] { party(false); }); });
    std::thread second([&] { run_second([&] { party(true); }); });
    first.join();
    second.join();
    CHECK(sent == rounds);
    CHECK(received == rounds);
}

TEST_CASE("two selects that meet from two threads pair up, case for case") {
    const auto plainly = [](auto body) { body(); };
    const auto in_run = [](auto body) { in_fiber(body); };
    meet(scaled(5000), in_run, in_run);
    meet(scaled(5000), plainly, plainly);
    meet(scaled(5000), plainly, in_run);
}

// Selects with deadlines, requests to stop, events, closed channels: what was sent was received.
template <class T>
void stress(std::uint64_t seed, int rounds) {
    std::vector<channel<T>> channels;
    detail::random_sequence random(seed);
    for (int i = 0; i < 3; ++i) {
        channels.emplace_back(random.below(3));
    }
    auto_reset_event knocked;
    std::atomic<int> sent = 0;
    std::atomic<int> kept = 0;
    std::atomic<int> received = 0;
    const auto party = [&](detail::random_sequence own) {
        const auto got = [&](std::optional<T> value) { received += value ? 1 : 0; };
        const auto gone = [&] { ++sent; };
        const auto any = [&]() -> const channel<T>& { return channels[own.below(3)]; };
        for (int i = 0; i < rounds; ++i) {
            T first(i);
            T second(i);
            std::error_code ec;
            const auto until = [&] { return deadline(std::chrono::microseconds(own.below(40))); };
            switch (own.below(4)) {
            case 0:
                select(ec, on_send(any(), std::move(first), gone),
                       on_send(any(), std::move(second), gone), after(until()));
                break;
            case 1:
                select(ec, on_recv(any(), got), on_send(any(), std::move(first), gone),
                       on_recv(any(), got), on_event(knocked), after(until()));
                break;
            case 2:
                select(ec, on_recv(any(), got), on_recv(any(), got), after(until()));
                knocked.set();
                break;
            default:
                any().send(std::move(first), until(), ec);
                sent += ec ? 0 : 1;
                break;
            }
            kept += (first.number != nullptr ? 1 : 0) + (second.number != nullptr ? 1 : 0);
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&, own = random.next()] { party(detail::random_sequence(own)); });
        threads.emplace_back([&, own = random.next()] {
            detail::random_sequence mine(own);
            in_fiber([&] {
                fiber<> one([&] { party(detail::random_sequence(mine.next())); });
                fiber<> other([&] { party(detail::random_sequence(mine.next())); });
                this_fiber::sleep_for(std::chrono::microseconds(mine.below(3000)));
                one.request_stop();
                one.join();
                other.join();
            });
        });
    }
    for (auto& one : threads) {
        one.join();
    }
    int left = 0;
    for (const auto& from : channels) {
        while (from.try_recv()) {
            ++left;
        }
        CHECK_FALSE(from.try_send(T(0)) != (from.capacity() > 0));
    }
    CHECK(sent == received + left);
    CHECK(sent + kept == 6 * 2 * rounds);
}

/// The same whose move cannot throw.
struct plain_number {
    std::unique_ptr<int> number;
    explicit plain_number(int n) : number(std::make_unique<int>(n)) {}
};

TEST_CASE("selects of several threads lose no value to deadlines and requests to stop") {
    detail::random_sequence random(seed());
    for (int i = 0; i < 6; ++i) {
        stress<plain_number>(random.next(), scaled(400));
        stress<boxed_number>(random.next(), scaled(400));
    }
}

TEST_CASE("a select waits for fibers of another run, and for whichever thread closes a channel") {
    const int rounds = scaled(200);
    for (int i = 0; i < rounds; ++i) {
        const channel<int> numbers;
        const channel<int> ready(1);
        event go;
        event joined;
        std::optional<fiber<int>> target;
        std::thread other([&] {
            in_fiber([&] {
                target.emplace([&] {
                    go.wait();
                    return 5;
                });
                ready.send(1);
                if (i % 2 == 0) {
                    numbers.close();
                }
                joined.wait();
            });
        });
        in_fiber([&] {
            ready.recv();
            bool closed = false;
            if (i % 2 == 0) {
                CHECK(select(on_join(*target), on_recv(numbers, [&](std::optional<int> value) {
                                 closed = !value;
                             })) == 1);
                CHECK(closed);
            }
            fiber<> setter([&] { go.set(); });
            CHECK(select(on_join(*target), on_send(i % 2 == 0 ? ready : numbers, 1)) ==
                  (i % 2 == 0 ? 1 : 0));
            CHECK(select(on_join(*target), after(1h)) == 0);
            CHECK(target->join() == 5);
            joined.set();
        });
        other.join();
    }
}

}  // namespace

}  // namespace heddle::test
