#include <heddle/latch.hpp>

#include "runtime/base/assert.hpp"
#include "runtime/core/wait_list.hpp"

#include <stdexcept>
#include <string>

namespace heddle::detail {

wait_status latch_wait(latch_state& state, std::int64_t deadline_ns) noexcept {
    return wait_for([&state] { return state.count == 0; }, state.waiters, state.lock,
                    wait_reason::latch, &state, nullptr, deadline_ns);
}

void latch_give_up(latch_state& state) noexcept {
    leave(state.waiters, state.lock);
}

// Under the lock, so that who sees the zero may destroy the latch: nobody else is in here then.
bool latch_try_wait(latch_state& state) noexcept {
    state.lock.lock();
    const bool over = state.count == 0;
    state.lock.unlock();
    return over;
}

void latch_count_down(latch_state& state, std::ptrdiff_t by) noexcept {
    wait_list claimed;
    state.lock.lock();
    HEDDLE_ASSERT(by >= 0, "a latch is counted up, by this many", "count",
                  std::uint64_t{0} - static_cast<std::uint64_t>(by));
    HEDDLE_ASSERT(by <= state.count, "a latch is counted down below zero", "its count",
                  static_cast<std::uint64_t>(state.count), "taken from it",
                  static_cast<std::uint64_t>(by));
    state.count -= by;
    if (state.count == 0) {
        take_all(state.waiters, claimed);
    }
    state.lock.unlock();
    wake_all(claimed, wait_status::event);
}

std::ptrdiff_t checked_count(std::ptrdiff_t wished) {
    throw std::invalid_argument("heddle::latch: the count begins with " + std::to_string(wished) +
                                ", which is below zero");
}

}  // namespace heddle::detail
