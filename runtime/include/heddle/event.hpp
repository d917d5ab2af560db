// Events: something that has happened or not, for which fibers and plain threads wait.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/detail/wait_list.hpp>
#include <heddle/fwd.hpp>
#include <heddle/time.hpp>

#include <cstdint>
#include <system_error>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

/// What both kinds of event are made of.
struct event_state {
    spin_lock lock;
    bool set;           ///< under `lock`
    bool automatic;     ///< constant: who sees it set resets it, and is the only one to see it
    wait_list waiters;  ///< who has not seen it yet; none while it is set
};

/// Waits until the event is set; event_give_up must follow any status but `event`.
wait_status event_wait(event_state& state, std::int64_t deadline_ns) noexcept;
void event_give_up(event_state& state) noexcept;
bool event_try_wait(event_state& state) noexcept;
bool event_is_set(event_state& state) noexcept;
void event_set(event_state& state) noexcept;
void event_reset(event_state& state) noexcept;

struct event_access;

/// What the events of both kinds can do. See the classes that derive from it.
class basic_event {
public:
    basic_event(const basic_event&) = delete;
    basic_event& operator=(const basic_event&) = delete;

    /// Waits until the event is set; returns at once if it is.
    ///
    /// Blocks the calling fiber, never its thread; a plain thread blocks itself. One that always
    /// finds the event set gives way every so often.
    /// Cancellation: throws heddle::cancelled; an automatic event stays as it is.
    /// Errors: std::system_error(timed_out) once `until` has passed; the same holds then.
    HEDDLE_THROWS void wait(deadline until = deadline::never()) {
        const wait_status status = event_wait(state_, until.nanoseconds());
        if (status != wait_status::event) [[unlikely]] {
            event_give_up(state_);
            throw_wait_status(status, "heddle::event::wait");
        }
    }
    /// As above; cancellation is reported as operation_canceled.
    void wait(deadline until, std::error_code& ec) noexcept {
        const wait_status status = event_wait(state_, until.nanoseconds());
        ec.clear();
        if (status != wait_status::event) [[unlikely]] {
            event_give_up(state_);
            ec = to_error_code(status);
        }
    }
    void wait(std::error_code& ec) noexcept { wait(deadline::never(), ec); }

    /// What wait() does if it need not wait, else nothing; whether the event was set.
    [[nodiscard]] bool try_wait() noexcept { return event_try_wait(state_); }

    /// Whether the event is set just now; changes nothing.
    [[nodiscard]] bool is_set() const noexcept { return event_is_set(state_); }

    /// Makes it not set, if it is. Never waits.
    void reset() noexcept { event_reset(state_); }

protected:
    constexpr basic_event(bool set, bool automatic) noexcept : state_{{}, set, automatic, {}} {}

    friend event_access;

    mutable event_state state_;  // to look at it takes its lock
};

/// Gives select the state of an event.
struct event_access {
    static event_state& state(basic_event& of) noexcept { return of.state_; }
};

}  // namespace detail

inline namespace v1 {

/// Something that happens once, or until it is reset: set() lets everybody who waits go on, and
/// everybody who comes later, until reset().
///
/// Whoever waits when set() is called goes on, even if reset() follows at once. What was written
/// before a set() is seen after the wait() that it ended. Nobody may wait for an event that is
/// destroyed; as soon as a wait() has returned because of a set(), that set() touches the event no
/// more.
///
/// Threads: all members may be called by any fiber of any worker, and by any plain thread.
/// Source: the manual-reset event of Windows, with deadlines and cancellation.
/// Example:
///     heddle::event ready;
///     heddle::fiber server([&] { listen(); ready.set(); serve(); });
///     ready.wait(5s);
class event : public detail::basic_event {
public:
    explicit constexpr event(bool set = false) noexcept : basic_event(set, false) {}

    /// Makes it set, and lets all that wait go on. Never waits, never fails.
    void set() noexcept { detail::event_set(state_); }
};

/// Something that happens again and again, each time for one: set() lets one waiter go on, the one
/// that has waited longest. If nobody waits, the event stays set until somebody comes, whom it lets
/// pass at once. To set an event that is set changes nothing: unlike a semaphore it does not count.
///
/// All else is as with event, destruction included.
/// Source: the auto-reset event of Windows, with deadlines and cancellation.
class auto_reset_event : public detail::basic_event {
public:
    explicit constexpr auto_reset_event(bool set = false) noexcept : basic_event(set, true) {}

    /// Lets the first waiter go on, or else the next one that comes. Never waits, never fails.
    void set() noexcept { detail::event_set(state_); }
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
