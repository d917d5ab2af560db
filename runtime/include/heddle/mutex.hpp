// Mutual exclusion between fibers, and between fibers and plain threads.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/any_deadline.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/mutex_state.hpp>
#include <heddle/fwd.hpp>
#include <heddle/shared_mutex.hpp>  // so that all kinds of mutex are at hand here
#include <heddle/time.hpp>

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <system_error>

#pragma GCC visibility push(default)

namespace heddle {

inline namespace v1 {

/// A lock that one fiber or plain thread owns at a time.
///
/// Waiters are served in the order in which they came, but for this: a flow that runs just now may
/// take a free mutex ahead of the one that was woken for it, once; then the mutex is handed over.
/// So whoever locks and unlocks it in a loop need not give way each time, and nobody starves. What
/// the owner wrote before unlock() is seen by the next owner.
///
/// It is an error of the program to lock a mutex that the calling flow owns, or to unlock one that
/// it does not own: the process ends with a message that names both fibers. Nobody may own a mutex
/// or wait for it when it is destroyed.
///
/// Cancellation: none. lock() is no cancellation point, as in POSIX, so that guards work in
/// destructors and in code that cleans up.
/// Threads: any fiber of any worker and any plain thread; it is unlocked by the one that locked it.
/// A fiber that waits never blocks its thread; a plain thread blocks itself.
/// Source: std::mutex, whose named requirements it meets.
class mutex {
public:
    constexpr mutex() noexcept = default;
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    /// Waits until the mutex is free, and takes it.
    [[gnu::always_inline]] void lock() noexcept {
        if (!detail::mutex_take_free(state_)) [[unlikely]] {
            detail::mutex_lock_until(state_, deadline::never().nanoseconds());
        }
    }

    /// The interruptible form: waits until the mutex is free, and takes it, or until the token is
    /// asked to stop. If both come about, the mutex is taken, but a token that has been stopped
    /// before is not even tried against a free one. The token may be asked by anybody, anywhere; a
    /// shield does not keep it off.
    /// Cancellation: throws heddle::cancelled once the token is stopped; the mutex is not taken.
    HEDDLE_THROWS void lock(const std::stop_token& token) {
        const detail::wait_status status = lock_unless_stopped(token);
        if (status != detail::wait_status::event) [[unlikely]] {
            detail::throw_wait_status(status, "heddle::mutex::lock");
        }
    }
    /// As above; that the token is stopped is reported as operation_canceled.
    void lock(const std::stop_token& token, std::error_code& ec) noexcept {
        const detail::wait_status status = lock_unless_stopped(token);
        ec = status == detail::wait_status::event ? std::error_code()
                                                  : detail::to_error_code(status);
    }

    /// Takes the mutex if it is free; never waits.
    [[nodiscard, gnu::always_inline]] bool try_lock() noexcept {
        return detail::mutex_take(state_);
    }

    /// Lets go of the mutex.
    [[gnu::always_inline]] void unlock() noexcept { detail::mutex_let_go(state_); }

protected:
    friend class condition_variable;  // lets go of it between joining the list and giving way
    detail::mutex_state state_;

private:
    detail::wait_status lock_unless_stopped(const std::stop_token& token) noexcept {
        return !token.stop_requested() && detail::mutex_take_free(state_)
                   ? detail::wait_status::event
                   : detail::mutex_lock_unless_stopped(state_, token);
    }
};

/// A mutex that can be waited for until a deadline.
/// Source: std::timed_mutex, whose named requirements it meets.
class timed_mutex : public mutex {
public:
    /// Takes the mutex, and waits for it at most until the deadline; false if that has passed. A
    /// point of a clock that can be set counts as that is set at the call. Not a cancellation
    /// point. Threads: as mutex.
    [[nodiscard]] bool try_lock_until(detail::any_deadline until) noexcept {
        return detail::mutex_take_free(state_) ||
               detail::mutex_lock_until(state_, until.nanoseconds());
    }

    /// The same with a duration from now.
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> duration) noexcept {
        return try_lock_until(deadline(duration));
    }
};

/// A lock that its owner may lock again: it is free when it has been unlocked as often. All else is
/// as with mutex.
/// Source: std::recursive_mutex, whose named requirements it meets.
class recursive_mutex {
public:
    constexpr recursive_mutex() noexcept = default;
    recursive_mutex(const recursive_mutex&) = delete;
    recursive_mutex& operator=(const recursive_mutex&) = delete;

    /// Waits until the mutex is free, and takes it; returns at once if it is the caller's.
    void lock() noexcept {
        if (!try_without_waiting()) {
            detail::mutex_lock_until(state_, deadline::never().nanoseconds());
        }
    }

    /// The interruptible form, as mutex has it.
    HEDDLE_THROWS void lock(const std::stop_token& token) {
        const detail::wait_status status = lock_unless_stopped(token);
        if (status != detail::wait_status::event) [[unlikely]] {
            detail::throw_wait_status(status, "heddle::recursive_mutex::lock");
        }
    }
    void lock(const std::stop_token& token, std::error_code& ec) noexcept {
        const detail::wait_status status = lock_unless_stopped(token);
        ec = status == detail::wait_status::event ? std::error_code()
                                                  : detail::to_error_code(status);
    }

    /// Takes the mutex if it is free or the caller's; never waits.
    [[nodiscard]] bool try_lock() noexcept {
        return try_without_waiting() || detail::mutex_try_lock(state_);
    }

    /// Takes back one lock, and lets go of the mutex with the last.
    void unlock() noexcept {
        if (detail::mutex_is_own(state_) && locked_again_ != 0) {
            --locked_again_;
            return;
        }
        detail::mutex_let_go(state_);
    }

protected:
    // Takes a mutex that is free or the caller's, unless somebody waits for it.
    bool try_without_waiting() noexcept {
        if (detail::mutex_take_free(state_)) {
            return true;
        }
        if (!detail::mutex_is_own(state_)) {
            return false;
        }
        ++locked_again_;  // not even adding zero is for others
        return true;
    }

    detail::mutex_state state_;

private:
    detail::wait_status lock_unless_stopped(const std::stop_token& token) noexcept {
        return !token.stop_requested() && try_without_waiting()
                   ? detail::wait_status::event
                   : detail::mutex_lock_unless_stopped(state_, token);
    }

    std::size_t locked_again_ = 0;  // beyond the first time; the owner's
};

/// A recursive mutex that can be waited for until a deadline.
/// Source: std::recursive_timed_mutex, whose named requirements it meets.
class recursive_timed_mutex : public recursive_mutex {
public:
    /// As timed_mutex::try_lock_until; true at once if the mutex is the caller's.
    [[nodiscard]] bool try_lock_until(detail::any_deadline until) noexcept {
        return try_without_waiting() || detail::mutex_lock_until(state_, until.nanoseconds());
    }
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> duration) noexcept {
        return try_lock_until(deadline(duration));
    }
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
