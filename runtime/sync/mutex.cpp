// The contended mutex.
//
// An owner that unlocks wakes the first waiter and leaves the mutex free, so that it may lock it
// again before the other one runs; else two flows that lock and unlock in loops would have to
// switch each time (a convoy). The woken waiter stays first in the list. If it finds the mutex
// taken, or if the one who took it unlocks before it has come to run, the mutex is handed over: the
// waiter is its owner from then on, free or not is no question any more. So nobody is passed twice.
//
// While somebody waits, every step is taken under the spin lock, and `owner` says so in a bit, on
// which the inline ways fail.
#include <heddle/mutex.hpp>

#include "runtime/core/framed_wait.hpp"
#include "runtime/core/wait_list.hpp"
#include "runtime/sync/ownership.hpp"

namespace heddle::detail {

namespace {

flow_name owner_of(const mutex_state& state) noexcept {
    return state.owner.load(std::memory_order_relaxed) & ~mutex_is_waited_for;
}

// All under the spin lock, with mutex_is_waited_for set or about to be.

void set_owner(mutex_state& state, flow_name owner) noexcept {
    const flow_name waited_for = state.waiters.empty() ? 0 : mutex_is_waited_for;
    // Pairs with the exchange of the inline lock.
    state.owner.store(owner | waited_for, std::memory_order_release);
}

void remove_first(mutex_state& state) noexcept {
    state.waiters.remove(state.waiters.front());
    state.first_is_woken = false;
    state.first_was_passed = false;
}

// Takes the mutex for a flow that is not the first waiter, or sees to it that whoever unlocks it
// looks at the list; whether it was taken.
bool take_or_mark(mutex_state& state, flow_name self) noexcept {
    flow_name owner = state.owner.load(std::memory_order_relaxed);
    for (;;) {
        if (owner == 0) {
            if (exchange_if(state.owner, owner, self)) {
                return true;
            }
            owner = state.owner.load(std::memory_order_relaxed);
        } else if (owner == mutex_is_waited_for) {
            state.first_was_passed = true;  // for the first time: one who was is never left waiting
            set_owner(state, self);
            return true;
        } else if ((owner & mutex_is_waited_for) != 0 ||
                   exchange_if(state.owner, owner, owner | mutex_is_waited_for)) {
            return false;
        } else {
            owner = state.owner.load(std::memory_order_relaxed);
        }
    }
}

// Takes back what take_or_mark and the list say of a waiter that gives up.
void withdraw(mutex_state& state, waiter& own) noexcept {
    if (!is_linked(own)) {
        return;
    }
    if (&state.waiters.front() == &own) {
        remove_first(state);
    } else {
        state.waiters.remove(own);
    }
    if (state.waiters.empty()) {
        set_owner(state, owner_of(state));
    }
}

// What the list keeps of a waiter, so that the mutex can be handed over to it.
void* to_object(flow_name flow) noexcept {
    return reinterpret_cast<void*>(flow);
}
flow_name flow_of(const waiter& one) noexcept {
    return reinterpret_cast<flow_name>(one.object);
}

void check_not_own(const mutex_state& state, flow_name self) noexcept {
    if (owner_of(state) == self) [[unlikely]] {
        report_second_lock("a mutex");
    }
}

// The rest of a lock for the waiter that was woken, which is the first one; whether the mutex is
// its own now.
bool take_as_first(mutex_state& state, flow_name self) noexcept {
    if (owner_of(state) == self) {
        return true;  // it was handed over meanwhile
    }
    if (owner_of(state) == 0) {
        remove_first(state);
        set_owner(state, self);
        return true;
    }
    state.first_is_woken = false;
    return false;
}

// Without memory for a wait that others could end.
wait_status look_for_it(mutex_state& state, const std::stop_token& token,
                        std::int64_t deadline_ns) noexcept {
    bool locked = false;
    const wait_status status = look_until(
        [&] {
            locked = mutex_take_free(state) || mutex_try_lock(state);
            return locked || token.stop_requested();
        },
        deadline_ns);
    return status == wait_status::event && !locked ? wait_status::cancelled : status;
}

// A lock that keeps a frame: of plain threads, and of any flow that a token may stop.
wait_status lock_framed(mutex_state& state, const std::stop_token& token,
                        std::int64_t deadline_ns) noexcept {
    fiber_block* const block = try_this_block();
    if (block == nullptr) {
        return look_for_it(state, token, deadline_ns);
    }
    const flow_name self = this_flow();
    framed_wait wait(*block);
    const stop_on_token stopper(token, stop_of_wait{wait, wait_status::cancelled});
    waiter own{.next = nullptr, .previous = nullptr, .block = block, .object = to_object(self)};
    state.lock.lock();
    if (take_or_mark(state, self)) {
        state.lock.unlock();
        return wait_status::event;
    }
    check_not_own(state, self);
    state.waiters.push_back(own);
    wait_status status = wait_status::again;
    while (status == wait_status::again) {
        if (!wait.begin(wait_reason::mutex, &state, false)) {
            status = wait_status::cancelled;
            break;
        }
        state.lock.unlock();
        status = wait.sleep(deadline_ns);
        if (status == wait_status::event) {
            return status;
        }
        state.lock.lock();
        if (status == wait_status::again && take_as_first(state, self)) {
            status = wait_status::event;
        }
    }
    if (status != wait_status::event) {
        withdraw(state, own);
    }
    state.lock.unlock();
    return status;
}

}  // namespace

bool mutex_try_lock(mutex_state& state) noexcept {
    if (state.owner.load(std::memory_order_relaxed) != mutex_is_waited_for) {
        return false;
    }
    state.lock.lock();
    const bool may = state.owner.load(std::memory_order_relaxed) == mutex_is_waited_for &&
                     take_or_mark(state, this_flow());
    state.lock.unlock();
    return may;
}

namespace {

[[gnu::noinline]] wait_status lock_long(mutex_state& state, std::int64_t deadline_ns) noexcept {
    worker* const here = current_worker;
    if (here == nullptr) {
        return lock_framed(state, {}, deadline_ns);
    }
    fiber_block& self = here->current();
    state.lock.lock();
    if (take_or_mark(state, this_flow())) {
        state.lock.unlock();
        return wait_status::event;
    }
    check_not_own(state, this_flow());
    if (deadline_ns <= here->now()) {
        state.lock.unlock();
        return static_cast<wait_status>(here->visit_dispatcher(self, wait_status::timed_out));
    }
    here->begin_wait(self, wait_reason::mutex, &state, 0);
    join_list(self, state.waiters, to_object(this_flow()));
    state.lock.unlock();
    here->arm(self, deadline_ns);
    return static_cast<wait_status>(here->suspend(self));
}

}  // namespace

wait_status mutex_lock(mutex_state& state, std::int64_t deadline_ns) noexcept {
    worker* const here = current_worker;
    if (here == nullptr || !here->waits_plainly(here->current(), deadline_ns)) [[unlikely]] {
        return lock_long(state, deadline_ns);
    }
    fiber_block& self = here->current();
    if (take_or_mark(state, this_flow())) {
        return wait_status::event;
    }
    if (owner_of(state) == this_flow()) [[unlikely]] {
        return lock_long(state, deadline_ns);  // reports it
    }
    here->begin_plain_wait(self, wait_reason::mutex, &state, 0);
    join_list(self, state.waiters, to_object(this_flow()));
    return static_cast<wait_status>(here->suspend_plainly(self));
}

wait_status mutex_lock_unless_stopped(mutex_state& state, const std::stop_token& token) noexcept {
    if (token.stop_requested()) {
        return after_a_turn(wait_status::cancelled);
    }
    return lock_framed(state, token, never_ns);
}

wait_status mutex_lock_again(mutex_state& state, std::int64_t deadline_ns) noexcept {
    worker& here = *current_worker;
    fiber_block& self = here.current();
    state.lock.lock();
    if (take_as_first(state, this_flow())) {
        state.lock.unlock();
        return wait_status::event;
    }
    if (deadline_ns <= here.now()) {
        state.lock.unlock();
        return wait_status::timed_out;
    }
    here.begin_wait(self, wait_reason::mutex, &state, 0);
    state.lock.unlock();
    here.arm(self, deadline_ns);
    return static_cast<wait_status>(here.suspend(self));
}

void mutex_give_up(mutex_state& state) noexcept {
    if (worker* const here = current_worker) {
        state.lock.lock();
        withdraw(state, here->current().header->wait);
        state.lock.unlock();
    }
}

namespace {

// Hands the mutex over, or frees it and wakes the first waiter; false if nobody waits.
bool pass_on(mutex_state& state) noexcept {
    while (!state.waiters.empty()) {
        waiter& first = state.waiters.front();
        if (state.first_is_woken) {
            const flow_name next = flow_of(first);
            remove_first(state);
            set_owner(state, next);
            state.lock.unlock();
            return true;
        }
        if (!claim(first)) {
            remove_first(state);  // its wait has ended otherwise
            continue;
        }
        if (state.first_was_passed) {
            const flow_name next = flow_of(first);
            remove_first(state);
            set_owner(state, next);
            state.lock.unlock();
            wake(first, wait_status::event);
            return true;
        }
        state.first_is_woken = true;
        state.owner.store(mutex_is_waited_for, std::memory_order_release);
        state.lock.unlock();
        wake(first, wait_status::again);
        return true;
    }
    return false;
}

}  // namespace

void mutex_unlock(mutex_state& state) noexcept {
    const flow_name self = this_flow();
    do {
        state.lock.lock();
        if (owner_of(state) != self) [[unlikely]] {
            report_foreign_unlock("a mutex", owner_of(state));
        }
        if (pass_on(state)) {
            return;
        }
        state.owner.store(self, std::memory_order_relaxed);
        state.lock.unlock();
        // Nothing of a mutex is touched once it is free: who locks it next may destroy it then.
    } while (!exchange_if(state.owner, self, flow_name{0}));
}

}  // namespace heddle::detail
