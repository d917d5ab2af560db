// The ways to give way: yield, sleep, join. Each ends in the switch, so that a resumed fiber
// returns straight into its caller; no local of theirs may have its address taken.
#include "runtime/base/assert.hpp"
#include "runtime/base/sanitizer.hpp"
#include "runtime/base/system.hpp"
#include "runtime/core/copies.hpp"
#include "runtime/core/join_wait.hpp"
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

bool leave_joiner(fiber_block& target, fiber_block& waiter, std::uint64_t ticket) noexcept {
    HEDDLE_ASSERT(target.cold->end.load(std::memory_order_relaxed) != end_state::joined,
                  "a fiber is joined by two at once", "fiber", target.cold->id);
    target.cold->joiner.store(&waiter, std::memory_order_relaxed);
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

bool take_back_joiner(fiber_block& target) noexcept {
    return exchange_if(target.cold->end, end_state::joined, end_state::open);
}

bool fiber_has_ended(const fiber_block* block) noexcept {
    return has_ended(*block);
}

bool await_end(fiber_block* block, end_awaiter& awaiter) noexcept {
    cold_block& cold = *block->cold;
    // The end of the fiber knows by its state whose this is.
    cold.joiner.store(reinterpret_cast<fiber_block*>(&awaiter), std::memory_order_relaxed);
    say_release(&cold);
    const bool left = exchange_if(cold.end, end_state::open, end_state::awaited);
    if (!left) {
        say_acquire(&cold);
    }
    return left;
}

void withdraw_awaiter(fiber_block* block) noexcept {
    const bool back = exchange_if(block->cold->end, end_state::awaited, end_state::open);
    HEDDLE_ASSERT(back, "a coroutine is destroyed while the fiber that it awaited resumes it",
                  "fiber", block->cold->id);
}

namespace {

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

// Leaves a wait with a fiber that has not started. Nobody else can have to do with its end yet: its
// handle is the caller's, its home is here.
[[gnu::always_inline]] inline void leave_sole_joiner(fiber_block& target, fiber_block& waiter,
                                                     std::uint64_t ticket) noexcept {
    cold_block& cold = *target.cold;
    cold.joiner.store(&waiter, std::memory_order_relaxed);
    cold.joiner_ticket = ticket;
    cold.end.store(end_state::joined, std::memory_order_relaxed);
}

// Waits for such a fiber by running it.
[[gnu::always_inline]] inline wait_status join_unstarted(worker& here, fiber_block& self,
                                                         fiber_block& target, wait_reason reason,
                                                         std::uint8_t kind) noexcept {
    leave_sole_joiner(target, self, here.begin_wait(self, reason, &target, kind));
    return static_cast<wait_status>(here.run_now(self, target));
}

wait_status join_in_next_turn(worker& here, fiber_block& target, std::int64_t deadline_ns) noexcept;

[[gnu::noinline]] wait_status join_in_turn(worker& here, fiber_block& target,
                                           std::int64_t deadline_ns) noexcept {
    fiber_block& self = here.current();
    if (&self == &target) [[unlikely]] {
        return wait_status::refused;
    }
    if (here.cancellation_due(self)) [[unlikely]] {
        target.cold->joiner.store(
            nullptr, std::memory_order_relaxed);  // tells join_withdraw that nothing was tried
        return static_cast<wait_status>(here.visit_dispatcher(self, wait_status::cancelled));
    }
    if (has_ended(target)) {
        return wait_status::event;
    }
    if (deadline_ns <= here.now()) [[unlikely]] {
        target.cold->joiner.store(
            &self, std::memory_order_relaxed);  // something was: join_withdraw looks again
        return static_cast<wait_status>(here.visit_dispatcher(self, wait_status::timed_out));
    }
    const bool run_now = here.may_run_now(target);
    if (!run_now && here.may_keep_turn(target)) {
        return join_in_next_turn(here, target, deadline_ns);
    }
    const std::uint64_t ticket =
        here.begin_wait(self, wait_reason::join, &target, here.cancellable(self));
    if (!leave_joiner(target, self, ticket)) [[unlikely]] {
        here.end_wait(self);
        return wait_status::event;
    }
    here.arm(self, deadline_ns);
    if (run_now) {
        return static_cast<wait_status>(here.run_now(self, target));
    }
    return static_cast<wait_status>(here.suspend(self));
}

[[gnu::noinline]] wait_status join_in_next_turn(worker& here, fiber_block& target,
                                                std::int64_t deadline_ns) noexcept {
    here.keep_turn(here.current());
    return join_in_turn(here, target, deadline_ns);
}

}  // namespace

wait_status join_wait(fiber_block* block, std::int64_t deadline_ns) noexcept {
    fiber_block& target = *block;
    worker* const here = current_worker;
    if (here == nullptr) [[unlikely]] {
        return join_from_thread(target, deadline_ns);
    }
    fiber_block& self = here->current();
    if (deadline_ns == never_ns && here->may_run_at_once(self, target)) {
        leave_sole_joiner(target, self,
                          here->begin_wait(self, wait_reason::join, &target,
                                           here->cancellable_unless_shielded(self)));
        return static_cast<wait_status>(here->run_at_once(self, target));
    }
    return join_in_turn(*here, target, deadline_ns);
}

bool join_withdraw(fiber_block* block) noexcept {
    worker* const here = current_worker;
    if (here != nullptr && &here->current() == block) [[unlikely]] {
        return false;  // it was refused, and who may be found there is another
    }
    return !take_back_joiner(*block) && has_ended(*block) &&
           block->cold->joiner.load(std::memory_order_relaxed) != nullptr;
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
    while (!here->may_run_now(target) && here->may_keep_turn(target)) {
        here->keep_turn(self);
    }
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
    case wait_status::closed:
        return errc::closed;
    case wait_status::again:
    case wait_status::admitted:
        break;
    }
    return std::make_error_code(std::errc::invalid_argument);
}

}  // namespace heddle::detail
