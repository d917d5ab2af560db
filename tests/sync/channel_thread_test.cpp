// Channels between threads: plain ones, and those of several runs.
#include "runtime/base/random.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"
#include "tests/support/report.hpp"

#include "heddle/channel.hpp"
#include "heddle/error.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

TEST_CASE("on a plain thread the calls block the thread, and end as in a fiber") {
    const channel<int> numbers(1);
    CHECK(code_of([&] { numbers.recv(1ms); }) == std::errc::timed_out);
    numbers.send(1);
    CHECK(code_of([&] { numbers.send(2, 1ms); }) == std::errc::timed_out);
    CHECK(code_of([&] { numbers.send(2, in_the_past()); }) == std::errc::timed_out);
    CHECK(numbers.recv() == 1);
    std::thread other([&] {
        for (int i = 0; i < 3; ++i) {
            CHECK(numbers.recv() == i);
        }
        CHECK_FALSE(numbers.recv());
    });
    for (int i = 0; i < 3; ++i) {
        numbers.send(i);
    }
    numbers.close();
    other.join();
    CHECK(code_of([&] { numbers.send(4); }) == errc::closed);
}

TEST_CASE("closing a channel wakes threads and fibers that wait for it") {
    const channel<int> numbers;
    std::atomic<int> ended = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            CHECK(code_of([&] { numbers.send(1); }) == errc::closed);
            ++ended;
        });
        threads.emplace_back([&] {
            in_fiber([&] { CHECK(code_of([&] { numbers.send(1); }) == errc::closed); });
            ++ended;
        });
    }
    std::this_thread::sleep_for(1ms);
    numbers.close();
    for (auto& one : threads) {
        one.join();
    }
    CHECK(ended == 4);
}

// Each value goes to one receiver, once, and those of one sender in order.
template <class T>
void exchange_in_crowd(std::size_t room, int rounds) {
    constexpr int parties = 4;
    const channel<T> values(room);
    const channel<int> done(parties);
    std::atomic<int> senders_left = parties;
    std::vector<std::atomic<int>> received(static_cast<std::size_t>(parties * rounds));
    const auto send_all = [&](int party) {
        for (int i = 0; i < rounds; ++i) {
            values.send(T(party * rounds + i));
        }
        if (senders_left.fetch_sub(1) == 1) {
            values.close();
        }
    };
    const auto receive_all = [&] {
        std::vector<int> last(parties, -1);
        for (T& value : values) {
            const int number = static_cast<int>(value);
            ++received[static_cast<std::size_t>(number)];
            int& before = last[static_cast<std::size_t>(number / rounds)];
            CHECK(before < number);
            before = number;
        }
    };
    std::vector<std::thread> threads;
    for (int party = 0; party < 2; ++party) {
        threads.emplace_back([&, party] { send_all(party); });
        threads.emplace_back(receive_all);
        threads.emplace_back([&, party] {
            in_fiber([&] {
                fiber<> sender([&] { send_all(party + 2); });
                fiber<> receiver(receive_all);
                receive_all();
                sender.join();
                receiver.join();
            });
        });
    }
    for (auto& one : threads) {
        one.join();
    }
    int wrong = 0;
    for (const auto& count : received) {
        wrong += count == 1 ? 0 : 1;
    }
    CHECK(wrong == 0);
}

/// A number that goes into a box, since its move might throw.
struct boxed_number {
    std::unique_ptr<int> number;
    explicit boxed_number(int n) : number(std::make_unique<int>(n)) {}
    boxed_number(boxed_number&& other) noexcept(false) : number(std::move(other.number)) {}
    boxed_number& operator=(boxed_number&&) = delete;
    ~boxed_number() = default;
    explicit operator int() const { return *number; }
};

TEST_CASE("threads, and fibers of several runs, get every value once and in order") {
    for (const std::size_t room : {0U, 1U, 7U}) {
        exchange_in_crowd<int>(room, scaled(3000));
        exchange_in_crowd<boxed_number>(room, scaled(2000));
    }
}

// Deadlines and requests to stop race with the values: each is with one party at the end.
void race(std::uint64_t seed, std::size_t room, int rounds) {
    const channel<boxed_number> values(room);
    std::atomic<int> kept = 0;
    std::atomic<int> sent = 0;
    std::atomic<int> received = 0;
    const auto send_some = [&](detail::random_sequence random) {
        for (int i = 0; i < rounds; ++i) {
            boxed_number value(i);
            std::error_code ec;
            values.send(std::move(value), std::chrono::microseconds(random.below(30)), ec);
            CHECK((value.number == nullptr) == !ec);
            ++(ec ? kept : sent);
        }
    };
    const auto receive_some = [&](detail::random_sequence random) {
        for (int i = 0; i < rounds; ++i) {
            std::error_code ec;
            received +=
                values.recv(std::chrono::microseconds(random.below(30)), ec).has_value() ? 1 : 0;
        }
    };
    const auto in_stopped_fibers = [&](detail::random_sequence random, auto body) {
        in_fiber([&] {
            fiber<> one([&] { body(detail::random_sequence(random.next())); });
            fiber<> other([&] { body(detail::random_sequence(random.next())); });
            this_fiber::sleep_for(std::chrono::microseconds(random.below(2000)));
            one.request_stop();
            one.join();
            other.join();
        });
    };
    detail::random_sequence random(seed);
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&, own = random.next()] { send_some(detail::random_sequence(own)); });
        threads.emplace_back(
            [&, own = random.next()] { receive_some(detail::random_sequence(own)); });
        threads.emplace_back([&, own = random.next(), i] {
            if (i == 0) {
                in_stopped_fibers(detail::random_sequence(own), send_some);
            } else {
                in_stopped_fibers(detail::random_sequence(own), receive_some);
            }
        });
    }
    for (auto& one : threads) {
        one.join();
    }
    CHECK(sent == received + static_cast<int>(values.size()));
    CHECK(sent + kept == 4 * rounds);
}

TEST_CASE("a value that meets a deadline or a request to stop is with one party, and never lost") {
    detail::random_sequence random(seed());
    for (int i = 0; i < 4; ++i) {
        for (const std::size_t room : {0U, 1U, 3U}) {
            race(random.next(), room, scaled(500));
        }
    }
}

}  // namespace

}  // namespace heddle::test
