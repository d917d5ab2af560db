// Requests to stop: the flag of a fiber, its levels, and the std::stop_source that is made when
// somebody asks for a token.
//
// A fiber can be asked to stop for good; that request comes from outside of all its levels. A scope
// whose body it runs can be cancelled: that counts inside the body's level, and no longer once that
// is over. A shield keeps out whatever comes from outside of it. flag_stop_requested is set if
// there is any request at all; whether it is to be heeded, the levels say, from the innermost on.
#include "runtime/base/assert.hpp"
#include "runtime/core/thread_wait.hpp"
#include "runtime/core/worker.hpp"

#include <heddle/cancel.hpp>
#include <heddle/detail/fiber_access.hpp>

#include <algorithm>
#include <mutex>
#include <stop_token>
#include <utility>

namespace heddle::detail {

constinit thread_local bool dispatcher_runs_callbacks = false;

namespace {

// Guards every cold_block::stop. Making a source and asking for one are rare.
std::mutex stop_lock;

// Between construction and destruction stop callbacks run in the calling fiber.
class callback_section {
public:
    explicit callback_section(worker& here) noexcept : here_(here) { here_.begin_stop_callbacks(); }
    callback_section(const callback_section&) = delete;
    callback_section& operator=(const callback_section&) = delete;
    ~callback_section() { here_.end_stop_callbacks(); }

private:
    worker& here_;
};

void run_callbacks(cold_block& cold) noexcept {
    std::stop_source source(std::nostopstate);
    {
        const std::lock_guard guard(stop_lock);
        source = cold.stop;
    }
    run_stop_callbacks(source);
}

// From when on a request to stop counts for whoever is just inside `level`, with `uncaught`
// exceptions unwinding; `outside` if the fiber was asked, or a level further outside of the last
// one. The earliest moment: no shield ever kept it out.
std::int64_t cancelled_inside(const stop_level* level, bool outside, unsigned uncaught) noexcept {
    std::int64_t shielded_until = no_shield;
    for (; level != nullptr; level = level->outer) {
        if (level->stopped && level->uncaught == uncaught) {
            return shielded_until;
        }
        shielded_until = std::max(shielded_until, level->shield_until);
        outside = level->stopped_outside;
    }
    return outside && uncaught == 0 ? shielded_until : never_ns;
}

// Only started fibers have levels.
stop_level* level_of(fiber_block& fiber) noexcept {
    return fiber.state == fiber_state::started ? fiber.header->level : nullptr;
}

}  // namespace

void run_stop_callbacks(std::stop_source& source) noexcept {
    worker* const here = current_worker;
    if (!source.stop_possible()) {
        return;
    }
    if (here == nullptr) {
        source.request_stop();
    } else if (here->in_fiber()) {
        const callback_section section(*here);
        source.request_stop();
    } else {
        const outside_of_fibers section;
        dispatcher_runs_callbacks = true;
        source.request_stop();
        dispatcher_runs_callbacks = false;
    }
}

void drop_stop_request(fiber_block& self) noexcept {
    cold_block& cold = *self.cold;
    self.flags &= static_cast<std::uint8_t>(~flag_stop_requested);
    cold.stop_asked.store(false, std::memory_order_relaxed);
    const std::lock_guard guard(stop_lock);
    drop_stop_source(cold);
}

bool request_fiber_stop(fiber_block* block) noexcept {
    cold_block& cold = *block->cold;
    if (exchange(cold.stop_asked, true)) {
        return false;
    }
    run_callbacks(cold);  // first: whoever is cancelled finds its token stopped
    if (current_worker != nullptr &&
        block->home.load(std::memory_order_relaxed) == current_worker) {
        current_worker->apply_stop(*block);
    } else {
        const std::lock_guard guard(lifetime_lock);
        if (worker* const home = block->home.load(std::memory_order_relaxed)) {
            home->post(*block, mail_stop);
        }
    }
    return true;
}

void request_level_stop(fiber_block& fiber, stop_level& level) noexcept {
    level.asked.store(true, std::memory_order_relaxed);  // the mailbox orders it
    if (current_worker != nullptr && fiber.home.load(std::memory_order_relaxed) == current_worker) {
        current_worker->apply_level_stops(fiber);
    } else {
        const std::lock_guard guard(lifetime_lock);
        if (worker* const home = fiber.home.load(std::memory_order_relaxed)) {
            home->post(fiber, mail_level);
        }
    }
}

std::stop_token fiber_stop_token(fiber_block* block) {
    cold_block& cold = *block->cold;
    const std::lock_guard guard(stop_lock);
    if (!cold.stop.stop_possible()) {
        cold.stop = std::stop_source();
        if (cold.stop_asked.load(std::memory_order_acquire)) {
            cold.stop.request_stop();  // nobody can have a callback yet
        }
    }
    return cold.stop.get_token();
}

std::stop_token current_stop_token() {
    worker* const here = current_worker;
    return here != nullptr && here->in_fiber() ? fiber_stop_token(&here->current())
                                               : std::stop_token();
}

void enter_level(stop_level& level) noexcept {
    worker* const here = current_worker;
    if (here != nullptr && here->in_fiber()) {
        here->enter_level(level);
    }
}

void leave_level(stop_level& level) noexcept {
    if (level.entered) {
        current_worker->leave_level(level);
    }
}

bool cancellation_pending() noexcept {
    worker* const here = current_worker;
    if (here == nullptr || !here->in_fiber()) {
        return false;
    }
    here->look_around();
    return here->cancellation_due(here->current());
}

void worker::enter_level(stop_level& level) noexcept {
    stack_header& header = *current_->header;
    level.outer = header.level;
    level.uncaught = globals_->uncaught;
    level.stopped_outside = (current_->flags & flag_stop_requested) != 0;
    level.entered = true;
    header.level = &level;
    if (level.shield_until != no_shield) {
        current_->shielded = 1;
    }
    if (level.stopped) {
        current_->flags |= flag_stop_requested;
    }
}

void worker::leave_level(stop_level& level) noexcept {
    stack_header& header = *current_->header;
    HEDDLE_ASSERT(header.level == &level,
                  "a shield or the body of a scope ends before one that it encloses, or in "
                  "another fiber");
    header.level = level.outer;
    level.entered = false;
    if (!level.stopped_outside) {
        current_->flags &= static_cast<std::uint8_t>(~flag_stop_requested);
    }
    if (level.shield_until != no_shield) {
        const stop_level* outer = level.outer;
        while (outer != nullptr && outer->shield_until == no_shield) {
            outer = outer->outer;
        }
        current_->shielded = outer != nullptr ? 1 : 0;
    }
}

unsigned worker::uncaught_of(const fiber_block& fiber) const noexcept {
    if (&fiber == current_) {
        return globals_->uncaught;
    }
    return (fiber.flags & flag_exceptions) != 0 ? fiber.cold->exceptions.uncaught : 0;
}

std::int64_t worker::cancelled_from(fiber_block& fiber) const noexcept {
    return cancelled_inside(level_of(fiber), (fiber.flags & flag_stop_requested) != 0,
                            uncaught_of(fiber));
}

bool worker::stop_holds(fiber_block& self) const noexcept {
    if (cancelled_from(self) > now_) {
        return false;
    }
    note_cancelled(self);
    return true;
}

bool worker::cancellation_due_outside(const stop_level& level) const noexcept {
    return cancelled_inside(level.outer, level.stopped_outside, globals_->uncaught) <= now_;
}

std::uint8_t worker::cancellable_while_unwinding(fiber_block& self) const noexcept {
    for (const stop_level* level = level_of(self); level != nullptr; level = level->outer) {
        if (level->uncaught == globals_->uncaught) {
            return wait_shielded;  // it began in the destructor that runs
        }
    }
    return 0;
}

void worker::note_cancelled(fiber_block& fiber) const noexcept {
    const unsigned uncaught = uncaught_of(fiber);
    std::int64_t shielded_until = no_shield;
    for (stop_level* level = level_of(fiber); level != nullptr; level = level->outer) {
        const bool holds = level->stopped && level->uncaught == uncaught && shielded_until <= now_;
        level->delivered = level->delivered || holds;
        shielded_until = std::max(shielded_until, level->shield_until);
    }
}

void worker::apply_stop(fiber_block& fiber) noexcept {
    fiber.flags |= flag_stop_requested;
    for (stop_level* level = level_of(fiber); level != nullptr; level = level->outer) {
        level->stopped_outside = true;
    }
    stop_wait(fiber);
}

void worker::apply_level_stops(fiber_block& fiber) noexcept {
    bool any = false;
    for (stop_level* level = level_of(fiber); level != nullptr; level = level->outer) {
        if (!level->asked.load(std::memory_order_relaxed) || level->stopped) {
            continue;
        }
        any = true;
        level->stopped = true;
        for (stop_level* inner = level_of(fiber); inner != level; inner = inner->outer) {
            inner->stopped_outside = true;
        }
    }
    if (any) {
        fiber.flags |= flag_stop_requested;
        stop_wait(fiber);
    }
}

// Ends the wait of a fiber of which something was asked to stop, if that counts for the wait.
void worker::stop_wait(fiber_block& fiber) noexcept {
    const std::uint64_t ticket = fiber.wait.load(std::memory_order_relaxed);
    if (ticket == 0 || (fiber.wait_kind & (wait_cancellable | wait_shielded)) == 0) {
        return;
    }
    if ((fiber.wait_kind & wait_shielded) != 0 && cancelled_from(fiber) > now_) {
        add_shield_timer(fiber);
        return;
    }
    if ((fiber.wait_kind & wait_operation) != 0) {
        auto* const what =
            const_cast<operation*>(static_cast<const operation*>(fiber.cold->wait_object));
        if (what->cancel_reason == 0) {
            what->cancel_reason = static_cast<int>(wait_status::cancelled);
        }
        reactor_->cancel(*what);
    } else if (claim(fiber, ticket)) {
        note_cancelled(fiber);
        make_runnable(fiber, wait_status::cancelled);
    }
}

void worker::look_around() noexcept {
    if (!mail_.empty()) [[unlikely]] {
        drain_mail();
    }
    if (has_deadlines()) {
        now_ = clock_now();
        fire_timers();
    }
}

void worker::set_alarm(alarm& one, std::int64_t deadline_ns) {
    alarms_.reserve(alarms_.size() + 1);
    alarms_.add(one, deadline_ns);
    one.armed = true;
}

void worker::drop_alarm(alarm& one) noexcept {
    if (std::exchange(one.armed, false)) {
        alarms_.remove(one);
    }
}

}  // namespace heddle::detail
