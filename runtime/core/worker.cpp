// The dispatcher: timers, mail, the reactor, and when each has its turn.
#include "runtime/core/worker.hpp"

#include "runtime/base/sanitizer.hpp"
#include "runtime/base/text.hpp"
#include "runtime/core/asleep.hpp"
#include "runtime/core/dump.hpp"
#include "runtime/core/leak_roots.hpp"
#include "runtime/reactor/reactor.hpp"

#include <heddle/detail/fiber_access.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

// From the Itanium C++ ABI ("Exception Handling", 2.2.2). libstdc++ declares it in <cxxabi.h>, and
// libc++abi has it without a declaration.
namespace __cxxabiv1 {
struct __cxa_eh_globals;
extern "C" __cxa_eh_globals* __cxa_get_globals() noexcept;
}  // namespace __cxxabiv1

namespace heddle::detail {

constinit thread_local worker* current_worker = nullptr;
constinit thread_local fiber_block* const* running_fiber = nullptr;
std::mutex lifetime_lock;

std::int64_t clock_now() noexcept {
    constexpr std::int64_t ns_per_s = 1'000'000'000;
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * ns_per_s + now.tv_nsec;
}

namespace {

// Between two turns of the dispatcher lie at most so many switches, and about so much time. A turn
// costs 50 ns, or 400 with a look at the reactor: far below one percent. Much shorter turns would
// fetch few events at a time from a busy reactor, and so need more system calls per event.
constexpr std::int32_t turn_length_min = 32;
constexpr std::int32_t turn_length_max = 1024;
constexpr std::int64_t turn_ns_min = 100'000;
constexpr std::int64_t turn_ns_max = 400'000;

// Where timers are dense, the thread wakes for several at once: at least so many, that end within
// so much time of the first, wait for the last of them. Going to sleep and waking costs 15 to 25 us
// of CPU on a virtual machine, which then is paid once for 50 fibers, say; a lone timer is none the
// later. sleep_until states the bound.
constexpr std::size_t together_least = 8;
constexpr std::int64_t together_ns = 500'000;

unsigned checked_workers(unsigned wished) {
    constexpr unsigned most = 1;
    if (wished > most) {
        throw std::invalid_argument("heddle: options::workers is " + std::to_string(wished) +
                                    ", but this version runs fibers on at most " +
                                    std::to_string(most) + " thread");
    }
    return most;
}

std::string reactor_name(reactor_kind kind) {
    if (const char* const wished = std::getenv("HEDDLE_REACTOR");
        wished != nullptr && *wished != '\0') {
        return wished;
    }
    switch (kind) {
    case reactor_kind::automatic:
        return "automatic";
    case reactor_kind::poll:
        return "poll";
    case reactor_kind::epoll:
        return "epoll";
    case reactor_kind::uring:
        return "uring";
    case reactor_kind::kqueue:
        return "kqueue";
    }
    return std::to_string(static_cast<int>(kind));
}

exception_globals* current_exception_globals() noexcept {
    // The ABI's struct begins with these two members on every CPU with a port.
    return reinterpret_cast<exception_globals*>(__cxxabiv1::__cxa_get_globals());
}

// Tickets are drawn in blocks, so that the shared counter is touched once in a million waits.
constexpr std::uint64_t tickets_per_block = 1 << 20;

// Of a block, what only waits of the short way may use up, which do not look how many are left: a
// turn begins before the reserve, and has no more of them than its length and the one that ends it.
constexpr auto tickets_in_reserve = static_cast<std::uint64_t>(turn_length_max) + 1;
std::atomic<std::uint64_t> tickets_drawn = 1;  // 0 means no wait

}  // namespace

worker::worker(const options& with)
    : detour_(current_exception_globals()),
      globals_(current_exception_globals()),
      now_(clock_now()),
      stack_bytes_(checked_workers(with.workers) * with.stack_bytes),
      stack_class_(stacks_.class_for(stack_bytes_, "options::stack_bytes")),
      grace_ns_(with.shutdown_grace.count()),
      on_detached_exception_(with.on_detached_exception),
      turn_length_(turn_length_max / 4),
      control_words_(context_save_fp_environment()),
      entry_(fiber_entry) {
    reactor_ = make_reactor(reactor_name(with.reactor), on_completion, this);
    dispatcher_.cold = &dispatcher_cold_;
    departing_.cold = &departing_cold_;
    current_ = &dispatcher_;
    draw_tickets();
    if (switches_are_watched()) {
        watch_switches();
    }
    if (has_leak_tool()) {
        show_leak_roots();
    }
    current_worker = this;
    running_fiber = &current_;
}

worker::~worker() {
    // From here on other threads that hold handles find no home, and free blocks themselves.
    const std::lock_guard guard(lifetime_lock);
    drain_mail();
    blocks_.for_each(
        [](fiber_block& block) { block.home.store(nullptr, std::memory_order_relaxed); });
    drop_race_handle(dead_race_handle_);
    current_worker = nullptr;
    running_fiber = nullptr;
}

void worker::draw_tickets() noexcept {
    next_ticket_ = tickets_drawn.fetch_add(tickets_per_block, std::memory_order_relaxed);
    tickets_end_ = next_ticket_ + tickets_per_block - tickets_in_reserve;
}

void worker::dispatch() noexcept {
    while (alive() > 0) {
        now_ = clock_now();
        drain_mail();
        fire_timers();
        check_grace();
        poll_reactor();
        run_some();
    }
}

void worker::poll_reactor() noexcept {
    if (!queue_.empty()) {
        if (reactor_->pending() > 0) {
            ++polls_;
            reactor_->poll(0);
        }
        return;
    }
    std::int64_t until = grace_end_;
    if (!timers_.empty()) {
        until = std::min(until, timers_.group_deadline(together_ns, together_least));
    }
    if (!alarms_.empty()) {
        until = std::min(until, alarms_.first_deadline());
    }
    // Pairs with the fence in post: either the poster sees us asleep, or we see its mail. A fence
    // on both sides, because qemu 7.2 lets a load-acquire of the emulated CPU pass the
    // store-release before it, which the architecture forbids.
    sleeping_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    bool has_mail = !mail_.empty();
    const bool needs_others = !has_deadlines() && reactor_->pending() == 0;
    if (!has_mail && needs_others && !other_threads_exist()) {
        has_mail = !mail_.empty();  // the last of them may have written before it ended
        if (!has_mail) {
            sleeping_.store(false, std::memory_order_relaxed);
            end_deadlock();
            return;
        }
    }
    until = std::min(until, stacks_.trim_a_little(now_));
    ++polls_;
    if (needs_others) {
        waiting_for_other_threads.fetch_add(1, std::memory_order_relaxed);
    }
    reactor_->poll(has_mail ? 0 : until == never_ns ? -1 : std::max<std::int64_t>(until - now_, 0));
    if (needs_others) {
        waiting_for_other_threads.fetch_sub(1, std::memory_order_relaxed);
    }
    sleeping_.store(false, std::memory_order_relaxed);
    now_ = clock_now();
    drain_mail();
    fire_timers();
}

void worker::run_some() noexcept {
    if (queue_.empty()) {
        return;
    }
    if (!std::exchange(turn_is_kept_, false)) {
        turns_kept_ = 0;
    }
    if (next_ticket_ >= tickets_end_) [[unlikely]] {
        draw_tickets();
    }
    budget_ = turn_length_;
    const std::int64_t began = now_;
    fiber_block& next = pick();
    if (&next == &dispatcher_) {
        return;
    }
    resume(dispatcher_, next);
    switches_ += static_cast<std::uint64_t>(turn_length_ - budget_);
    if (budget_ <= 0) {
        // The turn was used up: make the next one last about as long as it should.
        const std::int64_t took = clock_now() - began;
        if (took > turn_ns_max) {
            turn_length_ = std::max(turn_length_ / 2, turn_length_min);
        } else if (took < turn_ns_min) {
            turn_length_ = std::min(turn_length_ * 2, turn_length_max);
        }
    }
}

// Out of line, so that waits without a deadline need no room for what this does.
void worker::add_timer(fiber_block& self, std::int64_t deadline_ns) noexcept {
    if (deadline_ns != never_ns) {
        timers_.add(self, deadline_ns);
        self.wait_kind |= wait_timed;
    }
    if ((self.wait_kind & wait_shielded) != 0 && (self.flags & flag_stop_requested) != 0) {
        add_shield_timer(self);
    }
}

// Ends the wait of a fiber that was asked to stop when its shield is over, unless its own deadline
// comes first: a wait has one timer, and which of the two it was for is in wait_kind.
void worker::add_shield_timer(fiber_block& fiber) noexcept {
    const std::int64_t until = cancelled_from(fiber);
    const bool timed = (fiber.wait_kind & wait_timed) != 0;
    if (until == never_ns || (timed && timers_.deadline_of(fiber) <= until)) {
        return;
    }
    if (timed) {
        remove_timer(fiber);
    }
    timers_.add(fiber, until);
    fiber.wait_kind |= wait_timed | wait_shield_timer;
}

void worker::remove_timer(fiber_block& fiber) noexcept {
    fiber.wait_kind &= static_cast<std::uint8_t>(~(wait_timed | wait_shield_timer));
    timers_.remove(fiber);
}

void worker::fire_timers() noexcept {
    // In the order of their deadlines, so that the nearest one is the one that ends a wait.
    while (!alarms_.empty() && alarms_.first_deadline() <= now_)
        [[unlikely]] {
            fire_waits(alarms_.first_deadline());
            alarm& due = *alarms_.take_due(now_);
            due.armed = false;
            due.ring(due);
        }
    fire_waits(now_);
}

void worker::fire_waits(std::int64_t until) noexcept {
    // With many fibers, what a timer's end touches is far from the CPU: the block, and what that
    // points to, the stack included. Asked for a batch at a time, they come side by side.
    constexpr std::size_t batch = 64;
    fiber_block* due[batch];
    for (std::size_t count = batch; count == batch;) {
        count = 0;
        while (count < batch && (due[count] = timers_.take_due(until)) != nullptr) {
            __builtin_prefetch(due[count++], 1);
        }
        for (std::size_t i = 0; i < count; ++i) {
            fiber_block& fiber = *due[i];
            fiber.wait_kind &= static_cast<std::uint8_t>(~wait_timed);
            __builtin_prefetch(&fiber.cold->wait_since, 1);  // and the rest of that line
            // The registers are saved around the stack pointer; above are the frames to return to.
            const auto* const saved = static_cast<const std::byte*>(fiber.context.stack_pointer);
            for (std::ptrdiff_t offset = -48; offset <= 144; offset += 64) {
                __builtin_prefetch(saved + offset, 1);
            }
        }
        for (std::size_t i = 0; i < count; ++i) {
            end_wait_in_time(*due[i]);
        }
    }
}

// Ends the wait of a fiber whose timer was due, unless an event has been quicker.
void worker::end_wait_in_time(fiber_block& fiber) noexcept {
    const wait_status outcome = (fiber.wait_kind & wait_shield_timer) != 0 ? wait_status::cancelled
                                                                           : wait_status::timed_out;
    fiber.wait_kind &= static_cast<std::uint8_t>(~wait_shield_timer);
    const std::uint64_t ticket = fiber.wait.load(std::memory_order_relaxed);
    if (ticket == 0) {
        return;
    }
    if ((fiber.wait_kind & wait_operation) != 0) {
        auto* const what =
            const_cast<operation*>(static_cast<const operation*>(fiber.cold->wait_object));
        what->cancel_reason = static_cast<int>(outcome);
        reactor_->cancel(*what);
    } else if (claim(fiber, ticket)) {
        if (outcome == wait_status::cancelled) {
            note_cancelled(fiber);
        }
        make_runnable(fiber, outcome);
    }
}

void worker::on_completion(void* self, operation& ended) noexcept {
    if (claim(*ended.waiter, ended.ticket)) {
        static_cast<worker*>(self)->make_runnable(*ended.waiter, wait_status::event);
    }
}

void worker::post(fiber_block& block, std::uint8_t bits) noexcept {
    say_release(&mail_);
    mail_.post(block, bits);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_relaxed)) {
        reactor_->interrupt();
    }
}

void worker::drain_mail() noexcept {
    mail_.take_all([this](fiber_block& block, std::uint8_t bits) {
        say_acquire(&mail_);
        if ((bits & mail_wake) != 0) {
            make_runnable(block, static_cast<wait_status>(block.outcome));
        }
        if ((bits & mail_stop) != 0 && block.cold->stop_asked.load(std::memory_order_relaxed)) {
            apply_stop(block);  // unless drop_stop_request was quicker
        }
        if ((bits & mail_awaiter) != 0) {
            run_awaiter_of_unstarted(block);
        }
        if ((bits & mail_level) != 0) {
            apply_level_stops(block);
        }
        if ((bits & mail_release) != 0) {
            free_block(block);
        }
    });
}

void worker::begin_shutdown() noexcept {
    shutting_down_ = true;
    const std::int64_t now = clock_now();
    grace_end_ = grace_ns_ > never_ns - now ? never_ns : now + std::max<std::int64_t>(grace_ns_, 0);
    blocks_.for_each([this](fiber_block& block) {
        if (&block != current_ &&
            (block.state == fiber_state::unstarted || block.state == fiber_state::started)) {
            request_fiber_stop(&block);
        }
    });
}

void worker::check_grace() noexcept {
    if (now_ < grace_end_) {
        return;
    }
    // Were the process itself kept from running, the grace could pass without anybody having had a
    // turn.
    if (!std::exchange(grace_is_over_, true)) {
        return;
    }
    text_line line;
    line << "heddle: the main function has returned, but fibers still run after "
            "options::shutdown_grace (";
    line.seconds(grace_ns_) << "):";
    line.write_to(STDERR_FILENO);
    dump_to(STDERR_FILENO);
    std::terminate();
}

// Nothing inside can ever run again, and nobody outside could wake it. Ends every wait that a
// request to stop can end, once; what is left then is hopeless.
void worker::end_deadlock() noexcept {
    const bool first = deadlock_.empty() && !shutting_down_;
    if (first) {
        try {
            deadlock_ = "heddle: nothing can ever run again: every fiber waits, and nobody is left "
                        "to wake one:";
            for_each_dump_line(
                code_names::form::as_written,
                [](std::string_view line, void* text) {
                    static_cast<std::string*>(text)->append("\n").append(line);
                },
                &deadlock_);
        } catch (const std::bad_alloc&) {
            // A shorter list has to do.
        }
    }
    // Each time: whoever went on after the first may have spawned others, which can be stopped too.
    blocks_.for_each([](fiber_block& block) { request_fiber_stop(&block); });
    if (queue_.empty() && !has_deadlines()) {  // a deadline: the end of a shield
        text_line line;
        line << "heddle: nothing can ever run again, and fibers are left that cannot be stopped:";
        line.write_to(STDERR_FILENO);
        dump_to(STDERR_FILENO);
        std::abort();
    }
}

statistics worker::figures() noexcept {
    statistics all{};
    all.fibers_alive = alive();
    all.fibers_runnable = queue_.size() + (in_fiber() ? 1 : 0);
    all.switches = switches_ + static_cast<std::uint64_t>(turn_length_ - std::max(budget_, 0));
    all.spawned = spawned_;
    all.reactor_polls = polls_;
    for (const stack_class& one : stacks_.all()) {
        all.stacks_in_use += one.in_use();
        all.stacks_pooled += one.idle();
        all.stack_bytes_resident += one.resident_bytes();
    }
    return all;
}

}  // namespace heddle::detail
