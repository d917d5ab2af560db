#include "runtime/core/thread_wait.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/sanitizer.hpp"
#include "runtime/base/system.hpp"
#include "runtime/core/block_store.hpp"
#include "runtime/core/copies.hpp"
#include "runtime/core/worker.hpp"

#include <atomic>
#include <new>
#include <utility>

namespace heddle::detail {

namespace {

// The word that the thread sleeps on lies where a fiber keeps its closure. Block memory is never
// unmapped, so that a waker may knock on it late.
std::atomic<std::uint32_t>& spoken(fiber_block& block) noexcept {
    return *std::launder(reinterpret_cast<std::atomic<std::uint32_t>*>(block.cold->storage));
}

std::atomic<std::uint64_t> thread_tickets = std::uint64_t{1} << 63;  // workers draw from below

struct thread_block {
    fiber_block* block = nullptr;
    ~thread_block() {
        if (block != nullptr) {
            // Destructors that come later may wait once more.
            block_store::instance().free_thread_block(std::exchange(block, nullptr));
        }
    }
};

}  // namespace

fiber_block& this_thread_block() {
    thread_local thread_block own;
    if (own.block == nullptr) {
        own.block = block_store::instance().take_thread_block();
    }
    return *own.block;
}

fiber_block* try_thread_block() noexcept {
    try {
        return &this_thread_block();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

std::uint64_t begin_thread_wait(fiber_block& self, wait_reason reason,
                                const void* object) noexcept {
    refuse_fiber_of_another_copy();
    HEDDLE_ASSERT(!dispatcher_runs_callbacks, stop_callback_waits);
    ::new (self.cold->storage) std::atomic<std::uint32_t>(0);
    self.cold->reason = reason;
    self.cold->wait_object = object;
    self.cold->wait_since = clock_now();
    self.wait_kind = wait_of_thread;
    const std::uint64_t ticket = thread_tickets.fetch_add(1, std::memory_order_relaxed);
    self.wait.store(ticket, std::memory_order_relaxed);
    return ticket;
}

wait_status sleep_thread(fiber_block& self, std::uint64_t ticket,
                         std::int64_t deadline_ns) noexcept {
    while (spoken(self).load(std::memory_order_acquire) == 0) {  // pairs with wake_thread
        if (deadline_ns != never_ns && clock_now() >= deadline_ns) {
            if (claim(self, ticket)) {
                return wait_status::timed_out;
            }
            deadline_ns = never_ns;  // claimed by an event: its waker is about to speak
        }
        sys::futex_wait(spoken(self), 0, deadline_ns);
    }
    say_acquire(&self);
    return static_cast<wait_status>(self.outcome);
}

void wake_thread(fiber_block& waiter) noexcept {
    say_release(&waiter);
    spoken(waiter).store(1, std::memory_order_release);
    sys::futex_wake(spoken(waiter));
}

}  // namespace heddle::detail
