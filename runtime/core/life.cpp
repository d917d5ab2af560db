// The life of a fiber: its block, its stack, its function, its end; and the long way of a switch.
#include "runtime/base/assert.hpp"
#include "runtime/base/limits.hpp"
#include "runtime/base/sanitizer.hpp"
#include "runtime/core/fiber_exceptions.hpp"
#include "runtime/core/worker.hpp"

#include <heddle/detail/fiber_access.hpp>
#include <heddle/error.hpp>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace heddle::detail {

namespace {

// Ids are drawn in blocks, so that spawning does not touch a shared counter each time.
constexpr std::uint64_t ids_per_block = 64;
std::atomic<std::uint64_t> ids_drawn = 0;

}  // namespace

fiber_block& worker::new_fiber(const spawn_request& request, const void* spawned_at) {
    const std::uint8_t stack_class = stack_class_of(request);
    fiber_block& fiber = new_plain_fiber(spawned_at);
    if (request.detached) {
        fiber.flags |= flag_detached;
        fiber.cold->end.store(end_state::detached, std::memory_order_relaxed);
    }
    if (request.own_fp_environment && !switch_keeps_control_words) {
        fiber.flags |= flag_own_fp | flag_slow_switch;
    }
    fiber.cold->stack_class = stack_class;
    fiber.cold->name[request.name.copy(fiber.cold->name, name_bytes - 1)] = '\0';
    return fiber;
}

// Waking, queueing and arming never allocate: the room for everything alive is taken when it grows.
void worker::make_room() {
    const std::size_t room = std::max<std::size_t>(64, 2 * (room_ + 1));
    queue_.reserve(room);
    timers_.reserve(room);
    room_ = room;
}

void worker::shrink_room() noexcept {
    const std::size_t room = std::max<std::size_t>(64, 2 * alive());
    if (room >= room_) {
        return;
    }
    room_ = room;  // both keep at least this, also where there is no memory to move them to
    try {
        queue_.shrink(room);
        timers_.shrink(room);
    } catch (const std::bad_alloc&) {
        // What they have is kept.
    }
}

void worker::draw_ids() noexcept {
    next_id_ = ids_drawn.fetch_add(ids_per_block, std::memory_order_relaxed) + 1;
    ids_end_ = next_id_ + ids_per_block;
}

// The size of stack that a request asks for; refuses workers that do not exist.
std::uint8_t worker::stack_class_of(const spawn_request& request) {
    if (request.worker < any_worker || request.worker > 0) {
        throw std::invalid_argument("heddle: fiber_options::worker is " +
                                    std::to_string(request.worker) +
                                    ", but the workers are numbered from 0 to 0");
    }
    return request.stack_bytes == 0
               ? stack_class_
               : stacks_.class_for(request.stack_bytes, "fiber_options::stack_bytes");
}

void worker::free_block_later(fiber_block& block) noexcept {
    // Mail under way still names the block: it is freed when that has arrived.
    set_bits(block.cold->mail, std::uint8_t{mail_release});
}

bool worker::start_slow(fiber_block& fiber) noexcept {
    if (fiber.cold->stack_top == nullptr) {
        fail_start(fiber);
        return false;
    }
    if constexpr (switch_keeps_control_words) {
        // A fresh context begins with the words of the moment, which may be another fiber's own.
        const fp_environment words = context_save_fp_environment();
        context_restore_fp_environment(control_words_);
        context_make(fiber.context, fiber.cold->stack_top - stack_header_bytes, entry_, &fiber);
        context_restore_fp_environment(words);
    }
    fiber.cold->control_words = control_words_;
    return true;
}

void worker::start_first(fiber_block& fiber) {
    if (stack_class& stacks = stacks_[fiber.cold->stack_class]; stacks.idle() == 0) {
        std::byte* const top = stacks.take();
        if (top == nullptr) {
            abandon(fiber);
            throw std::system_error(std::make_error_code(std::errc::not_enough_memory),
                                    stacks.why_none());
        }
        stacks.give(top);
    }
    queue_new(fiber);
}

namespace {

std::exception_ptr refusal_of(const stack_class& stacks) noexcept {
    try {
        return std::make_exception_ptr(std::system_error(
            std::make_error_code(std::errc::not_enough_memory), stacks.why_none()));
    } catch (const std::bad_alloc&) {
        return std::make_exception_ptr(
            no_memory("heddle: no stack for a fiber, and no memory to say why"));
    }
}

}  // namespace

void worker::fail_start(fiber_block& fiber) noexcept {
    cold_block& cold = *fiber.cold;
    ::new (&end_exception(cold)) std::exception_ptr(refusal_of(stacks_[cold.stack_class]));
    // Not here: destructors of the user's may wait, and this is no fiber's time.
    cold.closure_left = true;
    const end_state before = exchange(cold.end, end_state::ended);
    if (before == end_state::detached) {
        drop_what_it_left(fiber);
    }
    if (fiber_block* const joiner = settle_end(fiber, before)) {
        make_runnable(*joiner, wait_status::event);
    }
}

namespace {

// The three ways to call a fiber's function. An exception that must terminate finds no handler,
// so that std::terminate is called with the throwing frames still in place.
void run_joinable(cold_block& cold) {
    try {
        cold.body(body_step::run, cold.storage);
    } catch (...) {
        cold.body(body_step::let_pass, cold.storage);
        ::new (&end_exception(cold)) std::exception_ptr(std::current_exception());
    }
}

void run_detached(cold_block& cold) {
    try {
        cold.body(body_step::run, cold.storage);
    } catch (const cancelled&) {
        // It was asked to stop, and has.
        cold.body(body_step::let_pass, cold.storage);
    }
}

void run_detached_with_handler(cold_block& cold, void (*handler)(fiber_id, std::exception_ptr)) {
    try {
        cold.body(body_step::run, cold.storage);
    } catch (const cancelled&) {
        cold.body(body_step::let_pass, cold.storage);
    } catch (...) {
        cold.body(body_step::let_pass, cold.storage);
        handler(fiber_id(cold.id), std::current_exception());
    }
}

}  // namespace

[[gnu::always_inline]] inline void worker::run_body(fiber_block& self) {
    if ((self.flags & flag_detached) == 0) {
        run_joinable(*self.cold);
    } else if (on_detached_exception_ == nullptr) {
        run_detached(*self.cold);
    } else {
        run_detached_with_handler(*self.cold, on_detached_exception_);
    }
}

void worker::fiber_entry(void* block) {
    fiber_block& self = *static_cast<fiber_block*>(block);
    worker& home = *self.home.load(std::memory_order_relaxed);
    home.run_body(self);
    home.finish(self);
}

void worker::watched_fiber_entry(void* block) {
    fiber_block& self = *static_cast<fiber_block*>(block);
    worker& home = *self.home.load(std::memory_order_relaxed);
    after_switch(nullptr);
    drop_race_handle(std::exchange(home.dead_race_handle_, nullptr));
    // Not before: a flow that ended may have bound its own stack, and run on it until just now.
    forget_poison(home.stack_bottom(self), home.stacks_[self.cold->stack_class].bytes());
    home.run_body(self);
    say_release(self.cold);
    home.finish(self);
}

void worker::finish(fiber_block& self) noexcept {
    cold_block& cold = *self.cold;
    const end_state before = exchange(cold.end, end_state::ended);
    if (before == end_state::detached) [[unlikely]] {
        drop_what_it_left(self);  // code of the user's, which may wait: so before the stack goes
    }
    check_control_words(self);
    const bool run_by_joiner = (self.flags & flag_run_by_joiner) != 0;
    departing_.flags = self.flags & (flag_own_fp | flag_slow_switch);
    // The stack goes first, so that the next fiber to start gets it while it is warm. Nothing is
    // written to its top before the last switch has left it (context_make's promise).
    stacks_[cold.stack_class].give(cold.stack_top);
    fiber_block* next = settle_end(self, before);
    if (next != nullptr) {
        if (run_by_joiner) {
            next->outcome = static_cast<std::int32_t>(wait_status::event);
            disarm(*next);
        } else {
            make_runnable(*next, wait_status::event);
            next = nullptr;
        }
    }
    resume(departing_, next != nullptr ? *next : pick());
    __builtin_unreachable();
}

// Hands the exception of a fiber that nobody will join to the handler for those, or terminates.
void worker::report_exception(cold_block& cold) noexcept {
    const std::exception_ptr exception = take_end_exception(cold);
    if (is_cancelled(exception)) {
        return;
    }
    if (on_detached_exception_ != nullptr) {
        on_detached_exception_(fiber_id(cold.id), exception);
        return;
    }
    terminate_for(cold, exception, "a detached fiber ended by an exception");
}

// Deals with the result or the exception of a fiber that nobody will join.
void worker::drop_what_it_left(fiber_block& fiber) noexcept {
    if (end_exception(*fiber.cold) != nullptr) {
        // It never started, or had a handle when it did and so ran under a handler.
        report_exception(*fiber.cold);
    } else if ((fiber.flags & flag_detached) == 0) {
        fiber.cold->body(body_step::drop_result, fiber.cold->storage);
    }
}

// Counts a fiber as over, whose end was `before` until now, and tells its joiner. Returns him,
// claimed, if he is a fiber of this worker; others have been woken. The block may be gone when this
// returns.
fiber_block* worker::settle_end(fiber_block& fiber, end_state before) noexcept {
    cold_block& cold = *fiber.cold;
    ++ended_;
    cold.stack_top = nullptr;
    fiber.state = fiber_state::finished;
    if (before == end_state::joined) [[likely]] {
        fiber_block* const joiner = cold.joiner;
        if (!claim(*joiner, cold.joiner_ticket)) {
            return nullptr;
        }
        if (joiner->home.load(std::memory_order_relaxed) != this) [[unlikely]] {
            wake(*joiner, wait_status::event);
            return nullptr;
        }
        return joiner;
    }
    if (before == end_state::detached) {
        free_block(fiber);
    }
    return nullptr;
}

std::intptr_t worker::yield_slow(fiber_block& self) noexcept {
    if (queue_.empty()) {
        return --budget_ >= 0 ? 0 : visit_dispatcher(self, wait_status::event);
    }
    queue_.push(self);
    return suspend(self);
}

std::intptr_t worker::suspend_to_unstarted(fiber_block& self) noexcept {
    fiber_block& next = *queue_.front();
    queue_.pop_front();
    return resume(self, start(next) ? next : dispatcher_);
}

std::intptr_t worker::visit_dispatcher(fiber_block& self, wait_status outcome) noexcept {
    self.outcome = static_cast<std::int32_t>(outcome);
    queue_.push(self);
    return resume(self, dispatcher_);
}

const std::byte* worker::stack_bottom(const fiber_block& fiber) noexcept {
    return stacks_[fiber.cold->stack_class].bottom(fiber.cold->stack_top);
}

// In checked builds: whether the fiber that is about to give way, or to end, changed what is the
// thread's.
void worker::check_control_words([[maybe_unused]] fiber_block& self) noexcept {
#ifdef HEDDLE_CHECKED
    if (switch_keeps_control_words || (self.flags & flag_own_fp) != 0 ||
        context_save_fp_environment() == control_words_) {
        return;
    }
    current_ = &self;  // the culprit is to be named, not its successor
    HEDDLE_ASSERT(false, "a fiber changed the floating-point control words and gave way, but was "
                         "not spawned with fiber_options::own_fp_environment");
#endif
}

std::intptr_t worker::resume_slow(fiber_block& self, fiber_block& next) noexcept {
    // The exception globals, the floating-point control words and the tools' view of the stack
    // belong to the flow. What is installed here is the successor's; what is saved is ours.
    if (globals_->any()) {
        self.cold->exceptions = *globals_;
        self.flags |= flag_exceptions | flag_slow_switch;
        *globals_ = {};
    }
    if ((next.flags & flag_exceptions) != 0) {
        *globals_ = std::exchange(next.cold->exceptions, {});
        next.flags &= static_cast<std::uint8_t>(~flag_exceptions);
        if ((next.flags & flag_own_fp) == 0) {
            next.flags &= static_cast<std::uint8_t>(~flag_slow_switch);
        }
    }
    if ((self.flags & flag_own_fp) != 0) {
        self.cold->control_words = context_save_fp_environment();
        context_restore_fp_environment(control_words_);
    }
    if (&self != &departing_) {
        check_control_words(self);
    }
    if ((next.flags & flag_own_fp) != 0) {
        context_restore_fp_environment(next.cold->control_words);
    }
    if (watched_) {
        return resume_watched(self, next);
    }
    return heddle_switch(&self.context, &next.context, next.outcome);
}

}  // namespace heddle::detail
