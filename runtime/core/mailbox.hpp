// Where other threads leave what concerns a worker's fibers: a list of control blocks, each with
// bits that say why (mail_bits). A block is in it at most once, so posting never allocates.
#pragma once

#include "runtime/core/fiber_block.hpp"

#include <atomic>

namespace heddle::detail {

class mailbox {
public:
    /// Adds `bits` to the block's mail, and the block to the box unless it is there already.
    /// Any thread.
    void post(fiber_block& block, std::uint8_t bits) noexcept {
        if (block.cold->mail.fetch_or(bits, std::memory_order_acq_rel) != 0) {
            return;
        }
        fiber_block* first = first_.load(std::memory_order_relaxed);
        do {
            block.cold->mail_next = first;
        } while (!first_.compare_exchange_weak(first, &block, std::memory_order_release,
                                               std::memory_order_relaxed));
    }

    /// Whether there is nothing. Orders nothing: fences are for the caller and for who has posted.
    bool empty() const noexcept { return first_.load(std::memory_order_relaxed) == nullptr; }

    /// Calls f(block, bits) for each block, in the order of posting. Owner only.
    template <class F>
    void take_all(F f) noexcept {
        if (first_.load(std::memory_order_relaxed) == nullptr) {
            return;
        }
        // Pairs with the release in post.
        fiber_block* newest = first_.exchange(nullptr, std::memory_order_acquire);
        fiber_block* oldest = nullptr;
        while (newest != nullptr) {
            fiber_block* const next = newest->cold->mail_next;
            newest->cold->mail_next = oldest;
            oldest = newest;
            newest = next;
        }
        while (oldest != nullptr) {
            fiber_block& block = *oldest;
            oldest = block.cold->mail_next;
            // From here on the block may be posted again.
            f(block, block.cold->mail.exchange(0, std::memory_order_acq_rel));
        }
    }

private:
    std::atomic<fiber_block*> first_ = nullptr;  // the newest
};

}  // namespace heddle::detail
