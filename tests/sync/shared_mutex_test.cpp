// Shared mutexes: who may be in together, that neither readers nor writers wait for ever, deadlines
// and tokens.
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"

#include "heddle/shared_mutex.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <system_error>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

TEST_CASE("readers are in together, and a writer is in alone") {
    on_both_atomic_paths([] {
        in_fiber([] {
            shared_mutex lock;
            int readers = 0;
            int most_readers = 0;
            bool writing = false;
            const auto read = [&] {
                for (int i = 0; i < 20; ++i) {
                    const std::shared_lock guard(lock);
                    most_readers = std::max(most_readers, ++readers);
                    CHECK_FALSE(writing);
                    this_fiber::yield();
                    CHECK_FALSE(writing);
                    --readers;
                }
            };
            const auto write = [&] {
                for (int i = 0; i < 20; ++i) {
                    const std::lock_guard guard(lock);
                    CHECK_FALSE(writing);
                    CHECK(readers == 0);
                    writing = true;
                    this_fiber::yield();
                    CHECK(readers == 0);
                    writing = false;
                }
            };
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 8; ++i) {
                fibers.push_back(i % 3 == 0 ? spawn(write) : spawn(read));
            }
            for (auto& one : fibers) {
                one.join();
            }
            CHECK(most_readers > 1);
            CHECK(lock.try_lock());
            CHECK_FALSE(lock.try_lock_shared());
            CHECK_FALSE(lock.try_lock());
            lock.unlock();
            CHECK(lock.try_lock_shared());
            CHECK(lock.try_lock_shared());
            CHECK_FALSE(lock.try_lock());
            lock.unlock_shared();
            lock.unlock_shared();
        });
    });
}

TEST_CASE("readers that come and go do not keep a writer out") {
    on_both_atomic_paths([] {
        in_fiber([] {
            shared_mutex lock;
            bool written = false;
            int readings_after = 0;
            std::vector<fiber<>> readers;
            for (int i = 0; i < 3; ++i) {
                readers.push_back(spawn([&](std::stop_token token) {
                    while (!token.stop_requested()) {
                        const std::shared_lock guard(lock);
                        this_fiber::yield();
                        readings_after += written ? 0 : 1;
                    }
                }));
            }
            let_others_run();
            readings_after = 0;
            lock.lock();
            written = true;
            lock.unlock();
            CHECK(readings_after <= 6);  // those that were in, and at most one more each
        });
    });
}

TEST_CASE("writers that come and go do not keep a reader out") {
    on_both_atomic_paths([] {
        in_fiber([] {
            shared_mutex lock;
            int written = 0;
            std::vector<fiber<>> writers;
            for (int i = 0; i < 3; ++i) {
                writers.push_back(spawn([&](std::stop_token token) {
                    while (!token.stop_requested()) {
                        const std::lock_guard guard(lock);
                        ++written;
                        this_fiber::yield();
                    }
                }));
            }
            let_others_run();
            written = 0;
            lock.lock_shared();
            CHECK(written <= 6);  // one each that stood before it, and each passed once
            lock.unlock_shared();
        });
    });
}

TEST_CASE("a writer that waits for readers keeps later ones out until it has been in") {
    in_fiber([] {
        shared_mutex lock;
        std::vector<char> order;
        lock.lock_shared();
        fiber<> writer([&] {
            const std::lock_guard guard(lock);
            order.push_back('w');
        });
        let_others_run();
        CHECK_FALSE(lock.try_lock_shared());
        fiber<> reader([&] {
            const std::shared_lock guard(lock);
            order.push_back('r');
        });
        let_others_run();
        CHECK(order.empty());
        lock.unlock_shared();
        reader.join();
        writer.join();
        CHECK(order == std::vector{'w', 'r'});
    });
}

TEST_CASE("a deadline or a token ends a wait for a shared mutex, and the others go on") {
    on_both_atomic_paths([] {
        in_fiber([] {
            shared_timed_mutex lock;
            lock.lock_shared();
            CHECK_FALSE(lock.try_lock_for(1ms));  // waited for the reader to leave
            CHECK_FALSE(lock.try_lock_until(in_the_past()));
            CHECK(lock.try_lock_shared_until(in_the_past()));
            lock.unlock_shared();
            std::stop_source source;
            fiber<> stopped([&] {
                std::error_code ec;
                lock.lock(source.get_token(), ec);
                CHECK(ec == std::errc::operation_canceled);
            });
            fiber<> kept_out([&] {
                lock.lock_shared();
                lock.unlock_shared();
            });
            let_others_run();
            CHECK_FALSE(lock.try_lock_shared());
            source.request_stop();
            kept_out.join();
            stopped.join();
            lock.unlock_shared();
            lock.lock();
            fiber<> reader([&] {
                CHECK_FALSE(lock.try_lock_shared_for(1ms));
                CHECK_FALSE(lock.try_lock_for(1ms));
                std::error_code ec;
                lock.lock_shared(source.get_token(), ec);
                CHECK(ec == std::errc::operation_canceled);
                std::stop_source later;
                fiber<> stopper([&] { later.request_stop(); });
                lock.lock_shared(later.get_token());
            });
            CHECK(code_of([&] { reader.join(); }) == std::errc::operation_canceled);
            lock.unlock();
            CHECK(lock.try_lock_for(1ms));
            lock.unlock();
        });
    });
}

TEST_CASE("fibers and plain threads read and write under a shared mutex") {
    const int rounds = 4 * scaled(750);
    shared_mutex lock;
    int first = 0;
    int second = 0;
    std::atomic<bool> torn = false;
    const auto work = [&](int me) {
        for (int i = 0; i < rounds; ++i) {
            if ((i + me) % 4 == 0) {
                const std::lock_guard guard(lock);
                ++first;
                ++second;
            } else {
                const std::shared_lock guard(lock);
                if (first != second) {
                    torn = true;
                }
                if (i % 16 == 0) {
                    this_fiber::yield();
                }
            }
        }
    };
    std::vector<std::thread> threads;
    threads.emplace_back(work, 0);
    threads.emplace_back(work, 1);
    for (int t = 0; t < 2; ++t) {
        threads.emplace_back([&] {
            in_fiber([&] {
                fiber<> other([&] { work(2); });
                work(3);
                other.join();
            });
        });
    }
    for (auto& one : threads) {
        one.join();
    }
    CHECK_FALSE(torn.load());
    CHECK(first == second);
    CHECK(first == 6 * (rounds / 4));
}

}  // namespace

}  // namespace heddle::test
