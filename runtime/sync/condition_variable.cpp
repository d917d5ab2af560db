// Conditions: a waiter joins the list, lets go of its lock, and gives way.
//
// With heddle's own mutex, whose unlocking gives way to nobody, the wait has begun by the time that
// the mutex is free. Any other lock may do what it likes while it is unlocked, and wait itself; so
// then the waiter is in the list before its wait begins, with a framed_wait that can be told to go
// on at any time, in waiter::object. Either way, whoever takes the lock afterwards and notifies
// finds the waiter.
//
// A waiter that was notified does not come back to the condition, which may be gone by then.
#include <heddle/condition_variable.hpp>

#include "runtime/core/framed_wait.hpp"
#include "runtime/core/wait_list.hpp"

#include <algorithm>

namespace heddle::detail {

namespace {

// Out of memory for a wait that could be ended: the caller looks at its condition now and then.
wait_status nap(std::int64_t deadline_ns) noexcept {
    constexpr std::int64_t pause_ns = 1'000'000;
    const std::int64_t now = clock_now();
    if (deadline_ns <= now) {
        return wait_status::timed_out;
    }
    sys::nap(std::min(deadline_ns - now, pause_ns));
    return wait_status::event;
}

// Under the lock. Whether the first waiter that can be was told to go on, or there is none; a
// waiter that has to be woken for it is put into `claimed`.
bool tell_first(wait_list& waiters, wait_list& claimed) noexcept {
    while (!waiters.empty()) {
        waiter& first = waiters.front();
        waiters.remove(first);
        if (auto* const wait = static_cast<framed_wait*>(first.object)) {
            switch (wait->tell()) {
            case framed_wait::answer::need_not_wait:
                return true;
            case framed_wait::answer::must_be_woken:
                claimed.push_back(first);
                return true;
            case framed_wait::answer::too_late:
                break;
            }
        } else if (claim(first)) {
            claimed.push_back(first);
            return true;
        }
    }
    return false;
}

// The place of a flow in the list, for as long as it is in scope.
class place {
public:
    place(condition_state& state, framed_wait& wait) noexcept
        : state_(state),
          own_{.next = nullptr, .previous = nullptr, .block = &wait.block(), .object = &wait} {
        state_.lock.lock();
        state_.waiters.push_back(own_);
        state_.lock.unlock();
    }
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() {
        if (!notified_) {
            state_.lock.lock();
            if (is_linked(own_)) {
                state_.waiters.remove(own_);
            }
            state_.lock.unlock();
        }
    }
    void leave_notified() noexcept { notified_ = true; }

private:
    condition_state& state_;
    waiter own_;
    bool notified_ = false;
};

// What keeps a wait from beginning, or `event`.
wait_status obstacle(std::int64_t deadline_ns) noexcept {
    worker* const here = current_worker;
    if (here != nullptr && here->cancellation_due(here->current())) {
        return wait_status::cancelled;
    }
    const std::int64_t now = here != nullptr ? here->now() : clock_now();
    return deadline_ns <= now ? wait_status::timed_out : wait_status::event;
}

// A wait of a plain thread, or one of a fiber for which anything is unusual.
[[gnu::noinline]] wait_status wait_long(condition_state& state, mutex_state& mutex,
                                        std::int64_t deadline_ns) noexcept {
    worker* const here = current_worker;
    if (here == nullptr) {
        const held_lock held = {
            &mutex, [](void* locked) { mutex_let_go(*static_cast<mutex_state*>(locked)); }};
        return condition_wait_framed(state, held, {}, deadline_ns);
    }
    if (const wait_status before = obstacle(deadline_ns); before != wait_status::event) {
        mutex_let_go(mutex);  // also then, lest others wait for the lock of one that tries for ever
        return static_cast<wait_status>(here->visit_dispatcher(here->current(), before));
    }
    fiber_block& self = here->current();
    here->begin_wait(self, wait_reason::condition_variable, &state, here->cancellable(self));
    state.lock.lock();
    join_list(self, state.waiters, nullptr);
    state.lock.unlock();
    here->arm(self, deadline_ns);
    mutex_let_go(mutex);
    return static_cast<wait_status>(here->suspend(self));
}

}  // namespace

wait_status condition_wait(condition_state& state, mutex_state& mutex,
                           std::int64_t deadline_ns) noexcept {
    worker* const here = current_worker;
    if (here == nullptr || !here->waits_plainly(here->current(), deadline_ns)) [[unlikely]] {
        return wait_long(state, mutex, deadline_ns);
    }
    fiber_block& self = here->current();
    here->begin_plain_wait(self, wait_reason::condition_variable, &state, wait_cancellable);
    join_list(self, state.waiters, nullptr);
    mutex_let_go(mutex);
    return static_cast<wait_status>(here->suspend_plainly(self));
}

bool condition_wait_is_cancelled() noexcept {
    worker* const here = current_worker;
    return here != nullptr && here->cancellation_due(here->current());
}

void condition_give_up(condition_state& state) noexcept {
    leave(state.waiters, state.lock);
}

wait_status condition_wait_framed(condition_state& state, const held_lock& held,
                                  const std::stop_token& token, std::int64_t deadline_ns) {
    if (const wait_status before = obstacle(deadline_ns); before != wait_status::event) {
        held.unlock(held.lock);
        return after_a_turn(before);
    }
    fiber_block* const self = try_this_block();
    if (self == nullptr) {
        held.unlock(held.lock);
        return token.stop_requested() ? wait_status::again : nap(deadline_ns);
    }
    framed_wait wait(*self);
    place own(state, wait);
    const stop_on_token stopper(token, stop_of_wait{wait, wait_status::again});
    held.unlock(held.lock);
    // The unlocking may have taken long.
    const wait_status meanwhile = obstacle(deadline_ns);
    if (meanwhile != wait_status::event && wait.withdraw()) {
        return after_a_turn(meanwhile);
    }
    if (!wait.begin(wait_reason::condition_variable, &state, true)) {
        if (!wait.was_told()) {
            return after_a_turn(wait_status::again);
        }
        own.leave_notified();
        return after_a_turn(wait_status::event);
    }
    const wait_status outcome = wait.sleep(deadline_ns);
    if (outcome == wait_status::event) {
        own.leave_notified();
    }
    return outcome;
}

void condition_notify_one(condition_state& state) noexcept {
    wait_list claimed;
    state.lock.lock();
    tell_first(state.waiters, claimed);
    state.lock.unlock();
    wake_all(claimed, wait_status::event);
}

void condition_notify_all(condition_state& state) noexcept {
    wait_list claimed;
    state.lock.lock();
    while (tell_first(state.waiters, claimed)) {
    }
    state.lock.unlock();
    wake_all(claimed, wait_status::event);
}

}  // namespace heddle::detail
