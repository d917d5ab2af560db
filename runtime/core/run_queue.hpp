// The runnable fibers of a worker, in order: an array of pointers.
//
// Never a list through the fibers: the next decision would have to wait for a cold one (480 ns
// per switch of 100 000 fibers against 75, by measurement). A fiber that has not started remembers
// its slot, so that a joiner can take it out from the middle; the hole is skipped by pop, taken
// back at once at the tail, and closed by compaction when holes fill half of the array. So the
// array is bounded by the fibers alive, however many pass through it.
#pragma once

#include "runtime/base/assert.hpp"
#include "runtime/core/fiber_block.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace heddle::detail {

/// One thread at a time. The first and the last place are never holes.
class run_queue {
public:
    bool empty() const noexcept { return head_ == tail_; }
    std::size_t size() const noexcept { return tail_ - head_ - holes_; }
    /// Whether push must make room first.
    bool full() const noexcept { return tail_ - head_ == capacity_; }

    /// Takes room for `fibers` at once, after which pushing allocates nothing. Room that is never
    /// used costs no memory.
    /// Errors: std::bad_alloc; nothing has changed.
    void reserve(std::size_t fibers) {
        if (2 * fibers > capacity_) [[unlikely]] {
            move_to(capacity_for(fibers));
        }
    }

    /// Gives back what is not needed for `fibers`, which are at least those in the queue.
    /// Errors: std::bad_alloc; nothing has changed.
    void shrink(std::size_t fibers) {
        if (capacity_for(fibers) < capacity_) {
            move_to(capacity_for(fibers));
        }
    }

    void push(fiber_block& fiber) noexcept {
        if (full()) [[unlikely]] {
            compact();
        }
        push_with_room(fiber);
    }
    void push_with_room(fiber_block& fiber) noexcept { slot(tail_++) = &fiber; }

    /// As push, and the fiber remembers its place for remove().
    void push_unstarted(fiber_block& fiber) noexcept {
        push(fiber);
        fiber.cold->wait_since = static_cast<std::int64_t>(tail_ - 1);
    }

    /// The first fiber. Not for an empty queue.
    fiber_block* front() noexcept { return slot(head_); }
    void pop_front() noexcept {
        ++head_;
        if (holes_ != 0) [[unlikely]] {
            skip_holes();
        }
        prefetch();
    }

    /// Takes out an unstarted fiber, which must be in the queue.
    void remove(fiber_block& fiber) noexcept {
        const auto place = static_cast<std::uint64_t>(fiber.cold->wait_since);
        HEDDLE_ASSERT(place - head_ < tail_ - head_ && slot(place) == &fiber,
                      "an unstarted fiber is not where it says in the run queue", "place", place);
        slot(place) = nullptr;
        ++holes_;
        while (tail_ != head_ && slot(tail_ - 1) == nullptr) {
            --tail_;
            --holes_;
        }
        skip_holes();
    }

    /// Calls f for each fiber in order.
    template <class F>
    void for_each(F f) {
        for (std::uint64_t place = head_; place != tail_; ++place) {
            if (fiber_block* const fiber = slot(place)) {
                f(*fiber);
            }
        }
    }

private:
    // With many fibers a switch costs cache misses. The hot block is asked for well ahead, and
    // the saved registers on its stack once the block has come. With few, all is there already
    // and asking costs 1 to 2 ns.
    static constexpr std::size_t prefetch_from = 64;
    static constexpr std::size_t block_ahead = 16;
    static constexpr std::size_t stack_ahead = 8;

    fiber_block*& slot(std::uint64_t place) noexcept { return slots_[place & (capacity_ - 1)]; }

    // Always inline: g++ takes a function that only prefetches for one without effect, and drops
    // calls of it.
    [[gnu::always_inline]] void prefetch() noexcept {
        if (tail_ - head_ < prefetch_from) [[likely]] {
            return;
        }
        __builtin_prefetch(slot(head_ + block_ahead), 1);
        if (const fiber_block* const soon = slot(head_ + stack_ahead)) {
            __builtin_prefetch(soon->context.stack_pointer, 1);
        }
    }

    void skip_holes() noexcept {
        while (head_ != tail_ && slot(head_) == nullptr) {
            ++head_;
            --holes_;
        }
    }

    // Closes the holes, in order. There is room: at most half of the array is fibers.
    void compact() noexcept {
        std::uint64_t to = head_;
        for (std::uint64_t from = head_; from != tail_; ++from) {
            if (fiber_block* const fiber = slot(from)) {
                place_at(to++, fiber);
            }
        }
        HEDDLE_ASSERT(to - head_ < capacity_, "no room was taken in the run queue for a fiber",
                      "fibers", to - head_, "capacity", capacity_);
        tail_ = to;
        holes_ = 0;
    }

    static std::size_t capacity_for(std::size_t fibers) noexcept {
        constexpr std::size_t least = 64;
        return std::bit_ceil(2 * fibers < least ? least : 2 * fibers);
    }

    void move_to(std::size_t capacity) {
        auto slots = std::unique_ptr<fiber_block*[]>(new fiber_block*[capacity]);  // not written
        std::uint64_t count = 0;
        for_each([&](fiber_block& fiber) { slots[count++] = &fiber; });
        slots_ = std::move(slots);
        capacity_ = capacity;
        head_ = 0;
        tail_ = count;
        holes_ = 0;
        for (std::uint64_t place = 0; place < count; ++place) {
            place_at(place, slots_[place]);
        }
    }

    void place_at(std::uint64_t place, fiber_block* fiber) noexcept {
        slot(place) = fiber;
        if (fiber->state == fiber_state::unstarted) {
            fiber->cold->wait_since = static_cast<std::int64_t>(place);
        }
    }

    std::unique_ptr<fiber_block*[]> slots_;
    std::size_t capacity_ = 0;  // a power of two, or 0
    std::uint64_t head_ = 0;    // place of the first; places grow for ever and wrap onto slots
    std::uint64_t tail_ = 0;    // place behind the last
    std::uint64_t holes_ = 0;   // between the two
};

}  // namespace heddle::detail
