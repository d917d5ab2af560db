// Mutexes: exclusion, order, the one that may overtake, errors of ownership.
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"

#include "heddle/mutex.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

TEST_CASE("one fiber at a time owns a mutex, also across its waits") {
    on_both_atomic_paths([] {
        in_fiber([] {
            mutex lock;
            int inside = 0;
            int done = 0;
            const auto body = [&] {
                for (int round = 0; round < 50; ++round) {
                    const std::lock_guard guard(lock);
                    CHECK(++inside == 1);
                    this_fiber::yield();
                    CHECK(--inside == 0);
                    ++done;
                }
            };
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 10; ++i) {
                fibers.push_back(spawn(body));
            }
            for (auto& one : fibers) {
                one.join();
            }
            CHECK(done == 500);
            CHECK(lock.try_lock());
            CHECK_FALSE(lock.try_lock());
            lock.unlock();
        });
    });
}

TEST_CASE("whoever runs may take a free mutex ahead of a woken waiter, but only once") {
    in_fiber([] {
        mutex lock;
        std::vector<char> order;
        lock.lock();
        fiber<> waiter([&] {
            lock.lock();
            order.push_back('w');
            lock.unlock();
        });
        let_others_run();
        lock.unlock();  // wakes the waiter
        lock.lock();    // ahead of it
        order.push_back('1');
        lock.unlock();  // handed over
        CHECK_FALSE(lock.try_lock());
        lock.lock();
        order.push_back('2');
        lock.unlock();
        CHECK(order == std::vector{'1', 'w', '2'});
        waiter.join();
    });
}

TEST_CASE("a mutex is not waited for beyond the deadline, and others keep their order") {
    in_fiber([] {
        timed_mutex lock;
        lock.lock();
        fiber<> first([&] { CHECK_FALSE(lock.try_lock_for(1ms)); });
        fiber<> second([&] {
            CHECK(lock.try_lock_until(deadline::never()));
            lock.unlock();
        });
        first.join();
        lock.unlock();
        second.join();
        CHECK(lock.try_lock_until(in_the_past()));
        lock.unlock();
    });
}

TEST_CASE("fibers and plain threads exclude one another") {
    const int rounds = scaled(5000);
    mutex lock;
    int count = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < rounds; ++round) {
                const std::lock_guard guard(lock);
                ++count;
            }
        });
    }
    threads.emplace_back([&] {
        heddle::run([&] {
            const auto body = [&] {
                for (int round = 0; round < rounds; ++round) {
                    const std::lock_guard guard(lock);
                    const int before = count;
                    if (round % 8 == 0) {
                        this_fiber::yield();
                    }
                    count = before + 1;
                }
            };
            fiber<> other(body);
            body();
            other.join();
        });
    });
    for (auto& one : threads) {
        one.join();
    }
    CHECK(count == 4 * rounds);
}

TEST_CASE("two fibers that lock and unlock in loops do not switch for each lock") {
    in_fiber([] {
        constexpr std::uint64_t rounds = 1000;
        mutex lock;
        const auto body = [&] {
            for (std::uint64_t i = 0; i < rounds; ++i) {
                const std::lock_guard guard(lock);
            }
        };
        lock.lock();
        fiber<> one(body);
        fiber<> other(body);
        let_others_run();  // both wait, so that the lock is contended from the start
        const std::uint64_t before = get_statistics().switches;
        lock.unlock();
        one.join();
        other.join();
        // With a hand-over at each unlock there would be two thousand.
        CHECK(get_statistics().switches - before < rounds + rounds / 10);
    });
}

TEST_CASE("one that always wants the mutex passes a waiter once") {
    on_both_atomic_paths([] {
        in_fiber([] {
            mutex lock;
            int locked = 0;
            fiber<> greedy([&](std::stop_token token) {
                while (!token.stop_requested()) {
                    const std::lock_guard guard(lock);
                    ++locked;
                    this_fiber::yield();
                }
            });
            for (int i = 0; i < 10; ++i) {
                let_others_run();
                const int before = locked;
                const std::lock_guard guard(lock);
                CHECK(locked - before <= 1);
            }
            CHECK(locked >= 10);
        });
    });
}

TEST_CASE("a fiber that was asked to stop locks as ever") {
    in_fiber([] {
        mutex lock;
        bool locked = false;
        fiber<> stopped([&]() noexcept {
            const std::lock_guard first(lock);  // free
            lock.unlock();
            this_fiber::yield();
            lock.lock();  // has to be waited for
            locked = true;
        });
        fiber<> holder([&] {
            const std::lock_guard guard(lock);
            let_others_run();
        });
        stopped.request_stop();
        stopped.join();
        CHECK(locked);
        holder.join();
    });
}

template <class Mutex>
void wait_until_stopped(Mutex& lock, std::stop_token token) {
    std::error_code ec;
    lock.lock(token, ec);
    CHECK(ec == std::errc::operation_canceled);
    bool thrown = false;
    try {
        lock.lock(token);  // stopped already
    } catch (const cancelled&) {
        thrown = true;
    }
    CHECK(thrown);
}

template <class Mutex>
void check_interruptible() {
    on_both_atomic_paths([] {
        in_fiber([] {
            Mutex lock;
            lock.lock();
            std::stop_source source;
            fiber<> waiter([&] { wait_until_stopped(lock, source.get_token()); });
            fiber<> patient([&] {
                lock.lock(std::stop_token());
                lock.unlock();
            });
            fiber<> own_token([&](std::stop_token own) { wait_until_stopped(lock, own); });
            let_others_run();
            source.request_stop();
            own_token.request_stop();
            waiter.join();
            own_token.join();
            lock.unlock();
            patient.join();
            std::error_code ec = std::make_error_code(std::errc::io_error);
            lock.lock(std::stop_source().get_token(), ec);  // free
            CHECK_FALSE(ec);
            lock.unlock();
        });
        Mutex lock;
        fiber<> left;
        in_fiber([&] {
            lock.lock();
            // The dispatcher stops it, at the end.
            left = fiber<>([&](std::stop_token own) { wait_until_stopped(lock, own); });
            let_others_run();
        });
        left.join();
    });
}

TEST_CASE("an interruptible lock ends when its token is stopped, whoever stops it") {
    check_interruptible<mutex>();
    check_interruptible<recursive_mutex>();
    check_interruptible<shared_mutex>();
}

TEST_CASE("a lock that was handed over is the waiter's, though its token is stopped") {
    in_fiber([] {
        mutex lock;
        lock.lock();
        std::stop_source source;
        fiber<> waiter([&] {
            lock.lock(source.get_token());
            lock.unlock();
        });
        let_others_run();
        lock.unlock();  // wakes it
        lock.lock();
        lock.unlock();  // hands over
        source.request_stop();
        waiter.join();
        CHECK(lock.try_lock());
        lock.unlock();
    });
}

TEST_CASE("stops that meet unlocks leave a mutex that others can lock") {
    const int rounds = scaled(1000);
    mutex lock;
    int inside = 0;
    const auto hammer = [&](std::stop_source& source) {
        for (int i = 0; i < 3; ++i) {
            std::error_code ec;
            lock.lock(source.get_token(), ec);
            if (!ec) {
                CHECK(++inside == 1);
                this_fiber::yield();
                CHECK(--inside == 0);
                lock.unlock();
            }
        }
    };
    for (int i = 0; i < rounds; ++i) {
        std::stop_source source;
        std::thread plain([&] { hammer(source); });
        std::thread stopper([&] { source.request_stop(); });
        in_fiber([&] {
            fiber<> other([&] { hammer(source); });
            hammer(source);
            other.join();
            const std::lock_guard guard(lock);
            CHECK(++inside == 1);
            --inside;
        });
        plain.join();
        stopper.join();
    }
}

TEST_CASE("a recursive mutex is free when it was unlocked as often as it was locked") {
    on_both_atomic_paths([] {
        in_fiber([] {
            recursive_timed_mutex lock;
            lock.lock();
            CHECK(lock.try_lock());
            CHECK(lock.try_lock_until(in_the_past()));
            bool asked = false;
            bool locked = false;
            fiber<> other([&] {
                CHECK_FALSE(lock.try_lock());
                CHECK_FALSE(lock.try_lock_for(1ms));
                asked = true;
                lock.lock();
                lock.lock();
                locked = true;
                lock.unlock();
                lock.unlock();
            });
            while (!asked) {
                this_fiber::sleep_for(1ms);
            }
            lock.unlock();
            lock.lock();  // with a waiter, too
            lock.unlock();
            lock.unlock();
            let_others_run();
            CHECK_FALSE(locked);
            lock.unlock();
            other.join();
            CHECK(locked);
            CHECK(lock.try_lock());
            lock.unlock();
        });
    });
}

TEST_CASE("those who ask for a recursive mutex of another thread's do not change its count") {
    recursive_mutex lock;
    std::atomic<bool> asking = true;
    const auto lock_often = [&] {
        for (int round = 0; round < scaled(300'000); ++round) {
            lock.lock();
            for (int again = 0; again < 4; ++again) {
                lock.lock();
            }
            for (int again = 0; again < 4; ++again) {
                lock.unlock();
            }
            lock.unlock();  // ends the process if it has been unlocked too soon
        }
        asking = false;
    };
    const auto ask_often = [&] {
        while (asking) {
            if (lock.try_lock()) {
                lock.unlock();
            }
        }
    };
    std::thread plain(ask_often);
    std::thread other([&] { in_fiber(ask_often); });
    in_fiber(lock_often);
    plain.join();
    other.join();
    CHECK(lock.try_lock());
    lock.unlock();
}

TEST_CASE("whoever locks a mutex last may destroy it, while others still return from unlocking") {
    struct shared_thing {
        mutex lock;
        int users = 3;
    };
    for (int i = 0; i < scaled(2000); ++i) {
        auto* const thing = new shared_thing;
        const auto use = [thing] {
            thing->lock.lock();
            const bool last = --thing->users == 0;
            thing->lock.unlock();
            if (last) {
                delete thing;
            }
        };
        std::thread one(use);
        std::thread other([&] { in_fiber(use); });
        use();
        one.join();
        other.join();
    }
}

// std's named requirements, as far as a compiler can see them.
template <class T>
concept lockable = requires(T lock) {
    lock.lock();
    lock.unlock();
    { lock.try_lock() } -> std::same_as<bool>;
};
template <class T>
concept timed_lockable = lockable<T> && requires(T lock) {
    { lock.try_lock_for(1ms) } -> std::same_as<bool>;
    { lock.try_lock_until(std::chrono::steady_clock::now()) } -> std::same_as<bool>;
};
template <class T>
concept shared_lockable = lockable<T> && requires(T lock) {
    lock.lock_shared();
    lock.unlock_shared();
    { lock.try_lock_shared() } -> std::same_as<bool>;
};
template <class T>
constexpr bool is_a_mutex =
    lockable<T>&& std::is_default_constructible_v<T>&& std::is_destructible_v<T> &&
    !std::is_copy_constructible_v<T> && !std::is_move_constructible_v<T> &&
    !std::is_copy_assignable_v<T>;
static_assert(is_a_mutex<mutex> && !timed_lockable<mutex>);
static_assert(is_a_mutex<timed_mutex> && timed_lockable<timed_mutex>);
static_assert(is_a_mutex<recursive_mutex> && !timed_lockable<recursive_mutex>);
static_assert(is_a_mutex<recursive_timed_mutex> && timed_lockable<recursive_timed_mutex>);
static_assert(is_a_mutex<shared_mutex> && shared_lockable<shared_mutex>);
static_assert(is_a_mutex<shared_timed_mutex> && shared_lockable<shared_timed_mutex> &&
              timed_lockable<shared_timed_mutex>);

TEST_CASE("the guards of the standard library take every kind of mutex") {
    in_fiber([] {
        mutex plain;
        timed_mutex timed;
        recursive_mutex recursive;
        shared_timed_mutex shared;
        {
            const std::scoped_lock all(plain, timed, recursive, shared);
            CHECK_FALSE(shared.try_lock_shared());
        }
        std::unique_lock unique(timed, 1ms);
        CHECK(unique.owns_lock());
        std::shared_lock first(shared, std::defer_lock);
        CHECK(first.try_lock_for(1ms));
        const std::shared_lock second(shared);
        CHECK_FALSE(std::unique_lock(shared, std::try_to_lock).owns_lock());
        CHECK(std::try_lock(plain, recursive) == -1);
        plain.unlock();
        recursive.unlock();
    });
}

}  // namespace

}  // namespace heddle::test
