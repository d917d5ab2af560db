#include <heddle/semaphore.hpp>

#include "runtime/base/assert.hpp"
#include "runtime/core/wait_list.hpp"

#include <stdexcept>
#include <string>

namespace heddle::detail {

wait_status semaphore_acquire(semaphore_state& state, std::int64_t deadline_ns) noexcept {
    return wait_for(
        [&state] {
            if (state.permits == 0) {
                return false;
            }
            --state.permits;
            return true;
        },
        state.waiters, state.lock, wait_reason::semaphore, &state, nullptr, deadline_ns);
}

void semaphore_give_up(semaphore_state& state) noexcept {
    leave(state.waiters, state.lock);
}

bool semaphore_try_acquire(semaphore_state& state) noexcept {
    state.lock.lock();
    const bool free = state.permits > 0;
    state.permits -= free ? 1 : 0;
    state.lock.unlock();
    return free;
}

namespace {

[[gnu::noinline]] void release_long(semaphore_state& state, std::ptrdiff_t count,
                                    std::ptrdiff_t max) noexcept {
    HEDDLE_ASSERT(count >= 0, "a semaphore is given fewer than zero permits, by this many",
                  "permits", std::uint64_t{0} - static_cast<std::uint64_t>(count));
    for (; count > 0; --count) {
        state.lock.lock();
        waiter* const first = take_first(state.waiters);
        if (first == nullptr) {
            HEDDLE_ASSERT(count <= max - state.permits,
                          "a semaphore is given more permits than it can hold", "given",
                          static_cast<std::uint64_t>(count), "limit",
                          static_cast<std::uint64_t>(max));
            state.permits += count;
            state.lock.unlock();
            return;
        }
        state.lock.unlock();
        wake(*first, wait_status::event);
    }
}

}  // namespace

void semaphore_release(semaphore_state& state, std::ptrdiff_t count, std::ptrdiff_t max) noexcept {
    if (count != 1 || !single_threaded()) [[unlikely]] {
        release_long(state, count, max);
        return;
    }
    if (waiter* const first = take_first_alone(state.waiters)) {
        wake(*first, wait_status::event);
        return;
    }
    if (state.permits == max) [[unlikely]] {
        release_long(state, count, max);  // reports it
        return;
    }
    ++state.permits;
}

std::ptrdiff_t checked_permits(std::ptrdiff_t wished, std::ptrdiff_t max) {
    throw std::invalid_argument("heddle::counting_semaphore: " + std::to_string(wished) +
                                " permits at the start, but it holds from 0 to " +
                                std::to_string(max));
}

}  // namespace heddle::detail
