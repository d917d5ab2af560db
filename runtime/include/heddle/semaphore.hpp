// Counting semaphores: permits that fibers and plain threads take and give back.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/any_deadline.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/detail/wait_list.hpp>
#include <heddle/fwd.hpp>
#include <heddle/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <system_error>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

struct semaphore_state {
    spin_lock lock;
    wait_list waiters;       ///< none while there is a permit
    std::ptrdiff_t permits;  ///< under `lock`
};

/// Takes a permit, or waits for one; semaphore_give_up must follow any status but `event`.
wait_status semaphore_acquire(semaphore_state& state, std::int64_t deadline_ns) noexcept;
void semaphore_give_up(semaphore_state& state) noexcept;
bool semaphore_try_acquire(semaphore_state& state) noexcept;
void semaphore_release(semaphore_state& state, std::ptrdiff_t count, std::ptrdiff_t max) noexcept;

/// Errors: std::invalid_argument, naming the number, if it is not from 0 to `max`.
std::ptrdiff_t checked_permits(std::ptrdiff_t wished, std::ptrdiff_t max);

}  // namespace detail

inline namespace v1 {

/// A number of permits, of which each acquire() takes one and release() adds some.
///
/// Permits go to waiters in the order in which they began to wait; nobody overtakes them. What was
/// written before a release() is seen after the acquire() that took the permit. At the end nobody
/// may wait for a permit any more.
///
/// Threads: all members may be called by any fiber of any worker, and by any plain thread.
/// Source: std::counting_semaphore, with deadlines and cancellation.
template <std::ptrdiff_t Max = std::numeric_limits<std::ptrdiff_t>::max()>
class counting_semaphore {
    static_assert(Max >= 0, "a semaphore cannot hold fewer than zero permits");

public:
    /// Begins with `permits`.
    /// Errors: std::invalid_argument if that is not from 0 to Max.
    explicit constexpr counting_semaphore(std::ptrdiff_t permits)
        : state_{{},
                 {},
                 permits >= 0 && permits <= Max ? permits : detail::checked_permits(permits, Max)} {
    }
    counting_semaphore(const counting_semaphore&) = delete;
    counting_semaphore& operator=(const counting_semaphore&) = delete;

    /// The most permits that there may be at a time.
    static constexpr std::ptrdiff_t max() noexcept { return Max; }

    /// Takes a permit, and waits for it if there is none.
    ///
    /// Blocks the calling fiber, never its thread; a plain thread blocks itself. One that always
    /// finds a permit gives way every so often.
    /// Cancellation: throws heddle::cancelled; no permit is taken.
    /// Errors: std::system_error(timed_out) once `until` has passed; no permit is taken.
    HEDDLE_THROWS void acquire(deadline until = deadline::never()) {
        const detail::wait_status status = detail::semaphore_acquire(state_, until.nanoseconds());
        if (status != detail::wait_status::event) [[unlikely]] {
            detail::semaphore_give_up(state_);
            detail::throw_wait_status(status, "heddle::counting_semaphore::acquire");
        }
    }
    /// As above; cancellation is reported as operation_canceled.
    void acquire(deadline until, std::error_code& ec) noexcept {
        const detail::wait_status status = detail::semaphore_acquire(state_, until.nanoseconds());
        ec.clear();
        if (status != detail::wait_status::event) [[unlikely]] {
            detail::semaphore_give_up(state_);
            ec = detail::to_error_code(status);
        }
    }
    void acquire(std::error_code& ec) noexcept { acquire(deadline::never(), ec); }

    /// Takes a permit if there is one that nobody waits for; never waits.
    [[nodiscard]] bool try_acquire() noexcept { return detail::semaphore_try_acquire(state_); }

    /// Takes a permit, and waits for it at most so long; false if none came in time. A point of a
    /// clock that can be set counts as that is set at the call.
    /// Cancellation: throws heddle::cancelled; no permit is taken.
    template <class Rep, class Period>
    HEDDLE_THROWS bool try_acquire_for(std::chrono::duration<Rep, Period> duration) {
        return try_acquire_until(deadline(duration));
    }
    HEDDLE_THROWS bool try_acquire_until(detail::any_deadline until) {
        const detail::wait_status status = detail::semaphore_acquire(state_, until.nanoseconds());
        if (status == detail::wait_status::event) [[likely]] {
            return true;
        }
        detail::semaphore_give_up(state_);
        if (status == detail::wait_status::timed_out) {
            return false;
        }
        detail::throw_wait_status(status, "heddle::counting_semaphore::try_acquire_until");
    }
    /// As above; cancellation is reported as operation_canceled, and that time is up not at all.
    template <class Rep, class Period>
    bool try_acquire_for(std::chrono::duration<Rep, Period> duration,
                         std::error_code& ec) noexcept {
        return try_acquire_until(deadline(duration), ec);
    }
    bool try_acquire_until(detail::any_deadline until, std::error_code& ec) noexcept {
        const detail::wait_status status = detail::semaphore_acquire(state_, until.nanoseconds());
        ec.clear();
        if (status == detail::wait_status::event) [[likely]] {
            return true;
        }
        detail::semaphore_give_up(state_);
        if (status != detail::wait_status::timed_out) {
            ec = detail::to_error_code(status);
        }
        return false;
    }

    /// Adds `count` permits, which go to waiters first. Never waits, never fails.
    /// It is an error of the program if `count` is negative, or more permits than Max result: then
    /// the process ends with a message.
    void release(std::ptrdiff_t count = 1) noexcept {
        detail::semaphore_release(state_, count, Max);
    }

private:
    detail::semaphore_state state_;
};

/// A semaphore with at most one permit.
using binary_semaphore = counting_semaphore<1>;

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
