// One writer or many readers, by a mutex and a count.
//
// A writer takes the entrance, a mutex, and keeps it. Then it closes the way, which keeps new
// readers out, and waits until those that are in have left. A reader that finds the way closed
// takes the entrance, too, counts itself in, and lets go of the entrance: so whoever cannot come in
// at once stands in one queue, whose order and fairness are those of the mutex. A reader that finds
// the way open just counts itself in; it can do so ahead of a writer that has been woken and has
// not come to run, but not after that.
#include <heddle/shared_mutex.hpp>

#include "runtime/base/assert.hpp"
#include "runtime/core/framed_wait.hpp"
#include "runtime/core/wait_list.hpp"
#include "runtime/sync/ownership.hpp"

namespace heddle::detail {

namespace {

wait_status enter(mutex_state& entrance, const std::stop_token& token,
                  std::int64_t deadline_ns) noexcept {
    if (mutex_take_free(entrance)) {
        return wait_status::event;
    }
    if (mutex_is_own(entrance)) [[unlikely]] {
        report_second_lock("a shared mutex");
    }
    if (token.stop_possible()) {
        return mutex_lock_unless_stopped(entrance, token);
    }
    return mutex_lock_until(entrance, deadline_ns) ? wait_status::event : wait_status::timed_out;
}

// By the owner of the entrance, when the way is closed: opens it.
void open(shared_mutex_state& state) noexcept {
    std::uintptr_t readers = 0;
    do {
        readers = state.readers.load(std::memory_order_relaxed);
    } while (!exchange_if(state.readers, readers, readers & ~shared_is_closed));
    mutex_let_go(state.entrance);
}

[[gnu::noinline]] wait_status wait_for_readers(shared_mutex_state& state,
                                               const std::stop_token& token,
                                               std::int64_t deadline_ns) noexcept {
    const auto are_gone = [&state] {
        // Pairs with the exchange of the last one.
        return state.readers.load(std::memory_order_acquire) == shared_is_closed;
    };
    const wait_status status = wait_framed(are_gone, state.writer, state.lock, wait_reason::readers,
                                           &state, token, deadline_ns);
    if (status != wait_status::event) {
        open(state);
    }
    return status;
}

}  // namespace

wait_status shared_lock_exclusive(shared_mutex_state& state, const std::stop_token& token,
                                  std::int64_t deadline_ns) noexcept {
    if (token.stop_requested()) {
        return after_a_turn(wait_status::cancelled);
    }
    if (const wait_status status = enter(state.entrance, token, deadline_ns);
        status != wait_status::event) {
        return status;
    }
    if (set_bits(state.readers, shared_is_closed) == 0) [[likely]] {
        return wait_status::event;
    }
    return wait_for_readers(state, token, deadline_ns);
}

bool shared_try_lock_exclusive(shared_mutex_state& state) noexcept {
    if (!mutex_take(state.entrance)) {
        return false;
    }
    if (exchange_if(state.readers, std::uintptr_t{0}, shared_is_closed)) {
        return true;
    }
    mutex_let_go(state.entrance);
    return false;
}

void shared_unlock_exclusive(shared_mutex_state& state) noexcept {
    if (!mutex_is_own(state.entrance)) [[unlikely]] {
        report_foreign_unlock("a shared mutex", state.entrance.owner.load() & ~mutex_is_waited_for);
    }
    open(state);
}

wait_status shared_lock_shared(shared_mutex_state& state, const std::stop_token& token,
                               std::int64_t deadline_ns) noexcept {
    if (token.stop_requested()) {
        return after_a_turn(wait_status::cancelled);
    }
    if (const wait_status status = enter(state.entrance, token, deadline_ns);
        status != wait_status::event) {
        return status;
    }
    shared_enter_open(state);  // only owners of the entrance close the way
    mutex_let_go(state.entrance);
    return wait_status::event;
}

// Under the lock, so that the writer does not go on before the reader has done with the mutex.
void shared_leave_closed(shared_mutex_state& state) noexcept {
    waiter* writer = nullptr;
    state.lock.lock();
    std::uintptr_t readers = 0;
    do {
        readers = state.readers.load(std::memory_order_relaxed);
        HEDDLE_ASSERT(readers >= shared_reader,
                      "a shared mutex is unlocked by a reader, but no reader has locked it");
    } while (!exchange_if(state.readers, readers, readers - shared_reader));
    if (readers == (shared_reader | shared_is_closed)) {
        writer = take_first(state.writer);
    }
    state.lock.unlock();
    if (writer != nullptr) {
        wake(*writer, wait_status::event);
    }
}

}  // namespace heddle::detail
