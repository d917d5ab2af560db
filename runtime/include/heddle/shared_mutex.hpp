// A lock for one writer or many readers.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/any_deadline.hpp>
#include <heddle/detail/atomics.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/mutex_state.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/detail/wait_list.hpp>
#include <heddle/fwd.hpp>
#include <heddle/time.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stop_token>
#include <system_error>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

/// A mutex through which writers and those readers pass that do not find the way open; see
/// runtime/sync/shared_mutex.cpp.
struct shared_mutex_state {
    /// Owned by a writer from its lock to its unlock, by a reader while it comes in.
    mutex_state entrance;
    /// Two for each reader that is in; with shared_is_closed, a writer is in or waits for them to
    /// leave. Only the owner of the entrance sets and clears that bit.
    std::atomic<std::uintptr_t> readers = 0;
    spin_lock lock;
    wait_list writer;  ///< the one who waits for the readers to leave; under `lock`

    constexpr shared_mutex_state() noexcept = default;
};
constexpr std::uintptr_t shared_is_closed = 1;
constexpr std::uintptr_t shared_reader = 2;

/// Comes in as a reader if there is no writer; else false.
inline bool shared_enter_open(shared_mutex_state& state) noexcept {
    std::uintptr_t readers = state.readers.load(std::memory_order_relaxed);
    while ((readers & shared_is_closed) == 0) {
        if (exchange_if(state.readers, readers, readers + shared_reader)) [[likely]] {
            return true;
        }
        readers = state.readers.load(std::memory_order_relaxed);
    }
    return false;
}
/// Leaves as a reader, where a writer waits for that, or where it is an error.
void shared_leave_closed(shared_mutex_state& state) noexcept;
/// Leaves as a reader.
inline void shared_leave(shared_mutex_state& state) noexcept {
    std::uintptr_t readers = state.readers.load(std::memory_order_relaxed);
    while ((readers & shared_is_closed) == 0 && readers != 0) {
        if (exchange_if(state.readers, readers, readers - shared_reader)) [[likely]] {
            return;
        }
        readers = state.readers.load(std::memory_order_relaxed);
    }
    shared_leave_closed(state);
}

/// For writers, and for readers that found the way closed: each waits, and gives `event`, or why
/// not. No token is one that is never stopped.
wait_status shared_lock_exclusive(shared_mutex_state& state, const std::stop_token& token,
                                  std::int64_t deadline_ns) noexcept;
wait_status shared_lock_shared(shared_mutex_state& state, const std::stop_token& token,
                               std::int64_t deadline_ns) noexcept;
bool shared_try_lock_exclusive(shared_mutex_state& state) noexcept;
void shared_unlock_exclusive(shared_mutex_state& state) noexcept;

/// What both kinds of shared mutex can do. See shared_mutex.
class basic_shared_mutex {
public:
    constexpr basic_shared_mutex() noexcept = default;
    basic_shared_mutex(const basic_shared_mutex&) = delete;
    basic_shared_mutex& operator=(const basic_shared_mutex&) = delete;

    /// Waits until nobody is in, and takes the mutex for the caller alone.
    void lock() noexcept { lock_until({}, deadline::never()); }

    /// The interruptible form: also until the token is asked to stop, as with mutex.
    /// Cancellation: throws heddle::cancelled once the token is stopped; the mutex is not taken.
    HEDDLE_THROWS void lock(const std::stop_token& token) {
        throw_unless_taken(lock_until(token, deadline::never()));
    }
    void lock(const std::stop_token& token, std::error_code& ec) noexcept {
        ec = to_error_code(lock_until(token, deadline::never()));
    }

    /// Takes the mutex if nobody is in; never waits. Readers or writers that are about to come in
    /// just now may keep it from being taken, though they do not in the end.
    [[nodiscard]] bool try_lock() noexcept { return shared_try_lock_exclusive(state_); }

    /// Lets go of what lock() has taken.
    void unlock() noexcept { shared_unlock_exclusive(state_); }

    /// Waits until no writer is in, and takes the mutex together with other readers.
    void lock_shared() noexcept { lock_shared_until({}, deadline::never()); }

    /// The interruptible form, as of lock().
    HEDDLE_THROWS void lock_shared(const std::stop_token& token) {
        throw_unless_taken(lock_shared_until(token, deadline::never()));
    }
    void lock_shared(const std::stop_token& token, std::error_code& ec) noexcept {
        ec = to_error_code(lock_shared_until(token, deadline::never()));
    }

    /// Takes the mutex as a reader if no writer is in or waits for readers to leave; never waits.
    [[nodiscard]] bool try_lock_shared() noexcept { return shared_enter_open(state_); }

    /// Lets go of what lock_shared() has taken.
    void unlock_shared() noexcept { shared_leave(state_); }

protected:
    wait_status lock_until(const std::stop_token& token, deadline until) noexcept {
        return shared_lock_exclusive(state_, token, until.nanoseconds());
    }
    wait_status lock_shared_until(const std::stop_token& token, deadline until) noexcept {
        if (!token.stop_requested() && shared_enter_open(state_)) [[likely]] {
            return wait_status::event;
        }
        return shared_lock_shared(state_, token, until.nanoseconds());
    }

private:
    static void throw_unless_taken(wait_status status) {
        if (status != wait_status::event) [[unlikely]] {
            throw_wait_status(status, "heddle::shared_mutex::lock");
        }
    }

    shared_mutex_state state_;
};

}  // namespace detail

inline namespace v1 {

/// A lock that one writer owns, or any number of readers.
///
/// Writers, and readers that come while a writer is in or waits for readers to leave, are served in
/// the order in which they came, with the one exception that mutex has too. So a stream of readers
/// does not keep a writer out, nor a stream of writers a reader. A reader that finds no writer
/// comes in at once. What a writer wrote before unlock() is seen by all who come in later.
///
/// It is an error of the program to lock it in whatever way while one owns it; where the owner is a
/// writer, or somebody unlocks what is not locked or locked by another writer, the process ends
/// with a message. No call may be on when it is destroyed.
///
/// Cancellation and threads: as with mutex. A flow that came in as a reader leaves as one.
/// Source: std::shared_mutex, whose named requirements it meets.
class shared_mutex : public detail::basic_shared_mutex {};

/// A shared mutex that can be waited for until a deadline.
/// Source: std::shared_timed_mutex, whose named requirements it meets.
class shared_timed_mutex : public detail::basic_shared_mutex {
public:
    /// lock() and lock_shared() that wait at most until the deadline; false if that has passed.
    /// Clocks: as timed_mutex. Not cancellation points.
    [[nodiscard]] bool try_lock_until(detail::any_deadline until) noexcept {
        return lock_until({}, until) == detail::wait_status::event;
    }
    [[nodiscard]] bool try_lock_shared_until(detail::any_deadline until) noexcept {
        return lock_shared_until({}, until) == detail::wait_status::event;
    }

    /// The same with a duration from now.
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> duration) noexcept {
        return try_lock_until(deadline(duration));
    }
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_shared_for(std::chrono::duration<Rep, Period> duration) noexcept {
        return try_lock_shared_until(deadline(duration));
    }
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
