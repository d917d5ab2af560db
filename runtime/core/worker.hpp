// A worker: one thread, its runnable fibers, its timers and its reactor.
//
// Fibers switch straight to one another. The dispatcher, which looks after timers, mail and the
// reactor, is a context of its own on the thread's own stack; a fiber switches to it when no other
// is runnable or its turn has come. All members are for the owner thread, except where said.
#pragma once

#include "arch/context.h"
#include "runtime/base/atomics.hpp"
#include "runtime/base/timer_heap.hpp"
#include "runtime/core/block_store.hpp"
#include "runtime/core/fiber_block.hpp"
#include "runtime/core/mailbox.hpp"
#include "runtime/core/run_queue.hpp"
#include "runtime/core/stack.hpp"
#include "runtime/reactor/reactor.hpp"

#include <heddle/runtime.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace heddle::detail {

/// Nanoseconds on the steady clock.
std::int64_t clock_now() noexcept;

/// Whether heddle_switch itself keeps the floating-point control words of every fiber.
/// Boost.Context does on these CPUs, asked or not.
#if defined(HEDDLE_FP_PRESERVED) ||                                                                \
    (defined(HEDDLE_CONTEXT_BOOST) &&                                                              \
     (defined(__x86_64__) || defined(__i386__) || defined(__s390x__)))
constexpr bool switch_keeps_control_words = true;
#else
constexpr bool switch_keeps_control_words = false;
#endif

/// Whether every switch looks for what a fiber must not leave changed, so that the short way round
/// is closed. HEDDLE_CHECKED is the build's word for a debug or sanitizer build.
#ifdef HEDDLE_CHECKED
constexpr bool switches_are_checked = true;
#else
constexpr bool switches_are_checked = false;
#endif

/// The deadline that does not come, as deadline::nanoseconds() gives it.
constexpr std::int64_t never_ns = INT64_MAX;

/// Held while a block's home is looked at from another thread and while a worker ends.
extern std::mutex lifetime_lock;

class worker {
public:
    /// Errors: as run().
    explicit worker(const options& with);
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;
    ~worker();

    /// Runs fibers until none is left.
    void dispatch() noexcept;

    /// A control block for a fiber that will run here, not yet queued. Errors: as reserve_fiber.
    fiber_block& new_fiber(const spawn_request& request, const void* spawned_at);

    /// The same for a fiber of which nothing special is asked. Errors: std::bad_alloc.
    [[gnu::always_inline]] fiber_block& new_plain_fiber(const void* spawned_at) {
        if (alive() >= room_) [[unlikely]] {
            make_room();
        }
        fiber_block& fiber = *blocks_.take();
        cold_block& cold = *fiber.cold;
        if (next_id_ == ids_end_) [[unlikely]] {
            draw_ids();
        }
        ++spawned_;
        fiber.home.store(this, std::memory_order_relaxed);
        fiber.state = fiber_state::unstarted;
        cold.id = next_id_++;
        cold.spawned_at = spawned_at;
        cold.stack_class = stack_class_;
        cold.end.store(end_state::open, std::memory_order_relaxed);
        return fiber;
    }

    void queue_new(fiber_block& fiber) noexcept {
        if (shutting_down_) [[unlikely]] {
            fiber.cold->stop_asked.store(true, std::memory_order_relaxed);
            fiber.flags |= flag_stop_requested;
        }
        queue_.push_unstarted(fiber);
    }

    /// Returns a block to the allocator, once no mail is under way to it. What new_plain_fiber
    /// does not set is left as it expects to find it.
    void free_block(fiber_block& block) noexcept {
        cold_block& cold = *block.cold;
        if (cold.mail.load(std::memory_order_relaxed) != 0) [[unlikely]] {
            free_block_later(block);
            return;
        }
        if (cold.stop.stop_possible()) [[unlikely]] {
            drop_stop_source(cold);
        }
        block.outcome = 0;
        block.flags = 0;
        block.shielded = 0;
        cold.name[0] = '\0';
        cold.stop_asked.store(false, std::memory_order_relaxed);
        blocks_.give(&block);
    }

    /// Asks every fiber but the running one to stop, now and as they are spawned, and starts the
    /// period of grace.
    void begin_shutdown() noexcept;

    fiber_block& current() noexcept { return *current_; }
    bool in_fiber() const noexcept { return current_ != &dispatcher_; }
    auto detached_exception_handler() const noexcept { return on_detached_exception_; }
    std::int64_t now() const noexcept { return now_; }
    reactor& events() noexcept { return *reactor_; }

    /// Whether a cancellation point reached now must throw.
    bool cancellation_due(fiber_block& self) const noexcept {
        return (self.flags & flag_stop_requested) != 0 &&
               (cancellable(self) & wait_cancellable) != 0;
    }

    /// Begins a wait of the running fiber; the ticket names it to wakers.
    std::uint64_t begin_wait(fiber_block& self, wait_reason reason, const void* object,
                             std::uint8_t kind) noexcept {
        if (next_ticket_ == tickets_end_) [[unlikely]] {
            draw_tickets();
        }
        const std::uint64_t ticket = next_ticket_++;
        cold_block& cold = *self.cold;
        cold.reason = reason;
        cold.wait_object = object;
        cold.wait_since = now_;
        self.wait_kind = kind;
        self.wait.store(ticket, std::memory_order_relaxed);  // published by the primitive
        return ticket;
    }
    /// wait_cancellable if a request to stop may end a wait of the running fiber that begins now,
    /// wait_shielded if it may later, else 0.
    std::uint8_t cancellable(fiber_block& self) const noexcept {
        if (globals_->uncaught != 0) [[unlikely]] {
            return 0;
        }
        return self.shielded == 0 || header_of(self).shield_until <= now_
                   ? std::uint8_t{wait_cancellable}
                   : std::uint8_t{wait_shielded};
    }
    /// Undoes begin_wait and arm before the fiber gave way.
    void end_wait(fiber_block& self) noexcept {
        self.wait.store(0, std::memory_order_relaxed);
        disarm(self);
    }
    /// Lets the wait of the running fiber end at `deadline_ns`; follows every begin_wait of a
    /// cancellation point.
    void arm(fiber_block& self, std::int64_t deadline_ns) noexcept {
        if (deadline_ns != never_ns || (self.wait_kind & wait_shielded) != 0) {
            add_timer(self, deadline_ns);
        }
    }

    /// Puts the running fiber behind the others. No more code of the caller may follow, so that
    /// the switch is the caller's tail.
    [[gnu::always_inline]] std::intptr_t yield(fiber_block& self) noexcept {
        if (queue_.empty() || queue_.full()) [[unlikely]] {
            return yield_slow(self);
        }
        queue_.push_with_room(self);
        return suspend(self);
    }

    /// Gives way until somebody makes the fiber runnable; returns its outcome.
    [[gnu::always_inline]] std::intptr_t suspend(fiber_block& self) noexcept {
        self.flags &= static_cast<std::uint8_t>(~flag_run_by_joiner);
        // Everything unusual has one way out, so that the usual way needs no frame.
        if (--budget_ < 0 || queue_.empty()) [[unlikely]] {
            return resume(self, dispatcher_);
        }
        fiber_block& next = *queue_.front();
        if (next.state == fiber_state::unstarted) [[unlikely]] {
            return suspend_to_unstarted(self);
        }
        queue_.pop_front();
        return resume(self, next);
    }

    /// Lets the dispatcher have a turn, then goes on; returns `outcome`.
    std::intptr_t visit_dispatcher(fiber_block& self, wait_status outcome) noexcept;

    /// Counts an operation that succeeded at once; gives way every so often.
    void spend_turn(fiber_block& self) noexcept {
        if (--budget_ < 0) [[unlikely]] {
            visit_dispatcher(self, wait_status::event);
        }
    }

    /// Runs an unstarted fiber on behalf of the running one, which waits for its end; false if it
    /// has to take its turn.
    bool may_run_now(const fiber_block& target) const noexcept {
        // The home first: another worker may be writing the state of its own.
        return target.home.load(std::memory_order_relaxed) == this &&
               target.state == fiber_state::unstarted && budget_ > 0;
    }
    [[gnu::always_inline]] std::intptr_t run_now(fiber_block& self, fiber_block& target) noexcept {
        queue_.remove(target);
        self.flags &= static_cast<std::uint8_t>(~flag_run_by_joiner);
        if (!start(target)) [[unlikely]] {
            return resume(self, dispatcher_);
        }
        --budget_;
        target.flags |= flag_run_by_joiner;
        return resume(self, target);
    }

    /// Makes a fiber runnable whose wait has been claimed.
    void make_runnable(fiber_block& fiber, wait_status outcome) noexcept {
        fiber.outcome = static_cast<std::int32_t>(outcome);
        disarm(fiber);
        queue_.push(fiber);
    }

    /// Notes a request to stop, and ends the fiber's wait if it is a cancellation point.
    void apply_stop(fiber_block& fiber) noexcept;

    /// Queues the first fiber, its stack already bound.
    /// Errors: std::system_error(not_enough_memory) where no stack is to be had; the fiber is gone.
    void start_first(fiber_block& fiber);

    /// Takes back the count of a fiber that was never queued.
    void abandon(fiber_block& fiber) noexcept {
        ++ended_;
        fiber.state = fiber_state::finished;
        free_block(fiber);
    }

    /// Hands a block over from another thread. `block` must not be freed meanwhile.
    void post(fiber_block& block, std::uint8_t bits) noexcept;

    /// The list of fibers that all waited for one another; empty unless that has happened.
    const std::string& deadlock() const noexcept { return deadlock_; }

    statistics figures() noexcept;
    stack_pool& stacks() noexcept { return stacks_; }
    /// Gives the memory of idle stacks and control blocks back to the system, and the room of the
    /// queue and the timers that the fibers alive do not need.
    void trim() noexcept {
        stacks_.trim_all();
        blocks_.trim();
        shrink_room();
    }

    /// The stack of a started fiber, for tools.
    const std::byte* stack_bottom(const fiber_block& fiber) noexcept;
    /// Calls f(flow, top, fake_stack) about the thread's own stack while a fiber runs instead, if a
    /// tool watches the switches. Threads: any, under lifetime_lock.
    template <class F>
    void with_thread_root(F f) {
        if (watched_ && current_ != &dispatcher_) {
            f(dispatcher_.context,
              static_cast<const std::byte*>(thread_stack_) + thread_stack_bytes_,
              dispatcher_header_.fake_stack);
        }
    }

private:
    // The next to run: a started fiber, or the dispatcher.
    fiber_block& pick() noexcept {
        if (--budget_ < 0 || queue_.empty()) [[unlikely]] {
            return dispatcher_;
        }
        fiber_block& next = *queue_.front();
        queue_.pop_front();
        if (next.state == fiber_state::unstarted && !start(next)) [[unlikely]] {
            return dispatcher_;
        }
        return next;
    }

    [[gnu::noinline]] std::intptr_t yield_slow(fiber_block& self) noexcept;
    [[gnu::noinline]] std::intptr_t suspend_to_unstarted(fiber_block& self) noexcept;

    [[gnu::always_inline]] std::intptr_t resume(fiber_block& self, fiber_block& next) noexcept {
        current_ = &next;
        if (switches_are_checked || ((self.flags | next.flags) & flag_slow_switch) != 0 ||
            detour_->any()) [[unlikely]] {
            return resume_slow(self, next);
        }
        return heddle_switch(&self.context, &next.context, next.outcome);
    }

    void disarm(fiber_block& fiber) noexcept {
        if ((fiber.wait_kind & wait_timed) != 0) [[unlikely]] {
            remove_timer(fiber);
        }
    }

    [[gnu::noinline]] std::intptr_t resume_slow(fiber_block& self, fiber_block& next) noexcept;
    [[gnu::noinline]] std::intptr_t resume_watched(fiber_block& self, fiber_block& next) noexcept;
    void* enter_watched(fiber_block& next) noexcept;
    void watch_switches();
    // Gives an unstarted fiber its stack; false if none is to be had, and the fiber has ended.
    [[gnu::always_inline]] bool start(fiber_block& fiber) noexcept {
        cold_block& cold = *fiber.cold;
        cold.stack_top = stacks_[cold.stack_class].take();
        if (switch_keeps_control_words || cold.stack_top == nullptr ||
            (fiber.flags & flag_own_fp) != 0) [[unlikely]] {
            if (!start_slow(fiber)) {
                return false;
            }
        }
        fiber.state = fiber_state::started;
        if constexpr (!switch_keeps_control_words) {
            context_make(fiber.context, cold.stack_top - stack_header_bytes, entry_, &fiber);
        }
        return true;
    }
    bool start_slow(fiber_block& fiber) noexcept;
    void add_timer(fiber_block& self, std::int64_t deadline_ns) noexcept;
    void add_shield_timer(fiber_block& fiber) noexcept;
    void remove_timer(fiber_block& fiber) noexcept;
    void make_room();
    void shrink_room() noexcept;
    void draw_ids() noexcept;
    std::uint64_t alive() const noexcept { return spawned_ - ended_; }
    void free_block_later(fiber_block& block) noexcept;
    void fail_start(fiber_block& fiber) noexcept;
    static void fiber_entry(void* block);
    static void watched_fiber_entry(void* block);
    void run_body(fiber_block& self);
    [[noreturn]] void finish(fiber_block& self) noexcept;
    fiber_block* settle_end(fiber_block& fiber, end_state before) noexcept;
    void drop_what_it_left(fiber_block& fiber) noexcept;
    void report_exception(cold_block& cold) noexcept;
    void check_control_words(fiber_block& self) noexcept;
    std::uint8_t stack_class_of(const spawn_request& request);
    void draw_tickets() noexcept;

    void drain_mail() noexcept;
    void fire_timers() noexcept;
    void poll_reactor() noexcept;
    void run_some() noexcept;
    void check_grace() noexcept;
    void end_deadlock() noexcept;
    static void on_completion(void* self, operation& ended) noexcept;

    // Read or written at every switch.
    fiber_block* current_;
    run_queue queue_;
    std::int32_t budget_ = 0;          // turns until the dispatcher's
    const exception_globals* detour_;  // any(): no switch may go the short way
    exception_globals* globals_;       // the thread's
    std::uint64_t next_ticket_ = 0;
    std::uint64_t tickets_end_ = 0;
    std::uint64_t next_id_ = 0;
    std::uint64_t ids_end_ = 0;
    std::int64_t now_;  // the clock at the dispatcher's last turn

    fiber_block dispatcher_;
    fiber_block departing_;  // where the last switch of a finished fiber stores its context
    cold_block dispatcher_cold_;
    cold_block departing_cold_;

    block_allocator blocks_;
    stack_pool stacks_;
    timer_heap<fiber_block> timers_;
    std::unique_ptr<reactor> reactor_;
    mailbox mail_;
    std::atomic<bool> sleeping_ = false;  // any thread reads: whether a post must interrupt

    std::size_t stack_bytes_;
    std::uint8_t stack_class_;
    std::int64_t grace_ns_;
    std::int64_t grace_end_ = never_ns;  // once shutting down
    void (*on_detached_exception_)(fiber_id, std::exception_ptr);
    bool shutting_down_ = false;
    std::string deadlock_;
    std::size_t room_ = 0;  // fibers that the queue and the timers have room for

    std::int32_t turn_length_;  // what budget_ begins with; adapts to how long turns take
    std::uint64_t switches_ = 0;
    std::uint64_t spawned_ = 0;
    std::uint64_t ended_ = 0;
    std::uint64_t polls_ = 0;

    fp_environment control_words_;  // the thread's when the worker began
    context_entry entry_;           // of every fiber: fiber_entry, or the one that tells the tools

    // Only where tools watch the switches: see watched.cpp.
    bool watched_ = false;
    stack_header dispatcher_header_ = {};
    void* dead_race_handle_ = nullptr;  // of the fiber that finished last
    const void* thread_stack_ = nullptr;
    std::size_t thread_stack_bytes_ = 0;
};

/// The calling thread's worker, null on a plain thread. Constant while a fiber lives.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local worker* current_worker;

/// Ends the wait that (block, ticket) names, if nobody has ended it yet.
inline bool claim(fiber_block& block, std::uint64_t ticket) noexcept {
    return exchange_if(block.wait, ticket, std::uint64_t{0});
}

/// Asks a fiber of `home` to stop. Its callbacks run as on a plain thread, since no fiber runs.
void request_stop_from_dispatcher(worker& home, fiber_block& block) noexcept;

/// Tells the waiter of a claimed wait its outcome and lets it go on. Any thread.
void wake(fiber_block& waiter, wait_status outcome) noexcept;

}  // namespace heddle::detail
