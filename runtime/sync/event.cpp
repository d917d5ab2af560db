#include "runtime/sync/event.hpp"

#include "runtime/core/wait_list.hpp"

namespace heddle::detail {

wait_status event_wait(event_state& state, std::int64_t deadline_ns) noexcept {
    return wait_for([&state] { return see(state); }, state.waiters, state.lock, wait_reason::event,
                    &state, nullptr, deadline_ns);
}

void event_give_up(event_state& state) noexcept {
    leave(state.waiters, state.lock);
}

bool event_try_wait(event_state& state) noexcept {
    state.lock.lock();
    const bool seen = see(state);
    state.lock.unlock();
    return seen;
}

bool event_is_set(event_state& state) noexcept {
    state.lock.lock();
    const bool set = state.set;
    state.lock.unlock();
    return set;
}

void event_set(event_state& state) noexcept {
    // The waiters are woken when the lock has been released: the first may destroy the event.
    wait_list claimed;
    state.lock.lock();
    if (!state.automatic) {
        state.set = true;
        take_all(state.waiters, claimed);
    } else if (waiter* const first = take_first(state.waiters)) {
        claimed.push_back(*first);
    } else {
        state.set = true;
    }
    state.lock.unlock();
    wake_all(claimed, wait_status::event);
}

void event_reset(event_state& state) noexcept {
    state.lock.lock();
    state.set = false;
    state.lock.unlock();
}

}  // namespace heddle::detail
