// A count that goes down to zero once, for which fibers and plain threads wait.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/detail/wait_list.hpp>
#include <heddle/fwd.hpp>
#include <heddle/time.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <system_error>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

struct latch_state {
    spin_lock lock;
    wait_list waiters;     ///< none once `count` is zero
    std::ptrdiff_t count;  ///< under `lock`
};

/// Waits until the count is zero; latch_give_up must follow any status but `event`.
wait_status latch_wait(latch_state& state, std::int64_t deadline_ns) noexcept;
void latch_give_up(latch_state& state) noexcept;
bool latch_try_wait(latch_state& state) noexcept;
void latch_count_down(latch_state& state, std::ptrdiff_t by) noexcept;

/// Errors: std::invalid_argument, naming the number, if it is negative.
std::ptrdiff_t checked_count(std::ptrdiff_t wished);

}  // namespace detail

inline namespace v1 {

/// A count that only goes down; who waits goes on when it has reached zero.
///
/// What was written before a count_down() is seen after a wait() that the count has ended. Nobody
/// may wait for a latch that is destroyed; but as soon as a wait() or try_wait() has found the
/// count at zero, no count_down() touches the latch any more. So one who waits may destroy it.
///
/// Threads: all members may be called by any fiber of any worker, and by any plain thread.
/// Source: std::latch, with deadlines and cancellation.
/// Example:
///     heddle::latch ready(2);
///     heddle::fiber store([&] { open_store(); ready.count_down(); serve_store(); });
///     heddle::fiber front([&] { open_front(); ready.count_down(); serve_front(); });
///     ready.wait(10s);
class latch {
public:
    /// Begins with `expected`.
    /// Errors: std::invalid_argument if that is negative.
    explicit constexpr latch(std::ptrdiff_t expected)
        : state_{{}, {}, expected >= 0 ? expected : detail::checked_count(expected)} {}
    latch(const latch&) = delete;
    latch& operator=(const latch&) = delete;

    /// The highest count.
    static constexpr std::ptrdiff_t max() noexcept {
        return std::numeric_limits<std::ptrdiff_t>::max();
    }

    /// Takes `by` from the count, and lets all that wait go on if that makes it zero. Never waits.
    /// It is an error of the program if `by` is negative or more than the count: then the process
    /// ends with a message.
    void count_down(std::ptrdiff_t by = 1) noexcept { detail::latch_count_down(state_, by); }

    /// Whether the count is zero; never waits.
    [[nodiscard]] bool try_wait() const noexcept { return detail::latch_try_wait(state_); }

    /// Waits until the count is zero; returns at once if it is.
    ///
    /// Blocks the calling fiber, never its thread; a plain thread blocks itself.
    /// Cancellation: throws heddle::cancelled.
    /// Errors: std::system_error(timed_out) once `until` has passed.
    HEDDLE_THROWS void wait(deadline until = deadline::never()) const { wait_or_throw(until); }
    /// As above; cancellation is reported as operation_canceled.
    void wait(deadline until, std::error_code& ec) const noexcept {
        const detail::wait_status status = detail::latch_wait(state_, until.nanoseconds());
        ec.clear();
        if (status != detail::wait_status::event) [[unlikely]] {
            detail::latch_give_up(state_);
            ec = detail::to_error_code(status);
        }
    }
    void wait(std::error_code& ec) const noexcept { wait(deadline::never(), ec); }

    /// count_down(by) and then wait(until): whatever becomes of the wait, the count is down.
    HEDDLE_THROWS void arrive_and_wait(std::ptrdiff_t by = 1, deadline until = deadline::never()) {
        count_down(by);
        wait_or_throw(until);
    }
    void arrive_and_wait(std::ptrdiff_t by, deadline until, std::error_code& ec) noexcept {
        count_down(by);
        wait(until, ec);
    }
    void arrive_and_wait(std::error_code& ec) noexcept {
        arrive_and_wait(1, deadline::never(), ec);
    }

private:
    void wait_or_throw(deadline until) const {
        const detail::wait_status status = detail::latch_wait(state_, until.nanoseconds());
        if (status != detail::wait_status::event) [[unlikely]] {
            detail::latch_give_up(state_);
            detail::throw_wait_status(status, "heddle::latch::wait");
        }
    }

    mutable detail::latch_state state_;  // to wait changes the list of those who do
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
