// Condition variables: who is notified, deadlines, cancellation, tokens, and what becomes of the
// lock.
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"

#include "heddle/condition_variable.hpp"
#include "heddle/semaphore.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <system_error>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

constexpr auto never_true = [] { return false; };

/// A lock that can do no more than condition variables ask of one. Locking it is a cancellation
/// point, and unlocking it gives way: the worst that a user can come with.
class users_lock {
public:
    void lock() {
        permit_.acquire();
        held_ = true;
    }
    void unlock() {
        held_ = false;
        permit_.release();
        this_fiber::yield();
        if (unlock_throws) {
            throw std::runtime_error("unlocking failed");
        }
    }
    bool is_held() const { return held_; }

    bool unlock_throws = false;

private:
    counting_semaphore<1> permit_{1};
    bool held_ = false;
};

TEST_CASE("a waiter goes on when its condition has come true, and holds the lock") {
    on_both_atomic_paths([] {
        in_fiber([] {
            mutex lock;
            condition_variable changed;
            int value = 0;
            fiber<> waiter([&] {
                std::unique_lock own(lock);
                changed.wait(own, [&] { return value == 2; });
                CHECK(own.owns_lock());
                CHECK_FALSE(lock.try_lock());
                value = 3;
            });
            for (int i = 1; i <= 2; ++i) {
                let_others_run();
                const std::lock_guard guard(lock);
                value = i;
                changed.notify_one();
            }
            waiter.join();
            CHECK(value == 3);
            lock.lock();
            changed.wait(lock, [&] { return value == 3; });  // true already
            changed.notify_one();                            // nobody waits: it is not kept
            CHECK(changed.wait_for(lock, 1ms) == std::cv_status::timeout);
            lock.unlock();
        });
    });
}

TEST_CASE("waiters are notified one by one in the order in which they came, or all at once") {
    on_both_atomic_paths([] {
        in_fiber([] {
            mutex lock;
            users_lock other_lock;
            condition_variable changed;
            std::vector<int> order;
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 6; ++i) {
                fibers.push_back(spawn([&, i] {
                    if (i % 2 == 0) {
                        const std::lock_guard guard(lock);
                        changed.wait(lock);
                        order.push_back(i);
                    } else {
                        const std::lock_guard guard(other_lock);
                        changed.wait(other_lock);
                        order.push_back(i);
                    }
                }));
                let_others_run();
            }
            changed.notify_one();
            let_others_run();
            CHECK(order == std::vector{0});
            changed.notify_one();
            changed.notify_one();
            let_others_run();
            CHECK(order == std::vector{0, 1, 2});
            changed.notify_all();
            for (auto& one : fibers) {
                one.join();
            }
            CHECK(order == std::vector{0, 1, 2, 3, 4, 5});
        });
    });
}

template <class Lock>
void check_deadlines() {
    Lock lock;
    condition_variable changed;
    std::unique_lock own(lock);
    CHECK(changed.wait_until(own, in_the_past()) == std::cv_status::timeout);
    CHECK(changed.wait_for(own, 1ms) == std::cv_status::timeout);
    CHECK(changed.wait_until(own, std::chrono::steady_clock::now() + 1ms) ==
          std::cv_status::timeout);
    CHECK(changed.wait_until(own, std::chrono::system_clock::now() + 1ms) ==
          std::cv_status::timeout);
    CHECK_FALSE(changed.wait_for(own, 1ms, never_true));
    CHECK_FALSE(changed.wait_for(own, std::stop_token(), 1ms, never_true));
    CHECK(changed.wait_until(own, in_the_past(), [] { return true; }));
    std::error_code ec = std::make_error_code(std::errc::io_error);
    CHECK(changed.wait_for(own, 1ms, ec) == std::cv_status::timeout);
    CHECK_FALSE(ec);
    CHECK_FALSE(changed.wait_until(own, in_the_past(), never_true, ec));
    // The condition may come true without a word to those who wait.
    int looks = 0;
    CHECK(changed.wait_for(own, 1ms, [&] { return ++looks == 2; }));
    CHECK(own.owns_lock());
}

/// A lock that does more than the one which it derives from.
struct counting_mutex : mutex {
    void lock() {
        mutex::lock();
        ++locked;
    }
    void unlock() {
        ++unlocked;
        mutex::unlock();
    }
    int locked = 0;
    int unlocked = 0;
};

TEST_CASE("a lock that derives from heddle's is locked and unlocked by its own functions") {
    in_fiber([] {
        counting_mutex lock;
        condition_variable changed;
        lock.lock();
        CHECK(changed.wait_until(lock, in_the_past()) == std::cv_status::timeout);
        lock.unlock();
        CHECK(lock.locked == 2);
        CHECK(lock.unlocked == 2);
        std::unique_lock own(lock);
        CHECK(changed.wait_for(own, 1ms) == std::cv_status::timeout);
        CHECK(lock.locked == 4);
    });
}

TEST_CASE("a wait for a notification ends with its deadline, and the lock is held again") {
    check_deadlines<mutex>();
    check_deadlines<users_lock>();
    in_fiber([] {
        check_deadlines<mutex>();
        check_deadlines<users_lock>();
        mutex lock;
        condition_variable changed;
        fiber<> impatient([&] {
            const std::lock_guard guard(lock);
            CHECK(changed.wait_for(lock, 1ms) == std::cv_status::timeout);
        });
        fiber<> patient([&] {
            const std::lock_guard guard(lock);
            CHECK(changed.wait_until(lock, deadline::never()) == std::cv_status::no_timeout);
        });
        let_others_run();
        this_fiber::sleep_for(2ms);
        changed.notify_one();  // nobody but the patient one is there for it
        impatient.join();
        patient.join();
    });
}

template <class Lock>
void check_cancellation() {
    Lock lock;
    condition_variable changed;
    bool held = false;
    const auto wait = [&]() noexcept {  // a lock that cannot be had again ends the process here
        std::unique_lock own(lock);
        try {
            changed.wait(own);
        } catch (const cancelled&) {
            held = own.owns_lock();
        }
    };
    fiber<> waiter(wait);
    fiber<> next([&] {
        const std::lock_guard guard(lock);
        changed.wait(lock);
    });
    let_others_run();
    {
        const std::lock_guard guard(lock);
        waiter.request_stop();
        let_others_run();  // it waits for the lock now, and is asked to stop all the while
        CHECK_FALSE(held);
    }
    waiter.join();
    CHECK(held);
    changed.notify_one();
    next.join();
    const std::lock_guard guard(lock);  // was let go
}

TEST_CASE("a cancelled wait has the lock again before it throws, whoever has it meanwhile") {
    in_fiber([] {
        check_cancellation<mutex>();
        check_cancellation<users_lock>();
    });
}

TEST_CASE("cancellation shows in every form of a wait, and a notification that came first wins") {
    in_fiber([] {
        mutex lock;
        condition_variable changed;
        fiber<> stopped([&] {
            const std::lock_guard guard(lock);
            std::error_code ec;
            changed.wait(lock, ec);
            CHECK_FALSE(ec);  // notified first
            changed.wait(lock, ec);
            CHECK(ec == std::errc::operation_canceled);
            changed.wait(
                lock, [] { return true; }, ec);  // does not even look
            CHECK(ec == std::errc::operation_canceled);
            CHECK(changed.wait_for(lock, 1h, ec) == std::cv_status::timeout);
            CHECK(ec == std::errc::operation_canceled);
            CHECK_FALSE(changed.wait_for(
                lock, 1h, [] { return true; }, ec));
            CHECK(ec == std::errc::operation_canceled);
            CHECK_FALSE(changed.wait(
                lock, std::stop_token(), [] { return true; }, ec));
            CHECK(ec == std::errc::operation_canceled);
            changed.wait_until(lock, in_the_past(), [] { return true; });
        });
        let_others_run();
        changed.notify_one();
        stopped.request_stop();
        CHECK(code_of([&] { stopped.join(); }) == std::errc::operation_canceled);
    });
}

template <class Lock>
void check_stubborn() {
    Lock lock;
    condition_variable changed;
    bool over = false;
    fiber<> stubborn([&] {
        std::unique_lock own(lock);
        while (!over) {
            try {
                changed.wait(own);
            } catch (...) {
            }
        }
    });
    let_others_run();
    stubborn.request_stop();
    fiber<> other([&] {
        const std::lock_guard guard(lock);
        over = true;
    });
    other.join();
    stubborn.join();
}

TEST_CASE("a cancelled fiber that waits again and again lets others have the lock") {
    in_fiber([] {
        check_stubborn<mutex>();
        check_stubborn<users_lock>();
    });
}

TEST_CASE("a token that is stopped ends a wait, whoever stops it") {
    mutex lock;
    condition_variable changed;
    const auto wait_on = [&](std::stop_token token) {
        std::unique_lock own(lock);
        CHECK_FALSE(changed.wait(own, token, never_true));
        CHECK(own.owns_lock());
        CHECK_FALSE(changed.wait(own, token, never_true));  // stopped already
        CHECK(changed.wait(own, token, [] { return true; }));
        CHECK_FALSE(changed.wait_for(own, token, 1h, never_true));
        std::error_code ec;
        CHECK_FALSE(changed.wait_until(own, token, deadline::never(), never_true, ec));
        CHECK_FALSE(ec);
    };
    on_both_atomic_paths([&] {
        in_fiber([&] {
            std::stop_source source;
            fiber<> waiter([&] { wait_on(source.get_token()); });
            let_others_run();
            source.request_stop();  // by a fiber
            waiter.join();
            fiber<> own_token(wait_on);
            let_others_run();
            own_token.request_stop();
            own_token.join();
        });
        in_fiber([&] { spawn_detached(wait_on); });  // by the dispatcher, at the end
    });
    for (int i = 0; i < scaled(200); ++i) {
        std::stop_source source;
        std::thread stopper([&] { source.request_stop(); });
        if (i % 2 == 0) {
            wait_on(source.get_token());
        } else {
            in_fiber([&] { wait_on(source.get_token()); });
        }
        stopper.join();
    }
}

TEST_CASE("a stop that meets a notification takes none away from the next waiter") {
    struct both {
        detail::condition_state state;
        std::stop_source source;
    } first_notified;
    const detail::held_lock lock_of_both = {&first_notified, [](void* lock) {
                                                auto& one = *static_cast<both*>(lock);
                                                detail::condition_notify_one(one.state);
                                                one.source.request_stop();
                                            }};
    CHECK(detail::condition_wait_framed(
              first_notified.state, lock_of_both, first_notified.source.get_token(),
              deadline::never().nanoseconds()) == detail::wait_status::event);
    for (int i = 0; i < scaled(1000); ++i) {
        in_fiber([&] {
            detail::condition_state state;
            const detail::held_lock no_lock = {nullptr, [](void*) {}};
            const auto wait = [&](const std::stop_token& token) {
                return detail::condition_wait_framed(state, no_lock, token,
                                                     deadline::never().nanoseconds());
            };
            std::stop_source source;
            fiber<detail::wait_status> first([&] { return wait(source.get_token()); });
            fiber<> second([&] { wait({}); });
            let_others_run();
            std::thread stopper([&] { source.request_stop(); });
            if (i % 2 == 0) {
                std::this_thread::yield();
            }
            detail::condition_notify_one(state);
            if (first.join() == detail::wait_status::event) {
                detail::condition_notify_one(state);
            }
            second.join();
            stopper.join();
        });
    }
}

TEST_CASE("what unlocking throws comes out of the wait, which leaves nothing behind") {
    in_fiber([] {
        users_lock lock;
        condition_variable changed;
        lock.lock();
        lock.unlock_throws = true;
        CHECK(message_of<std::runtime_error>([&] { changed.wait(lock); }) == "unlocking failed");
        CHECK_FALSE(lock.is_held());
        lock.unlock_throws = false;
        mutex other;
        fiber<> waiter([&] {
            const std::lock_guard guard(other);
            changed.wait(other);
        });
        let_others_run();
        changed.notify_one();
        waiter.join();
        std::unique_lock none(other, std::defer_lock);
        CHECK(code_of([&] { changed.wait(none); }) == std::errc::operation_not_permitted);
    });
}

TEST_CASE("a notification that comes while the lock is being let go is not lost") {
    in_fiber([] {
        users_lock lock;
        condition_variable changed;
        fiber<> notifier([&] {
            const std::lock_guard guard(lock);  // has it as soon as the waiter's unlock gives way
            changed.notify_one();
        });
        lock.lock();
        changed.wait(lock);
        CHECK(lock.is_held());
        lock.unlock();
        notifier.join();
        fiber<> waiter([&] {
            std::error_code ec;
            const std::lock_guard guard(lock);
            changed.wait(lock, ec);
            CHECK_FALSE(ec);  // for the notification came first
        });
        fiber<> hasty([&] {
            const std::lock_guard guard(lock);
            changed.notify_one();
            waiter.request_stop();
        });
        waiter.join();
        hasty.join();
        std::stop_source source;
        fiber<> stopper([&] { source.request_stop(); });
        lock.lock();
        CHECK_FALSE(changed.wait(lock, source.get_token(), never_true));
        lock.unlock();
    });
}

TEST_CASE("no notification between fibers and plain threads is lost") {
    const int rounds = scaled(3000);
    mutex lock;
    condition_variable changed;
    int turn = 0;  // whose it is, of three
    const auto play = [&](int me) {
        for (int i = 0; i < rounds; ++i) {
            std::unique_lock own(lock);
            changed.wait(own, [&] { return turn == me; });
            turn = (turn + 1) % 3;
            changed.notify_all();
        }
    };
    std::thread plain([&] { play(0); });
    std::thread other([&] { in_fiber([&] { play(1); }); });
    in_fiber([&] { play(2); });
    plain.join();
    other.join();
    CHECK(turn == 0);
}

TEST_CASE("those who have been notified may return after the condition variable is gone") {
    in_fiber([] {
        mutex lock;
        users_lock other_lock;
        auto changed = std::make_unique<condition_variable>();
        std::vector<fiber<>> fibers;
        for (int i = 0; i < 4; ++i) {
            fibers.push_back(spawn([&, i] {
                if (i % 2 == 0) {
                    const std::lock_guard guard(lock);
                    changed->wait(lock);
                } else {
                    const std::lock_guard guard(other_lock);
                    changed->wait(other_lock);
                }
            }));
        }
        fiber<> late([&] {
            const std::lock_guard guard(other_lock);
            changed->wait(other_lock);  // is letting go of its lock when it is notified
        });
        let_others_run();
        changed->notify_all();
        changed.reset();
        for (auto& one : fibers) {
            one.join();
        }
        late.join();
    });
    for (int i = 0; i < scaled(1000); ++i) {
        auto changed = std::make_unique<condition_variable>();
        mutex lock;
        bool waits = false;
        std::thread waiter([&, &condition = *changed] {
            const std::lock_guard guard(lock);
            waits = true;
            condition.wait(lock);
        });
        std::unique_lock own(lock);
        while (!waits) {
            own.unlock();
            std::this_thread::yield();
            own.lock();
        }
        changed->notify_all();
        changed.reset();
        own.unlock();
        waiter.join();
    }
}

}  // namespace

}  // namespace heddle::test
