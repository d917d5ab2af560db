// Waiting for what other flows do: the one way in which the primitives of sync/ block.
//
// A primitive has a spin_lock and a wait_list. A flow that cannot go on puts its waiter into the
// list, releases the lock and gives way (wait_for). Whoever lets it go on takes the waiter out of
// the list and claims its wait, both under the lock (take_first), and then wakes it. A flow whose
// deadline or cancellation came first takes its waiter out itself (leave), before it waits again.
// So a waiter that is in a list belongs to a wait that is on, or that has ended but not returned.
#pragma once

#include "runtime/base/sanitizer.hpp"
#include "runtime/core/fiber_block.hpp"
#include "runtime/core/thread_wait.hpp"
#include "runtime/core/worker.hpp"

#include <heddle/detail/wait_list.hpp>

#include <cstdint>

namespace heddle::detail {

[[gnu::cold]] void wait_for_spin_lock(std::atomic<bool>& held) noexcept;

inline void spin_lock::lock() noexcept {
    if (single_threaded()) [[likely]] {
        return;
    }
    if (held_.exchange(true, std::memory_order_acquire)) [[unlikely]] {
        wait_for_spin_lock(held_);
    }
    say_acquire(this);
}

inline void spin_lock::unlock() noexcept {
    if (held_.load(std::memory_order_relaxed)) [[unlikely]] {
        say_release(this);
        held_.store(false, std::memory_order_release);  // pairs with the exchange in lock
    }
}

inline void wait_list::push_back(waiter& last) noexcept {
    if (first_ == nullptr) {
        last.next = last.previous = first_ = &last;
        return;
    }
    last.next = first_;
    last.previous = first_->previous;
    first_->previous->next = &last;
    first_->previous = &last;
}

inline void wait_list::push_front(waiter& first) noexcept {
    push_back(first);
    first_ = &first;
}

inline void wait_list::remove(waiter& linked) noexcept {
    if (linked.next == &linked) {
        first_ = nullptr;
    } else {
        linked.next->previous = linked.previous;
        linked.previous->next = linked.next;
        if (first_ == &linked) {
            first_ = linked.next;
        }
    }
    linked.next = nullptr;
}

inline waiter& wait_list::pop_front() noexcept {
    waiter& first = *first_;
    waiter* const next = first.next;
    first.next = nullptr;
    if (next == &first) {
        first_ = nullptr;
    } else {
        next->previous = first.previous;
        first.previous->next = next;
        first_ = next;
    }
    return first;
}

inline bool is_linked(const waiter& one) noexcept {
    return one.next != nullptr;
}

/// Ends the wait of a waiter that is in a list, under the lock of that; false if it has ended.
inline bool claim(waiter& linked) noexcept {
    // No later wait can have begun: the waiter would have left the list before.
    const std::uint64_t ticket = linked.block->wait.load(std::memory_order_relaxed);
    return ticket != 0 && claim(*linked.block, ticket);
}

/// Takes the first waiter whose wait has not ended otherwise out of the list, and claims it; null
/// if there is none. Under the lock; wake it afterwards. Until then its flow does not go on, so
/// what `object` points to is there.
inline waiter* take_first(wait_list& waiters) noexcept {
    while (!waiters.empty()) {
        waiter& first = waiters.pop_front();
        if (claim(first)) [[likely]] {
            first.previous = nullptr;  // tells a select which of its waiters it was
            return &first;
        }
    }
    return nullptr;
}

/// The same for a caller who has seen that the process has one thread.
inline waiter* take_first_alone(wait_list& waiters) noexcept {
    while (!waiters.empty()) {
        waiter& first = waiters.pop_front();
        if (first.block->wait.load(std::memory_order_relaxed) != 0) [[likely]] {
            first.block->wait.store(0, std::memory_order_relaxed);
            first.previous = nullptr;  // as take_first does
            return &first;
        }
    }
    return nullptr;
}

/// Does so with all of them, in their order. To be woken by wake_all, when the lock has been
/// released and nothing of the primitive is needed any more: the first to go on may destroy it.
inline void take_all(wait_list& waiters, wait_list& claimed) noexcept {
    while (waiter* const first = take_first(waiters)) {
        claimed.push_back(*first);
    }
}

/// Lets the flow of a claimed waiter go on. After this the waiter may be gone.
[[gnu::always_inline]] inline void wake(waiter& claimed, wait_status outcome) noexcept {
    fiber_block& block = *claimed.block;
    worker* const here = current_worker;
    // Also false for a plain thread that wakes a fiber, which has a home.
    const bool is_at_home = block.home.load(std::memory_order_relaxed) == here;
    if (!is_at_home || (block.wait_kind & (wait_timed | wait_of_thread)) != 0) [[unlikely]] {
        wake(block, outcome);
        return;
    }
    here->make_runnable_plainly(block, outcome);
}

inline void wake_all(wait_list& claimed, wait_status outcome) noexcept {
    while (!claimed.empty()) {
        waiter& first = claimed.front();
        claimed.remove(first);
        first.previous = nullptr;  // as take_first left it
        wake(first, outcome);
    }
}

/// Puts a fiber behind the others in a list, under the lock of that.
[[gnu::always_inline]] inline void join_list(fiber_block& self, wait_list& waiters,
                                             void* object) noexcept {
    waiter& own = self.header->wait;
    own.block = &self;
    own.object = object;
    waiters.push_back(own);
}

/// A plain thread's wait, as wait_for below.
template <class Attempt>
[[gnu::noinline]] wait_status wait_on_thread(Attempt attempt, wait_list& waiters, spin_lock& lock,
                                             wait_reason reason, const void* what, void* object,
                                             std::int64_t deadline_ns) noexcept {
    lock.lock();
    if (attempt()) {
        lock.unlock();
        return wait_status::event;
    }
    lock.unlock();
    if (deadline_ns <= clock_now()) {
        return wait_status::timed_out;
    }
    fiber_block* const self = try_thread_block();
    if (self == nullptr) {
        return look_until(
            [&] {
                lock.lock();
                const bool done = attempt();
                lock.unlock();
                return done;
            },
            deadline_ns);
    }
    waiter own{.next = nullptr, .previous = nullptr, .block = self, .object = object};
    lock.lock();
    if (attempt()) {
        lock.unlock();
        return wait_status::event;
    }
    const std::uint64_t ticket = begin_thread_wait(*self, reason, what);
    waiters.push_back(own);
    lock.unlock();
    const wait_status outcome = sleep_thread(*self, ticket, deadline_ns);
    if (outcome != wait_status::event) {
        lock.lock();
        if (is_linked(own)) {
            waiters.remove(own);
        }
        lock.unlock();
    }
    return outcome;
}

/// What the template argument of wait_for says. Otherwise the deadline alone can keep the event
/// from ending the wait.
constexpr bool is_cancellation_point = true;
constexpr bool no_cancellation_point = false;

/// A wait of a plain thread, or one of a fiber for which anything is unusual.
template <bool cancellation_point, class Attempt>
[[gnu::noinline]] wait_status wait_long(Attempt attempt, wait_list& waiters, spin_lock& lock,
                                        wait_reason reason, const void* what, void* object,
                                        std::int64_t deadline_ns) noexcept {
    worker* const here = current_worker;
    if (here == nullptr) {
        return wait_on_thread(attempt, waiters, lock, reason, what, object, deadline_ns);
    }
    fiber_block& self = here->current();
    if (cancellation_point && here->cancellation_due(self)) {
        return static_cast<wait_status>(here->visit_dispatcher(self, wait_status::cancelled));
    }
    lock.lock();
    if (attempt()) {
        lock.unlock();
        return static_cast<wait_status>(here->spend_turn(self));
    }
    if (deadline_ns <= here->now()) {
        lock.unlock();
        return static_cast<wait_status>(here->visit_dispatcher(self, wait_status::timed_out));
    }
    here->begin_wait(self, reason, what, cancellation_point ? here->cancellable(self) : 0);
    join_list(self, waiters, object);
    lock.unlock();
    here->arm(self, deadline_ns);
    return static_cast<wait_status>(here->suspend(self));
}

/// Calls `attempt` under the lock, and if that gives false, waits in the list until somebody has
/// taken the calling flow out. A cancellation point, unless said otherwise. `reason` and `what` are
/// for lists of fibers;
/// `object` is for whoever takes the flow out.
/// Ends in the switch: a caller returns what this returns, and has nothing to do afterwards. So the
/// inline code that gets another status than `event` calls leave().
template <bool cancellation_point = is_cancellation_point, class Attempt>
[[gnu::always_inline]] inline wait_status
wait_for(Attempt attempt, wait_list& waiters, spin_lock& lock, wait_reason reason, const void* what,
         void* object, std::int64_t deadline_ns) noexcept {
    worker* const here = current_worker;
    if (here == nullptr || !here->waits_plainly(here->current(), deadline_ns)) [[unlikely]] {
        return wait_long<cancellation_point>(attempt, waiters, lock, reason, what, object,
                                             deadline_ns);
    }
    fiber_block& self = here->current();
    if (attempt()) {
        return static_cast<wait_status>(here->spend_turn(self));
    }
    here->begin_plain_wait(self, reason, what, cancellation_point ? wait_cancellable : 0);
    join_list(self, waiters, object);
    return static_cast<wait_status>(here->suspend_plainly(self));
}

/// Takes the calling flow out of the list after a wait that did not end by an event. A plain thread
/// has left already.
inline void leave(wait_list& waiters, spin_lock& lock) noexcept {
    worker* const here = current_worker;
    if (here == nullptr) {
        return;
    }
    waiter& own = here->current().header->wait;
    lock.lock();
    if (is_linked(own)) {
        waiters.remove(own);
    }
    lock.unlock();
}

}  // namespace heddle::detail
