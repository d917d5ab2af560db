// The ways to give way: yield, sleep, join. Each ends in the switch, so that a resumed fiber
// returns straight into its caller; no local of theirs may have its address taken.
#include "runtime/base/assert.hpp"
#include "runtime/base/sanitizer.hpp"
#include "runtime/base/system.hpp"
#include "runtime/core/copies.hpp"
#include "runtime/core/thread_wait.hpp"
#include "runtime/core/worker.hpp"

#include <heddle/detail/fiber_access.hpp>
#include <heddle/error.hpp>

#include <algorithm>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace heddle::detail {

void wake(fiber_block& waiter, wait_status outcome) noexcept {
    if (waiter.state == fiber_state::thread) {
        waiter.outcome = static_cast<std::int32_t>(outcome);
        wake_thread(waiter);
        return;
    }
    worker& home = *waiter.home.load(std::memory_order_relaxed);
    if (&home == current_worker) {
        home.make_runnable(waiter, outcome);
        return;
    }
    waiter.outcome = static_cast<std::int32_t>(outcome);
    // With its mail the waiter may end, and its worker too: not before we have let go of it.
    const std::lock_guard guard(lifetime_lock);
    home.post(waiter, mail_wake);
}

void yield() noexcept {
    worker* const here = current_worker;
    if (here == nullptr) [[unlikely]] {
        refuse_fiber_of_another_copy();
        std::this_thread::yield();
        return;
    }
    here->yield(here->current());
}

namespace {

// The calling thread's block; null where there is no memory for one.
fiber_block* try_thread_block() noexcept {
    try {
        return &this_thread_block();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// What a thread without a block does instead of waiting to be woken: it looks again and again.
template <class Over>
wait_status look_until(Over over, std::int64_t deadline_ns) noexcept {
    constexpr std::int64_t pause_ns = 1'000'000;
    while (!over()) {
        const std::int64_t left = deadline_ns == never_ns ? pause_ns : deadline_ns - clock_now();
        if (left <= 0) {
            return wait_status::timed_out;
        }
        sys::nap(std::min(left, pause_ns));
    }
    return wait_status::event;
}

wait_status sleep_plain_thread(std::int64_t deadline_ns) noexcept {
    fiber_block* const self = try_thread_block();
    if (self == nullptr) {
        return look_until([] { return false; }, deadline_ns);
    }
    const std::uint64_t ticket = begin_thread_wait(*self, wait_reason::sleep, nullptr);
    return sleep_thread(*self, ticket, deadline_ns);
}

}  // namespace

wait_status sleep(std::int64_t deadline_ns) noexcept {
    worker* const here = current_worker;
    if (here == nullptr) [[unlikely]] {
        return sleep_plain_thread(deadline_ns);
    }
    fiber_block& self = here->current();
    if (here->cancellation_due(self)) [[unlikely]] {
        return static_cast<wait_status>(here->visit_dispatcher(self, wait_status::cancelled));
    }
    if (deadline_ns <= here->now()) {
        return static_cast<wait_status>(here->visit_dispatcher(self, wait_status::timed_out));
    }
    here->begin_wait(self, wait_reason::sleep, nullptr, here->cancellable(self));
    here->arm(self, deadline_ns);
    return static_cast<wait_status>(here->suspend(self));
}

namespace {

// Leaves the wait (waiter, ticket) with the target; false if the target has ended already.
bool leave_joiner(fiber_block& target, fiber_block& waiter, std::uint64_t ticket) noexcept {
    HEDDLE_ASSERT(target.cold->end.load(std::memory_order_relaxed) != end_state::joined,
                  "a fiber is joined by two at once", "fiber", target.cold->id);
    target.cold->joiner = &waiter;
    target.cold->joiner_ticket = ticket;
    const bool left = exchange_if(target.cold->end, end_state::open, end_state::joined);
    if (!left) {
        say_acquire(target.cold);
    }
    return left;
}

bool has_ended(const fiber_block& target) noexcept {
    const bool ended = target.cold->end.load(std::memory_order_acquire) == end_state::ended;
    if (ended) {
        say_acquire(target.cold);
    }
    return ended;
}

wait_status join_from_thread(fiber_block& target, std::int64_t deadline_ns) noexcept {
    if (has_ended(target)) {
        return wait_status::event;
    }
    fiber_block* const self = try_thread_block();
    if (self == nullptr) {
        return look_until([&] { return has_ended(target); }, deadline_ns);
    }
    const std::uint64_t ticket = begin_thread_wait(*self, wait_reason::join, &target);
    if (!leave_joiner(target, *self, ticket)) {
        self->wait.store(0, std::memory_order_relaxed);
        return wait_status::event;
    }
    return sleep_thread(*self, ticket, deadline_ns);
}

}  // namespace

namespace {

// Waits for a fiber that has not started by running it. Nobody else can have to do with its end
// yet: its handle is the caller's, its home is here.
[[gnu::always_inline]] inline wait_status join_unstarted(worker& here, fiber_block& self,
                                                         fiber_block& target, wait_reason reason,
                                                         std::uint8_t kind) noexcept {
    cold_block& cold = *target.cold;
    cold.joiner = &self;
    cold.joiner_ticket = here.begin_wait(self, reason, &target, kind);
    cold.end.store(end_state::joined, std::memory_order_relaxed);
    return static_cast<wait_status>(here.run_now(self, target));
}

[[gnu::noinline]] wait_status join_in_turn(worker& here, fiber_block& target,
                                           std::int64_t deadline_ns) noexcept {
    fiber_block& self = here.current();
    if (&self == &target) [[unlikely]] {
        return wait_status::refused;
    }
    if (here.cancellation_due(self)) [[unlikely]] {
        target.cold->joiner = nullptr;  // tells join_withdraw that nothing was tried
        return static_cast<wait_status>(here.visit_dispatcher(self, wait_status::cancelled));
    }
    if (has_ended(target)) {
        return wait_status::event;
    }
    if (deadline_ns <= here.now()) [[unlikely]] {
        target.cold->joiner = &self;  // something was: join_withdraw looks again
        return static_cast<wait_status>(here.visit_dispatcher(self, wait_status::timed_out));
    }
    const std::uint64_t ticket =
        here.begin_wait(self, wait_reason::join, &target, here.cancellable(self));
    if (!leave_joiner(target, self, ticket)) [[unlikely]] {
        here.end_wait(self);
        return wait_status::event;
    }
    here.arm(self, deadline_ns);
    if (here.may_run_now(target)) {
        return static_cast<wait_status>(here.run_now(self, target));
    }
    return static_cast<wait_status>(here.suspend(self));
}

}  // namespace

wait_status join_wait(fiber_block* block, std::int64_t deadline_ns) noexcept {
    fiber_block& target = *block;
    worker* const here = current_worker;
    if (here == nullptr) [[unlikely]] {
        return join_from_thread(target, deadline_ns);
    }
    fiber_block& self = here->current();
    if (here->may_run_now(target) && deadline_ns == never_ns &&
        (self.flags & flag_stop_requested) == 0) {
        return join_unstarted(*here, self, target, wait_reason::join, here->cancellable(self));
    }
    return join_in_turn(*here, target, deadline_ns);
}

bool join_withdraw(fiber_block* block) noexcept {
    return !exchange_if(block->cold->end, end_state::joined, end_state::open) &&
           has_ended(*block) && block->cold->joiner != nullptr;
}

void join_always(fiber_block* block) noexcept {
    fiber_block& target = *block;
    worker* const here = current_worker;
    if (here == nullptr) {
        join_from_thread(target, never_ns);
        return;
    }
    if (has_ended(target)) {
        return;
    }
    fiber_block& self = here->current();
    if (here->may_run_now(target)) {
        join_unstarted(*here, self, target, wait_reason::join_in_destructor, 0);
        return;
    }
    const std::uint64_t ticket =
        here->begin_wait(self, wait_reason::join_in_destructor, &target, 0);
    if (!leave_joiner(target, self, ticket)) {
        here->end_wait(self);
        return;
    }
    here->suspend(self);
}

void throw_wait_status(wait_status status, const char* what) {
    if (status == wait_status::cancelled) {
        throw cancelled();
    }
    throw std::system_error(to_error_code(status), what);
}

std::error_code to_error_code(wait_status status) noexcept {
    switch (status) {
    case wait_status::event:
        return {};
    case wait_status::timed_out:
        return std::make_error_code(std::errc::timed_out);
    case wait_status::cancelled:
        return std::make_error_code(std::errc::operation_canceled);
    case wait_status::refused:
        return std::make_error_code(std::errc::operation_not_permitted);
    }
    return std::make_error_code(std::errc::invalid_argument);
}

}  // namespace heddle::detail
