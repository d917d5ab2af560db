// What all kinds of mutex are made of: one word that names the owner, and the list of who waits.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/atomics.hpp>
#include <heddle/detail/current.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/detail/wait_list.hpp>

#include <atomic>
#include <cstdint>
#include <stop_token>

#pragma GCC visibility push(default)

namespace heddle::detail {

/// What all kinds of mutex are made of. An uncontended one takes one exchange to lock and one to
/// unlock; see runtime/sync/mutex.cpp for the rest.
struct mutex_state {
    /// The flow_name of the owner, zero while free; with mutex_is_waited_for, nothing changes it
    /// but under `lock`.
    std::atomic<flow_name> owner = 0;
    spin_lock lock;
    /// The first waiter was woken, and is on its way to take the mutex; it is in the list still.
    bool first_is_woken = false;
    /// Somebody took the mutex ahead of the first waiter: to be handed over to it next time.
    bool first_was_passed = false;
    wait_list waiters;

    constexpr mutex_state() noexcept = default;
};
constexpr flow_name mutex_is_waited_for = 1;

[[gnu::always_inline]] inline bool mutex_take_free(mutex_state& state) noexcept {
    return exchange_if(state.owner, flow_name{0}, this_flow());
}
/// Takes one that was not free just now if it may; never waits.
bool mutex_try_lock(mutex_state& state) noexcept;
/// Locks one that was not free just now, or waits for it. After `again`, mutex_lock_again follows;
/// after timed_out, mutex_give_up.
wait_status mutex_lock(mutex_state& state, std::int64_t deadline_ns) noexcept;
wait_status mutex_lock_again(mutex_state& state, std::int64_t deadline_ns) noexcept;
void mutex_give_up(mutex_state& state) noexcept;
/// The same until a token is stopped: `event` or `cancelled`, and nothing need follow.
wait_status mutex_lock_unless_stopped(mutex_state& state, const std::stop_token& token) noexcept;
/// Unlocks one that somebody waits for; ends the process if it is not the caller's.
void mutex_unlock(mutex_state& state) noexcept;

/// Whether the calling flow owns it.
inline bool mutex_is_own(const mutex_state& state) noexcept {
    return (state.owner.load(std::memory_order_relaxed) & ~mutex_is_waited_for) == this_flow();
}

[[gnu::always_inline]] inline void mutex_let_go(mutex_state& state) noexcept {
    if (!exchange_if(state.owner, this_flow(), flow_name{0})) [[unlikely]] {
        mutex_unlock(state);
    }
}

[[gnu::always_inline]] inline bool mutex_take(mutex_state& state) noexcept {
    return mutex_take_free(state) || mutex_try_lock(state);
}

/// Locks one that was not free just now; false if the deadline has passed.
inline bool mutex_lock_until(mutex_state& state, std::int64_t deadline_ns) noexcept {
    wait_status status = mutex_lock(state, deadline_ns);
    while (status == wait_status::again) {
        status = mutex_lock_again(state, deadline_ns);
    }
    if (status == wait_status::timed_out) [[unlikely]] {
        mutex_give_up(state);
        return false;
    }
    return true;
}

}  // namespace heddle::detail

#pragma GCC visibility pop
