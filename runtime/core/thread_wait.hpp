// How a plain thread waits for what fibers do: with a control block of its own, asleep on a futex.
#pragma once

#include "runtime/core/fiber_block.hpp"

#include <cstdint>

namespace heddle::detail {

/// The calling thread's control block, made at its first wait and freed when the thread ends.
/// Errors: std::bad_alloc.
fiber_block& this_thread_block();

/// Begins a wait of the calling thread; the ticket names it to wakers. Comes before the wait is
/// published.
std::uint64_t begin_thread_wait(fiber_block& self, wait_reason reason, const void* object) noexcept;

/// Sleeps until the wait has been claimed and its waker has spoken, or claims it itself when
/// `deadline_ns` has passed.
wait_status sleep_thread(fiber_block& self, std::uint64_t ticket,
                         std::int64_t deadline_ns) noexcept;

/// The waker's side: the outcome is in the block.
void wake_thread(fiber_block& waiter) noexcept;

}  // namespace heddle::detail
