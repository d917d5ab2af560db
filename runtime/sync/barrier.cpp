#include <heddle/barrier.hpp>

#include "runtime/base/assert.hpp"
#include "runtime/core/wait_list.hpp"

#include <stdexcept>
#include <string>

namespace heddle::detail {

namespace {

// Under the lock. Whether somebody is missing still.
bool count(barrier_state& state, std::ptrdiff_t by, std::ptrdiff_t drops) noexcept {
    HEDDLE_ASSERT(by <= state.missing, "more arrive at a barrier than are expected", "arrived",
                  static_cast<std::uint64_t>(by), "missing in this phase",
                  static_cast<std::uint64_t>(state.missing));
    state.missing -= by;
    state.expected -= drops;
    return state.missing != 0 || by == 0;
}

[[gnu::noinline]] wait_status arrive_and_wait_on_thread(barrier_state& state) noexcept {
    fiber_block* const self = try_thread_block();
    state.lock.lock();
    const std::size_t phase = state.phase;
    if (!count(state, 1, 0)) {
        state.lock.unlock();
        return wait_status::again;
    }
    if (self == nullptr) {
        state.lock.unlock();
        return look_until(
            [&state, phase] {
                state.lock.lock();
                const bool over = state.phase != phase;
                state.lock.unlock();
                return over;
            },
            never_ns);
    }
    waiter own{.next = nullptr, .previous = nullptr, .block = self, .object = nullptr};
    const std::uint64_t ticket = begin_thread_wait(*self, wait_reason::barrier, &state);
    state.waiters.push_back(own);
    state.lock.unlock();
    return sleep_thread(*self, ticket, never_ns);
}

}  // namespace

bool barrier_arrive(barrier_state& state, std::ptrdiff_t by, std::ptrdiff_t drops,
                    std::size_t& phase) noexcept {
    HEDDLE_ASSERT(by >= 0, "fewer than zero arrive at a barrier", "fewer by",
                  std::uint64_t{0} - static_cast<std::uint64_t>(by));
    state.lock.lock();
    phase = state.phase;
    const bool some_are_missing = count(state, by, drops);
    state.lock.unlock();
    return some_are_missing;
}

// Under the lock once: whoever goes on when this phase is over may destroy the barrier, and all who
// have arrived are out of it then, or in its list.
wait_status barrier_arrive_and_wait(barrier_state& state) noexcept {
    worker* const here = current_worker;
    if (here == nullptr) {
        return arrive_and_wait_on_thread(state);
    }
    fiber_block& self = here->current();
    state.lock.lock();
    if (!count(state, 1, 0)) {
        state.lock.unlock();
        return wait_status::again;
    }
    here->begin_wait(self, wait_reason::barrier, &state, 0);
    join_list(self, state.waiters, nullptr);
    state.lock.unlock();
    return static_cast<wait_status>(here->suspend(self));
}

void barrier_end_phase(barrier_state& state) noexcept {
    wait_list claimed;
    state.lock.lock();
    ++state.phase;
    state.missing = state.expected;
    take_all(state.waiters, claimed);
    state.lock.unlock();
    wake_all(claimed, wait_status::event);
}

void barrier_spend_turn() noexcept {
    if (worker* const here = current_worker) {
        here->spend_turn(here->current());
    }
}

void barrier_wait(barrier_state& state, std::size_t phase) noexcept {
    wait_for<no_cancellation_point>([&state, phase] { return state.phase != phase; }, state.waiters,
                                    state.lock, wait_reason::barrier, &state, nullptr, never_ns);
}

std::ptrdiff_t checked_arrivals(std::ptrdiff_t wished) {
    throw std::invalid_argument("heddle::barrier: " + std::to_string(wished) +
                                " are expected, which is below zero");
}

}  // namespace heddle::detail
