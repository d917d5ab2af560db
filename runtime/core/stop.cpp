// Requests to stop: the flag of a fiber, and the std::stop_source that is made when somebody asks
// for a token.
#include "runtime/core/worker.hpp"

#include <heddle/cancel.hpp>
#include <heddle/detail/fiber_access.hpp>

#include <algorithm>
#include <mutex>
#include <stop_token>

namespace heddle::detail {

namespace {

// Guards every cold_block::stop. Making a source and asking for one are rare.
std::mutex stop_lock;

}  // namespace

namespace {

// Runs the callbacks of the fiber's tokens, here.
void run_callbacks(cold_block& cold) noexcept {
    std::stop_source source(std::nostopstate);
    {
        const std::lock_guard guard(stop_lock);
        source = cold.stop;
    }
    source.request_stop();
}

}  // namespace

void request_stop_from_dispatcher(worker& home, fiber_block& block) noexcept {
    if (exchange(block.cold->stop_asked, true)) {
        return;
    }
    current_worker = nullptr;
    run_callbacks(*block.cold);
    current_worker = &home;
    home.apply_stop(block);
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

std::int64_t enter_shield(std::int64_t until_ns) noexcept {
    worker* const here = current_worker;
    if (here == nullptr || !here->in_fiber()) {
        return no_shield;
    }
    fiber_block& self = here->current();
    stack_header& header = header_of(self);
    const std::int64_t outer = self.shielded != 0 ? header.shield_until : no_shield;
    header.shield_until = std::max(outer, until_ns);
    self.shielded = 1;
    return outer;
}

void leave_shield(std::int64_t outer) noexcept {
    worker* const here = current_worker;
    if (here == nullptr || !here->in_fiber()) {
        return;
    }
    fiber_block& self = here->current();
    self.shielded = outer != no_shield ? 1 : 0;
    header_of(self).shield_until = outer;
}

bool cancellation_pending() noexcept {
    worker* const here = current_worker;
    return here != nullptr && here->in_fiber() && here->cancellation_due(here->current());
}

}  // namespace heddle::detail
