// Waiting, with a lock, for what others do under that lock.
#pragma once

#include <heddle/cancel.hpp>
#include <heddle/detail/abi.hpp>
#include <heddle/detail/any_deadline.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/detail/wait_list.hpp>
#include <heddle/fwd.hpp>
#include <heddle/mutex.hpp>
#include <heddle/time.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <type_traits>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

struct condition_state {
    spin_lock lock;
    wait_list waiters;

    constexpr condition_state() noexcept = default;
};

/// Lets go of a mutex and waits to be notified, as one step; condition_give_up must follow any
/// status but `event`. Whatever the status, the mutex has been unlocked.
wait_status condition_wait(condition_state& state, mutex_state& mutex,
                           std::int64_t deadline_ns) noexcept;
void condition_give_up(condition_state& state) noexcept;

/// Some lock, and how to unlock it, which may wait, and may throw: then nothing was waited for.
struct held_lock {
    void* lock;
    void (*unlock)(void* lock);
};
/// The same with any lock, and a token that may end the wait, with `again`. Nothing need follow.
wait_status condition_wait_framed(condition_state& state, const held_lock& held,
                                  const std::stop_token& token, std::int64_t deadline_ns);

void condition_notify_one(condition_state& state) noexcept;
void condition_notify_all(condition_state& state) noexcept;

/// Whether the calling fiber has been asked to stop, and a wait of its would not even begin.
bool condition_wait_is_cancelled() noexcept;

/// Whether all that a Lock does is to hold a heddle::mutex; and which. What others derive from one
/// may have a lock() of its own.
template <class Lock>
constexpr bool holds_mutex = std::is_same_v<Lock, mutex> || std::is_same_v<Lock, timed_mutex>;
template <class Mutex>
constexpr bool holds_mutex<std::unique_lock<Mutex>> = holds_mutex<Mutex>;

inline mutex& mutex_in(mutex& lock) noexcept {
    return lock;
}
template <class Mutex>
mutex& mutex_in(std::unique_lock<Mutex>& lock) {
    if (!lock.owns_lock()) [[unlikely]] {
        lock.unlock();  // throws what std's locks say of it
    }
    return *lock.mutex();
}

}  // namespace detail

inline namespace v1 {

/// Lets flows that hold a lock wait until another one has changed what the lock protects.
///
/// wait() unlocks the lock and waits as one step: no notification that comes after the unlocking is
/// missed. Waiters are notified in the order in which they came, and have the lock again when the
/// wait is over, however it ends. Between the notification and that, others may take the lock;
/// so a waiter looks at its condition again, which the forms with a predicate do. Any lock will do
/// (std's BasicLockable): heddle::mutex itself, a std::unique_lock, a lock of the user's. With
/// heddle::mutex, by itself or in a std::unique_lock, a wait is fastest.
///
/// Nobody may wait when it is destroyed, but those who have been notified need not have returned.
///
/// Blocks the calling fiber, never its thread; a plain thread blocks itself.
/// Cancellation: all waits throw heddle::cancelled, or report operation_canceled in the forms with
/// a std::error_code; a notification that came first wins. A fiber that has been asked to stop
/// before does not wait, but lets go of the lock once, so that others get it. Locking it again is
/// never cancelled, not even where the lock's own lock() could be.
/// Errors: what unlocking throws; there was no wait then. What the predicate throws; the lock is
/// held then. If locking throws, the process ends.
/// Threads: all members may be called by any fiber of any worker, and by any plain thread.
/// Source: std::condition_variable_any, with cancellation and error codes.
/// Example:
///     std::unique_lock lock(mutex);
///     changed.wait(lock, [&] { return !queue.empty(); });
class condition_variable {
public:
    constexpr condition_variable() noexcept = default;
    condition_variable(const condition_variable&) = delete;
    condition_variable& operator=(const condition_variable&) = delete;

    /// Lets the waiter go on that came first, if there is one. Never waits, never fails; the lock
    /// need not be held.
    void notify_one() noexcept { detail::condition_notify_one(state_); }
    /// The same with all that wait.
    void notify_all() noexcept { detail::condition_notify_all(state_); }

    /// Waits for a notification.
    template <class Lock>
    HEDDLE_THROWS void wait(Lock& lock) {
        throw_if_cancelled(wait_once(lock, deadline::never()));
    }
    template <class Lock>
    void wait(Lock& lock, std::error_code& ec) {
        report(wait_once(lock, deadline::never()), ec);
    }

    /// Waits until `holds()` is true. It is called with the lock held, and before waiting.
    template <class Lock, class Predicate>
    HEDDLE_THROWS void wait(Lock& lock, Predicate holds) {
        throw_if_cancelled(wait_until_true(lock, holds, deadline::never(), {}));
    }
    template <class Lock, class Predicate>
    void wait(Lock& lock, Predicate holds, std::error_code& ec) {
        report(wait_until_true(lock, holds, deadline::never(), {}), ec);
    }

    /// The same until the token is asked to stop, too; what `holds()` said last. The token may be
    /// asked by anybody, anywhere. It may be the fiber's own: then a request to stop the fiber ends
    /// the wait in this way, and heddle::cancelled is left to the next cancellation point.
    template <class Lock, class Predicate>
    HEDDLE_THROWS bool wait(Lock& lock, std::stop_token token, Predicate holds) {
        return throw_if_cancelled(wait_until_true(lock, holds, deadline::never(), token));
    }
    template <class Lock, class Predicate>
    bool wait(Lock& lock, std::stop_token token, Predicate holds, std::error_code& ec) {
        return report(wait_until_true(lock, holds, deadline::never(), token), ec);
    }

    /// Waits for a notification, at most until the deadline; whether that has passed. It does not
    /// count as an error.
    template <class Lock>
    HEDDLE_THROWS std::cv_status wait_until(Lock& lock, detail::any_deadline until) {
        return to_cv_status(throw_if_cancelled(wait_once(lock, until)));
    }
    template <class Lock>
    std::cv_status wait_until(Lock& lock, detail::any_deadline until, std::error_code& ec) {
        return to_cv_status(report(wait_once(lock, until), ec));
    }

    /// Waits until `holds()` is true, at most until the deadline; what `holds()` said last.
    template <class Lock, class Predicate>
    HEDDLE_THROWS bool wait_until(Lock& lock, detail::any_deadline until, Predicate holds) {
        return throw_if_cancelled(wait_until_true(lock, holds, until, {}));
    }
    template <class Lock, class Predicate>
    bool wait_until(Lock& lock, detail::any_deadline until, Predicate holds, std::error_code& ec) {
        return report(wait_until_true(lock, holds, until, {}), ec);
    }

    /// The same until the token is asked to stop, too.
    template <class Lock, class Predicate>
    HEDDLE_THROWS bool wait_until(Lock& lock, std::stop_token token, detail::any_deadline until,
                                  Predicate holds) {
        return throw_if_cancelled(wait_until_true(lock, holds, until, token));
    }
    template <class Lock, class Predicate>
    bool wait_until(Lock& lock, std::stop_token token, detail::any_deadline until, Predicate holds,
                    std::error_code& ec) {
        return report(wait_until_true(lock, holds, until, token), ec);
    }

    /// wait_until with a duration from now.
    template <class Lock, class Rep, class Period>
    HEDDLE_THROWS std::cv_status wait_for(Lock& lock, std::chrono::duration<Rep, Period> duration) {
        return to_cv_status(throw_if_cancelled(wait_once(lock, duration)));
    }
    template <class Lock, class Rep, class Period>
    std::cv_status wait_for(Lock& lock, std::chrono::duration<Rep, Period> duration,
                            std::error_code& ec) {
        return to_cv_status(report(wait_once(lock, duration), ec));
    }
    template <class Lock, class Rep, class Period, class Predicate>
    HEDDLE_THROWS bool wait_for(Lock& lock, std::chrono::duration<Rep, Period> duration,
                                Predicate holds) {
        return throw_if_cancelled(wait_until_true(lock, holds, duration, {}));
    }
    template <class Lock, class Rep, class Period, class Predicate>
    bool wait_for(Lock& lock, std::chrono::duration<Rep, Period> duration, Predicate holds,
                  std::error_code& ec) {
        return report(wait_until_true(lock, holds, duration, {}), ec);
    }
    template <class Lock, class Rep, class Period, class Predicate>
    HEDDLE_THROWS bool wait_for(Lock& lock, std::stop_token token,
                                std::chrono::duration<Rep, Period> duration, Predicate holds) {
        return throw_if_cancelled(wait_until_true(lock, holds, duration, token));
    }
    template <class Lock, class Rep, class Period, class Predicate>
    bool wait_for(Lock& lock, std::stop_token token, std::chrono::duration<Rep, Period> duration,
                  Predicate holds, std::error_code& ec) {
        return report(wait_until_true(lock, holds, duration, token), ec);
    }

private:
    // Waits once; the lock is held again afterwards.
    template <class Lock>
    detail::wait_status wait_once(Lock& lock, deadline until) {
        if constexpr (!detail::holds_mutex<Lock>) {
            return wait_with_frame(lock, until, {});
        } else {
            mutex& held = detail::mutex_in(lock);
            const detail::wait_status status =
                detail::condition_wait(state_, held.state_, until.nanoseconds());
            if (status != detail::wait_status::event) [[unlikely]] {
                detail::condition_give_up(state_);
            }
            held.lock();
            return status;
        }
    }

    template <class Lock>
    detail::wait_status wait_with_frame(Lock& lock, deadline until, const std::stop_token& token) {
        const detail::held_lock held = {std::addressof(lock),
                                        [](void* any) { static_cast<Lock*>(any)->unlock(); }};
        const detail::wait_status status =
            detail::condition_wait_framed(state_, held, token, until.nanoseconds());
        lock_again(lock);
        return status;
    }

    template <class Lock>
    static void lock_again(Lock& lock) noexcept {
        const shield not_cancelled;
        lock.lock();
    }

    // `event` if the predicate holds.
    template <class Lock, class Predicate>
    detail::wait_status wait_until_true(Lock& lock, Predicate& holds, deadline until,
                                        const std::stop_token& token) {
        if (token.stop_requested()) {
            return holds() ? detail::wait_status::event : detail::wait_status::again;
        }
        if (detail::condition_wait_is_cancelled()) [[unlikely]] {
            return wait_once(lock, until);
        }
        while (!holds()) {
            const detail::wait_status status = token.stop_possible()
                                                   ? wait_with_frame(lock, until, token)
                                                   : wait_once(lock, until);
            if (status == detail::wait_status::cancelled) {
                return status;
            }
            if (status != detail::wait_status::event) {
                return holds() ? detail::wait_status::event : status;
            }
        }
        return detail::wait_status::event;
    }

    // Both give whether what was waited for has happened.
    static bool throw_if_cancelled(detail::wait_status status) {
        if (status == detail::wait_status::cancelled) [[unlikely]] {
            detail::throw_wait_status(status, "heddle::condition_variable::wait");
        }
        return status == detail::wait_status::event;
    }
    static bool report(detail::wait_status status, std::error_code& ec) noexcept {
        ec = status == detail::wait_status::cancelled ? detail::to_error_code(status)
                                                      : std::error_code();
        return status == detail::wait_status::event;
    }
    static std::cv_status to_cv_status(bool notified) noexcept {
        return notified ? std::cv_status::no_timeout : std::cv_status::timeout;
    }

    detail::condition_state state_;
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
