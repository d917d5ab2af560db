// A worker: one thread, its runnable fibers, its timers and its reactor.
//
// Fibers switch straight to one another. The dispatcher, which looks after timers, mail and the
// reactor, is a context of its own on the thread's own stack; a fiber switches to it when no other
// is runnable or its turn has come. All members are for the owner thread, except where said.
#pragma once

#include "arch/context.h"
#include "runtime/base/timer_heap.hpp"
#include "runtime/core/block_store.hpp"
#include "runtime/core/fiber_block.hpp"
#include "runtime/core/mailbox.hpp"
#include "runtime/core/run_queue.hpp"
#include "runtime/core/stack.hpp"
#include "runtime/reactor/reactor.hpp"

#include <heddle/detail/alarm.hpp>
#include <heddle/detail/atomics.hpp>
#include <heddle/detail/current.hpp>
#include <heddle/runtime.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>

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
    fiber_block& new_plain_fiber(const void* spawned_at) {
        if (alive() >= room_) {
            make_room();
        }
        if (next_id_ == ids_end_) {
            draw_ids();
        }
        return begin_life(*blocks_.take(), spawned_at);
    }
    /// Whether that can do without asking anybody for anything; then this does it.
    bool has_fiber_at_hand() const noexcept {
        return alive() < room_ && next_id_ != ids_end_ && blocks_.has_free();
    }
    [[gnu::always_inline]] fiber_block& new_fiber_at_hand(const void* spawned_at) noexcept {
        return begin_life(blocks_.take_free(), spawned_at);
    }

    /// Makes an unstarted fiber runnable.
    [[gnu::always_inline]] void queue_new(fiber_block& fiber) noexcept {
        if (shutting_down_) [[unlikely]] {
            queue_new_long(fiber);
            return;
        }
        queue_.push_unstarted(fiber);
    }

    /// Returns a block to the allocator, once no mail is under way to it. What new_plain_fiber
    /// does not set is left as it expects to find it.
    [[gnu::always_inline]] void free_block(fiber_block& block) noexcept {
        if (!is_free_of_ties(block)) [[unlikely]] {
            free_block_long(block);
            return;
        }
        free_plain_block(block);
    }
    /// Whether neither mail nor stop tokens know the block; then this is all there is to do.
    bool is_free_of_ties(const fiber_block& block) const noexcept {
        return block.cold->mail.load(std::memory_order_relaxed) == 0 &&
               !block.cold->stop.stop_possible();
    }
    void free_plain_block(fiber_block& block) noexcept {
        cold_block& cold = *block.cold;
        block.outcome = 0;
        block.shielded = 0;
        cold.named = false;
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
        return (self.flags & flag_stop_requested) != 0 && stop_holds(self);
    }
    /// Whether it would if the innermost levels of the running fiber, `level` included, were over.
    bool cancellation_due_outside(const stop_level& level) const noexcept;

    /// Begins a wait of the running fiber; the ticket names it to wakers.
    std::uint64_t begin_wait(fiber_block& self, wait_reason reason, const void* object,
                             std::uint8_t kind) noexcept {
        if (next_ticket_ >= tickets_end_) [[unlikely]] {
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
    /// wait_cancellable if any request to stop ends a wait of the running fiber that begins now,
    /// wait_shielded if its levels are to be asked, 0 if none does.
    std::uint8_t cancellable(fiber_block& self) const noexcept {
        if (globals_->uncaught != 0) [[unlikely]] {
            return cancellable_while_unwinding(self);
        }
        return cancellable_unless_shielded(self);
    }
    /// The same for a fiber that no exception is unwinding just now.
    std::uint8_t cancellable_unless_shielded(fiber_block& self) const noexcept {
        return self.shielded == 0 ? std::uint8_t{wait_cancellable} : std::uint8_t{wait_shielded};
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
        if (queue_.empty()) [[unlikely]] {
            return yield_alone(self);
        }
        fiber_block& next = queue_.front_or_hole();
        if (--budget_ < 0 || takes_long_way(self, next)) [[unlikely]] {
            return yield_long(self);
        }
        queue_.rotate(self);
        return switch_to(self, next);
    }

    /// Gives way until somebody makes the fiber runnable; returns its outcome.
    [[gnu::always_inline]] std::intptr_t suspend(fiber_block& self) noexcept {
        // Everything unusual has one way out, so that the usual way needs no frame.
        if (--budget_ < 0 || queue_.empty()) [[unlikely]] {
            return suspend_long(self);
        }
        fiber_block& next = queue_.front_or_hole();
        if (takes_long_way(self, next)) [[unlikely]] {
            return suspend_long(self);
        }
        queue_.pop_front();
        return switch_to(self, next);
    }

    /// Whether a cancellation point reached now would begin its wait by the short way below: then
    /// nothing is to be asked for, saved, or armed, and a request to stop may end the wait.
    bool waits_plainly(const fiber_block& self, std::int64_t deadline_ns) const noexcept {
        constexpr unsigned unusual = flag_stop_requested | flags_of_the_long_way;
        return !switches_are_checked && single_threaded() && deadline_ns == never_ns &&
               ((self.flags & unusual) | self.shielded) == 0 && !detour_->any();
    }
    /// begin_wait and suspend of such a wait, in one. The turn has a ticket left for it.
    [[gnu::always_inline]] void begin_plain_wait(fiber_block& self, wait_reason reason,
                                                 const void* object, std::uint8_t kind) noexcept {
        cold_block& cold = *self.cold;
        cold.reason = reason;
        cold.wait_object = object;
        cold.wait_since = now_;
        self.wait_kind = kind;
        self.wait.store(next_ticket_++, std::memory_order_relaxed);
    }
    [[gnu::always_inline]] std::intptr_t suspend_plainly(fiber_block& self) noexcept {
        if (--budget_ < 0 || queue_.empty()) [[unlikely]] {
            return suspend_long(self);
        }
        fiber_block& next = queue_.front_or_hole();
        if ((next.flags & flags_of_the_long_way) != 0) [[unlikely]] {
            return suspend_long(self);
        }
        queue_.pop_front();
        return switch_to(self, next);
    }

    /// Lets the dispatcher have a turn, then goes on; returns `outcome`.
    std::intptr_t visit_dispatcher(fiber_block& self, wait_status outcome) noexcept;

    /// Counts an operation that succeeded at once; gives way every so often. Returns `event`.
    std::intptr_t spend_turn(fiber_block& self) noexcept {
        return --budget_ >= 0 ? 0 : visit_dispatcher(self, wait_status::event);
    }

    /// Runs an unstarted fiber on behalf of the running one, which waits for its end; false if it
    /// has to take its turn.
    bool may_run_now(const fiber_block& target) const noexcept {
        // The home first: another worker may be writing the state of its own.
        return target.home.load(std::memory_order_relaxed) == this &&
               target.state == fiber_state::unstarted && budget_ > 0;
    }
    /// Whether the joiner of this fiber has used up its turn, but may have another one to run it
    /// in. Else the rest of a tree of fibers would be started each time that one of them joins at
    /// the end of a turn, and its stacks be as many as its turns. Others wait a few turns longer.
    /// A joiner whose fiber ends with the turn keeps it in the same way.
    bool may_keep_turn(const fiber_block& target) const noexcept {
        return target.home.load(std::memory_order_relaxed) == this &&
               target.state == fiber_state::unstarted && turns_kept_ < turns_kept_max;
    }
    /// Lets the dispatcher have its turn, and the running fiber the next.
    void keep_turn(fiber_block& self) noexcept;

    /// Whether run_now takes no more than to bind a stack and to exchange the registers, and the
    /// running fiber need not be asked whether it may wait.
    bool may_run_at_once(const fiber_block& self, const fiber_block& target) noexcept {
        constexpr unsigned unusual = flag_slow_switch | flag_stop_requested;
        return !switch_keeps_control_words && !switches_are_checked && may_run_now(target) &&
               ((self.flags | target.flags) & unusual) == 0 && !detour_->any() &&
               stacks_[target.cold->stack_class].has_warm();
    }
    [[gnu::always_inline]] std::intptr_t run_at_once(fiber_block& self,
                                                     fiber_block& target) noexcept {
        std::byte* const stack_top = stacks_[target.cold->stack_class].take_warm();
        queue_.remove(target);
        bind(target, stack_top);
        target.flags = 0;
        --budget_;
        return switch_to(self, target);
    }
    [[gnu::always_inline]] std::intptr_t run_now(fiber_block& self, fiber_block& target) noexcept {
        queue_.remove(target);
        if (!start(target)) [[unlikely]] {
            return resume(self, dispatcher_);
        }
        --budget_;
        return resume(self, target);
    }

    /// Makes a fiber runnable whose wait has been claimed.
    void make_runnable(fiber_block& fiber, wait_status outcome) noexcept {
        fiber.outcome = static_cast<std::int32_t>(outcome);
        disarm(fiber);
        queue_.push(fiber);
    }

    void make_runnable_plainly(fiber_block& fiber, wait_status outcome) noexcept {
        fiber.outcome = static_cast<std::int32_t>(outcome);
        queue_.push(fiber);
    }

    /// Notes a request to stop, and ends the fiber's wait if it is a cancellation point.
    void apply_stop(fiber_block& fiber) noexcept;
    /// The same for those levels of the fiber that were asked to stop.
    void apply_level_stops(fiber_block& fiber) noexcept;
    /// Tells the stopped levels of the fiber that one of its cancellation points fails for them.
    void note_cancelled(fiber_block& fiber) const noexcept;

    void enter_level(stop_level& level) noexcept;
    void leave_level(stop_level& level) noexcept;

    /// Does what the dispatcher would about mail and deadlines, for a fiber that asks whether it is
    /// cancelled and does not give way.
    void look_around() noexcept;

    /// Calls alarm::ring when the deadline has passed, unless drop_alarm comes first.
    /// Errors: std::bad_alloc.
    void set_alarm(alarm& one, std::int64_t deadline_ns);
    void drop_alarm(alarm& one) noexcept;

    /// Between the two nobody gives way: stop callbacks run, or the running fiber's, which must not
    /// be destroyed meanwhile. libstdc++'s stop_callback waits in its destructor for a callback
    /// that runs, but not in the thread that runs it.
    void begin_stop_callbacks() noexcept;
    void end_stop_callbacks() noexcept;

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
        --budget_;
        return pick_in_turn();
    }
    // The same, the turn counted already.
    fiber_block& pick_in_turn() noexcept {
        if (budget_ < 0 || queue_.empty()) [[unlikely]] {
            return dispatcher_;
        }
        fiber_block& next = queue_.front();
        queue_.pop_front();
        if (next.state == fiber_state::unstarted && !start(next)) [[unlikely]] {
            return dispatcher_;
        }
        return next;
    }

    // The next turn begins with this fiber.
    void queue_for_kept_turn(fiber_block& fiber) noexcept {
        ++turns_kept_;
        turn_is_kept_ = true;
        queue_.push_front(fiber);
    }

    [[gnu::noinline]] std::intptr_t yield_alone(fiber_block& self) noexcept;
    [[gnu::noinline]] std::intptr_t yield_long(fiber_block& self) noexcept;
    [[gnu::noinline]] std::intptr_t suspend_long(fiber_block& self) noexcept;

    // Whether more has to be done than to exchange the registers.
    [[gnu::always_inline]] bool takes_long_way(const fiber_block& self,
                                               const fiber_block& next) const noexcept {
        return switches_are_checked || ((self.flags | next.flags) & flags_of_the_long_way) != 0 ||
               detour_->any();
    }

    [[gnu::always_inline]] std::intptr_t switch_to(fiber_block& self, fiber_block& next) noexcept {
        current_ = &next;
        return heddle_switch(&self.context, &next.context, next.outcome);
    }

    // Switches to a started fiber or the dispatcher, by whichever way it takes.
    [[gnu::always_inline]] std::intptr_t resume(fiber_block& self, fiber_block& next) noexcept {
        if (switches_are_checked || ((self.flags | next.flags) & flag_slow_switch) != 0 ||
            detour_->any()) [[unlikely]] {
            current_ = &next;
            return resume_slow(self, next);
        }
        return switch_to(self, next);
    }

    [[gnu::noinline]] bool stop_holds(fiber_block& self) const noexcept;
    [[gnu::noinline]] std::uint8_t cancellable_while_unwinding(fiber_block& self) const noexcept;
    std::int64_t cancelled_from(fiber_block& fiber) const noexcept;
    unsigned uncaught_of(const fiber_block& fiber) const noexcept;
    void stop_wait(fiber_block& fiber) noexcept;

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
        std::byte* const stack_top = stacks_[fiber.cold->stack_class].take();
        if (switch_keeps_control_words || stack_top == nullptr || (fiber.flags & flag_own_fp) != 0)
            [[unlikely]] {
            if (!start_slow(fiber, stack_top)) {
                return false;
            }
        }
        bind(fiber, stack_top);
        fiber.flags &= static_cast<std::uint8_t>(~flag_not_started);
        return true;
    }
    // Makes an unstarted fiber one that can be switched to, but for its flags.
    [[gnu::always_inline]] void bind(fiber_block& fiber, std::byte* stack_top) noexcept {
        std::byte* const header = stack_top - stack_header_bytes;
        fiber.header = reinterpret_cast<stack_header*>(header);
        fiber.state = fiber_state::started;
        if constexpr (!switch_keeps_control_words) {
            context_make(fiber.context, header, entry_, &fiber);
        }
    }
    bool start_slow(fiber_block& fiber, std::byte* stack_top) noexcept;
    void add_timer(fiber_block& self, std::int64_t deadline_ns) noexcept;
    void add_shield_timer(fiber_block& fiber) noexcept;
    void remove_timer(fiber_block& fiber) noexcept;
    void make_room();
    void shrink_room() noexcept;
    void draw_ids() noexcept;
    std::uint64_t alive() const noexcept { return spawned_ - ended_; }
    [[gnu::always_inline]] fiber_block& begin_life(fiber_block& fiber,
                                                   const void* spawned_at) noexcept {
        cold_block& cold = *fiber.cold;
        ++spawned_;
        fiber.home.store(this, std::memory_order_relaxed);
        fiber.state = fiber_state::unstarted;
        fiber.flags = flag_not_started;
        cold.id = next_id_++;
        cold.spawned_at = spawned_at;
        cold.stack_class = stack_class_;
        cold.end.store(end_state::open, std::memory_order_relaxed);
        return fiber;
    }
    [[gnu::noinline]] void queue_new_long(fiber_block& fiber) noexcept;
    [[gnu::noinline]] void free_block_long(fiber_block& block) noexcept;
    void fail_start(fiber_block& fiber) noexcept;
    static void fiber_entry(void* block);
    static void watched_fiber_entry(void* block);
    void run_body(fiber_block& self);
    [[noreturn]] void finish(fiber_block& self) noexcept;
    fiber_block* settle_end(fiber_block& fiber, end_state before) noexcept;
    [[gnu::noinline]] void finish_long(fiber_block& self) noexcept;
    void drop_what_it_left(fiber_block& fiber) noexcept;
    void run_awaiter(fiber_block& self);
    void run_awaiter_of_unstarted(fiber_block& fiber) noexcept;
    void report_exception(cold_block& cold) noexcept;
    void check_departure(fiber_block& self) noexcept;
    std::uint8_t stack_class_of(const spawn_request& request);
    void draw_tickets() noexcept;

    void drain_mail() noexcept;
    bool has_deadlines() const noexcept { return !timers_.empty() || !alarms_.empty(); }
    void fire_timers() noexcept;
    void fire_waits(std::int64_t until) noexcept;
    void end_wait_in_time(fiber_block& fiber) noexcept;
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
    timer_heap<alarm> alarms_;
    std::unique_ptr<reactor> reactor_;
    mailbox mail_;
    std::atomic<bool> sleeping_ = false;  // any thread reads: whether a post must interrupt

    std::size_t stack_bytes_;
    std::uint8_t stack_class_;
    std::int64_t grace_ns_;
    std::int64_t grace_end_ = never_ns;  // once shutting down
    void (*on_detached_exception_)(fiber_id, std::exception_ptr);
    bool shutting_down_ = false;
    bool grace_is_over_ = false;  // it was a turn ago
    std::string deadlock_;
    std::size_t room_ = 0;  // fibers that the queue and the timers have room for

    static constexpr int turns_kept_max = 3;
    int stop_callbacks_ = 0;  // that run just now, one inside the other

    int turns_kept_ = 0;         // in a row, by joiners
    bool turn_is_kept_ = false;  // the next one

    std::int32_t turn_length_;  // what budget_ begins with; adapts to how long turns take
    std::uint64_t switches_ = 0;
    std::uint64_t spawned_ = 0;
    std::uint64_t ended_ = 0;
    std::uint64_t polls_ = 0;

    fp_environment control_words_;                  // the thread's when the worker began
    [[maybe_unused]] int initialisers_around_ = 0;  // the dispatcher's, if checked
    context_entry entry_;  // of every fiber: fiber_entry, or the one that tells the tools

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

/// While one lives, code of the user's that the dispatcher calls runs as on a plain thread.
class outside_of_fibers {
public:
    outside_of_fibers() noexcept = default;
    outside_of_fibers(const outside_of_fibers&) = delete;
    outside_of_fibers& operator=(const outside_of_fibers&) = delete;
    ~outside_of_fibers() {
        current_worker = worker_;
        running_fiber = running_;
    }

private:
    worker* worker_ = std::exchange(current_worker, nullptr);
    fiber_block* const* running_ = std::exchange(running_fiber, nullptr);
};

/// Asks a source to stop, in the calling flow, which must not give way meanwhile.
void run_stop_callbacks(std::stop_source& source) noexcept;

/// Makes a level of a fiber stop. Any thread, while the level cannot be left.
void request_level_stop(fiber_block& fiber, stop_level& level) noexcept;

/// Forgets that the running fiber was ever asked to stop, and lets its stop tokens be.
void drop_stop_request(fiber_block& self) noexcept;

/// Tells the waiter of a claimed wait its outcome and lets it go on. Any thread.
void wake(fiber_block& waiter, wait_status outcome) noexcept;

}  // namespace heddle::detail
