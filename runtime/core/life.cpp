// The life of a fiber: its block, its stack, its function, its end; and the long way of a switch.
#include "runtime/base/assert.hpp"
#include "runtime/base/limits.hpp"
#include "runtime/base/sanitizer.hpp"
#include "runtime/base/text.hpp"
#include "runtime/core/fiber_exceptions.hpp"
#include "runtime/core/initialisers.hpp"
#include "runtime/core/locals.hpp"
#include "runtime/core/thread_wait.hpp"
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

#ifdef HEDDLE_CHECKED
constinit thread_local int open_initialisers = 0;
#endif

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
    fiber.cold->named = !request.name.empty();
    return fiber;
}

// Waking, queueing and arming never allocate: the room for everything alive is taken when it grows.
void worker::make_room() {
    const std::size_t room = std::max<std::size_t>(64, 2 * (room_ + 1));
    try {
        queue_.reserve(room);
        timers_.reserve(room);
    } catch (const std::bad_alloc&) {
        text_line why;
        why << "heddle: no memory for the places of " << room
            << " fibers in the run queue and among the timers: the process may have as much "
               "address space as ulimit -v and vm.overcommit_memory allow";
        throw no_memory(why.view());
    }
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

void worker::queue_new_long(fiber_block& fiber) noexcept {
    if (shutting_down_) {
        fiber.cold->stop_asked.store(true, std::memory_order_relaxed);
        fiber.flags |= flag_stop_requested;
    }
    queue_.push_unstarted(fiber);
}

void worker::free_block_long(fiber_block& block) noexcept {
    if (block.cold->mail.load(std::memory_order_relaxed) != 0) {
        // Mail under way still names the block: it is freed when that has arrived.
        set_bits(block.cold->mail, std::uint8_t{mail_release});
        return;
    }
    drop_stop_source(*block.cold);
    free_plain_block(block);
}

bool worker::start_slow(fiber_block& fiber, std::byte* stack_top) noexcept {
    if (stack_top == nullptr) {
        fail_start(fiber);
        return false;
    }
    if constexpr (switch_keeps_control_words) {
        // A fresh context begins with the words of the moment, which may be another fiber's own.
        const fp_environment words = context_save_fp_environment();
        context_restore_fp_environment(control_words_);
        context_make(fiber.context, stack_top - stack_header_bytes, entry_, &fiber);
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
    leave_exception(cold, refusal_of(stacks_[cold.stack_class]));
    // Not here: destructors of the user's may wait, and this is no fiber's time.
    cold.closure_left = true;
    cold.body(body_step::no_stack, cold.storage);
    const end_state before = exchange(cold.end, end_state::ended);
    if (before == end_state::detached) {
        drop_what_it_left(fiber);
    } else if (before == end_state::awaited) {
        post(fiber, mail_awaiter);  // the coroutine may do what it likes, and this is no time
        return;
    }
    if (fiber_block* const joiner = settle_end(fiber, before)) {
        make_runnable(*joiner, wait_status::event);
    }
}

namespace {

// The three ways to call a fiber's function. An exception that must terminate finds no handler,
// so that std::terminate is called with the throwing frames still in place.
[[gnu::always_inline]] inline void run_joinable(fiber_block& self) {
    cold_block& cold = *self.cold;
    try {
        cold.body(body_step::run, cold.storage);
        destroy_locals(self);
    } catch (...) {
        cold.body(body_step::let_pass, cold.storage);
        destroy_locals(self);
        leave_exception(cold, std::current_exception());
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
        run_joinable(self);
        return;
    }
    if (on_detached_exception_ == nullptr) {
        run_detached(*self.cold);
    } else {
        run_detached_with_handler(*self.cold, on_detached_exception_);
    }
    destroy_locals(self);
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

// The turn of a fiber that ends is its joiner's, if that is one of this worker: so a tree of fibers
// is walked branch by branch, on few stacks. It counts as a switch, so others still have theirs.
[[gnu::always_inline]] inline void worker::finish(fiber_block& self) noexcept {
    cold_block& cold = *self.cold;
    if (--budget_ >= 0 && cold.end.load(std::memory_order_acquire) == end_state::joined) {
        // While a fiber of this worker waits for the end, nobody else has to do with it, so that it
        // needs no exchange.
        fiber_block& joiner = *cold.joiner.load(std::memory_order_relaxed);
        if (joiner.home.load(std::memory_order_relaxed) == this &&
            joiner.wait.load(std::memory_order_relaxed) == cold.joiner_ticket &&
            (joiner.wait_kind & wait_timed) == 0 && !takes_long_way(self, joiner)) [[likely]] {
            stacks_[cold.stack_class].give(stack_top_of(self));
            ++ended_;
            self.header = nullptr;
            self.state = fiber_state::finished;
            cold.end.store(end_state::ended, std::memory_order_release);
            joiner.wait.store(0, std::memory_order_relaxed);
            joiner.outcome = static_cast<std::int32_t>(wait_status::event);
            departing_.flags = 0;
            switch_to(departing_, joiner);
            __builtin_unreachable();
        }
    }
    finish_long(self);
    __builtin_unreachable();
}

namespace {

// Hands what a fiber has come to over to the coroutine that awaits it, and resumes that.
void resume_awaiter(cold_block& cold) {
    say_acquire(&cold);  // pairs with await_end, whose awaiter this is
    auto& awaiter = *reinterpret_cast<end_awaiter*>(cold.joiner.load(std::memory_order_relaxed));
    awaiter.exception = take_end_exception(cold);
    awaiter.took_over = true;
    awaiter.resume(awaiter.coroutine);
}

}  // namespace

// The fiber goes on as the coroutine that awaits it. What its exception was saved in is free again.
void worker::run_awaiter(fiber_block& self) {
    if (!shutting_down_) {
        drop_stop_request(self);  // nobody has a handle any more
    }
    resume_awaiter(*self.cold);
}

// The same for a fiber that never got a stack: as on a plain thread, in the dispatcher.
void worker::run_awaiter_of_unstarted(fiber_block& fiber) noexcept {
    {
        const outside_of_fibers here;
        resume_awaiter(*fiber.cold);
    }
    settle_end(fiber, end_state::detached);
}

void worker::finish_long(fiber_block& self) noexcept {
    cold_block& cold = *self.cold;
    end_state before = exchange(cold.end, end_state::ended);
    // Code of the user's, which may wait: so before the stack goes.
    if (before == end_state::detached) [[unlikely]] {
        drop_what_it_left(self);
    } else if (before == end_state::awaited) [[unlikely]] {
        run_awaiter(self);
        before = end_state::detached;
    }
    destroy_locals(self);  // which that code has made
    check_departure(self);
    departing_.flags = self.flags & (flag_own_fp | flag_slow_switch);
    // The stack goes first, so that the next fiber to start gets it while it is warm. Nothing is
    // written to its top before the last switch has left it (context_make's promise).
    stacks_[cold.stack_class].give(stack_top_of(self));
    fiber_block* const joiner = settle_end(self, before);
    if (joiner == nullptr) {
        resume(departing_, pick_in_turn());
        __builtin_unreachable();
    }
    joiner->outcome = static_cast<std::int32_t>(wait_status::event);
    disarm(*joiner);
    if (budget_ >= 0) {
        resume(departing_, *joiner);
        __builtin_unreachable();
    }
    if (turns_kept_ < turns_kept_max) {
        queue_for_kept_turn(*joiner);
    } else {
        queue_.push(*joiner);
    }
    resume(departing_, dispatcher_);
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
    if (fiber.cold->threw) {
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
    fiber.header = nullptr;
    fiber.state = fiber_state::finished;
    if (before == end_state::joined) [[likely]] {
        fiber_block* const joiner = cold.joiner.load(std::memory_order_relaxed);
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

std::intptr_t worker::yield_alone(fiber_block& self) noexcept {
    return --budget_ >= 0 ? 0 : visit_dispatcher(self, wait_status::event);
}

std::intptr_t worker::yield_long(fiber_block& self) noexcept {
    queue_.push(self);
    return suspend_long(self);
}

// The rest of suspend(), its turn counted, when something unusual is to be done.
std::intptr_t worker::suspend_long(fiber_block& self) noexcept {
    return resume(self, pick_in_turn());
}

void worker::keep_turn(fiber_block& self) noexcept {
    self.outcome = static_cast<std::int32_t>(wait_status::event);
    queue_for_kept_turn(self);
    resume(self, dispatcher_);
}

std::intptr_t worker::visit_dispatcher(fiber_block& self, wait_status outcome) noexcept {
    self.outcome = static_cast<std::int32_t>(outcome);
    queue_.push(self);
    return resume(self, dispatcher_);
}

const std::byte* worker::stack_bottom(const fiber_block& fiber) noexcept {
    return stacks_[fiber.cold->stack_class].bottom(stack_top_of(fiber));
}

// In checked builds: whether a flow that is about to give way, or to end, leaves the thread's state
// as a fiber must.
void worker::check_departure([[maybe_unused]] fiber_block& self) noexcept {
#ifdef HEDDLE_CHECKED
    if (&self == &dispatcher_) {
        initialisers_around_ = open_initialisers;  // such as one that calls run()
    }
    const bool in_initialiser = open_initialisers != initialisers_around_;
    const bool has_changed_words = !switch_keeps_control_words && (self.flags & flag_own_fp) == 0 &&
                                   context_save_fp_environment() != control_words_;
    if (!in_initialiser && !has_changed_words) {
        return;
    }
    current_ = &self;  // the culprit is to be named, not its successor
    HEDDLE_ASSERT(!in_initialiser, initialiser_waits);
    HEDDLE_ASSERT(false, "a fiber changed the floating-point control words and gave way, but was "
                         "not spawned with fiber_options::own_fp_environment");
#endif
}

std::intptr_t worker::resume_slow(fiber_block& self, fiber_block& next) noexcept {
    if (stop_callbacks_ != 0) [[unlikely]] {
        current_ = &self;  // the culprit is to be named, not its successor
        HEDDLE_ASSERT(false, stop_callback_waits);
    }
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
        check_departure(self);
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
