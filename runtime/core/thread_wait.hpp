// How a plain thread waits for what fibers do: with a control block of its own, asleep on a futex.
#pragma once

#include "runtime/base/system.hpp"
#include "runtime/core/worker.hpp"

#include <algorithm>
#include <cstdint>

namespace heddle::detail {

/// Whether the dispatcher of the calling thread runs stop callbacks just now. They have no fiber,
/// and find themselves on a plain thread, which must not wait for its own fibers.
extern constinit thread_local bool dispatcher_runs_callbacks;
constexpr const char* stop_callback_waits =
    "a stop callback gives way or waits: it runs inside request_stop, and another fiber of the "
    "thread could destroy it meanwhile";

/// The calling thread's control block, made at its first wait and freed when the thread ends.
/// Errors: std::bad_alloc.
fiber_block& this_thread_block();

/// The same; null where there is no memory for one.
fiber_block* try_thread_block() noexcept;

/// Begins a wait of the calling thread; the ticket names it to wakers. Comes before the wait is
/// published.
std::uint64_t begin_thread_wait(fiber_block& self, wait_reason reason, const void* object) noexcept;

/// Sleeps until the wait has been claimed and its waker has spoken, or claims it itself when
/// `deadline_ns` has passed.
wait_status sleep_thread(fiber_block& self, std::uint64_t ticket,
                         std::int64_t deadline_ns) noexcept;

/// What a thread without a block does instead of waiting to be woken: it looks again and again.
template <class Over>
wait_status look_until(Over over, std::int64_t deadline_ns) noexcept {
    constexpr std::int64_t pause_ns = 1'000'000;
    while (!over()) {
        const std::int64_t left = deadline_ns == never_ns ? pause_ns : deadline_ns - clock_now();
        if (left <= 0) {
            return wait_status::timed_out;
        }
        sys::nap(std::min(left, pause_ns));
    }
    return wait_status::event;
}

/// The waker's side: the outcome is in the block.
void wake_thread(fiber_block& waiter) noexcept;

}  // namespace heddle::detail
