// The runnable fibers of a worker, in order: an array of pointers.
//
// Never a list through the fibers: the next decision would have to wait for a cold one (480 ns
// per switch of 100 000 fibers against 75, by measurement). A fiber that has not started remembers
// its slot, so that a joiner can take it out from the middle; the hole is skipped by front, taken
// back at once at the tail, and closed by compaction when holes fill half of the array. The other
// half has room for every fiber alive, so that a push need not look for any.
#pragma once

#include "runtime/base/assert.hpp"
#include "runtime/core/fiber_block.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace heddle::detail {

/// One thread at a time. The last place is never a hole.
class run_queue {
public:
    bool empty() const noexcept { return head_ == tail_; }
    std::size_t size() const noexcept { return tail_ - head_ - holes_; }

    /// Takes room for `fibers` at once, after which pushing allocates nothing. Room that is never
    /// used costs no memory.
    /// Errors: std::bad_alloc; nothing has changed.
    void reserve(std::size_t fibers) {
        if (2 * fibers > capacity()) [[unlikely]] {
            move_to(capacity_for(fibers));
        }
    }

    /// Gives back what is not needed for `fibers`, which are at least those in the queue.
    /// Errors: std::bad_alloc; nothing has changed.
    void shrink(std::size_t fibers) {
        if (capacity_for(fibers) < capacity()) {
            move_to(capacity_for(fibers));
        }
    }

    /// Puts a fiber behind the last: one of those that reserve() was told of.
    void push(fiber_block& fiber) noexcept {
        slot(tail_++) = &fiber;
        check_room();
    }

    /// Puts a started fiber in front of the first.
    void push_front(fiber_block& fiber) noexcept {
        slot(--head_) = &fiber;
        check_room();
    }

    /// As push, and the fiber remembers its place for remove().
    void push_unstarted(fiber_block& fiber) noexcept {
        fiber.cold->wait_since = static_cast<std::int64_t>(tail_);
        push(fiber);
    }

    /// The first fiber. Not for an empty queue.
    fiber_block& front() noexcept {
        skip_holes();
        return *slot(head_);
    }
    /// The first fiber, or a hole, which has flag_not_started: then front() finds the fiber.
    fiber_block& front_or_hole() noexcept { return *slot(head_); }

    /// Takes out the first fiber, which was looked at.
    void pop_front() noexcept {
        ++head_;
        prefetch();
    }

    /// Takes out the first fiber, which was looked at, and puts another behind the last. There is
    /// always room for that.
    void rotate(fiber_block& last) noexcept {
        ++head_;
        slot(tail_++) = &last;
        prefetch();
    }

    /// Takes out an unstarted fiber, which must be in the queue.
    void remove(fiber_block& fiber) noexcept {
        const auto place = static_cast<std::uint64_t>(fiber.cold->wait_since);
        HEDDLE_ASSERT(place - head_ < tail_ - head_ && slot(place) == &fiber,
                      "an unstarted fiber is not where it says in the run queue", "place", place);
        if (place == head_) {
            ++head_;
        } else if (place != tail_ - 1) {
            slot(place) = &hole;
            if (++holes_ == capacity() / 2) [[unlikely]] {
                compact();
            }
        } else {
            --tail_;
            while (holes_ != 0 && slot(tail_ - 1) == &hole) {
                --tail_;
                --holes_;
            }
        }
    }

    /// Calls f for each fiber in order.
    template <class F>
    void for_each(F f) {
        for (std::uint64_t place = head_; place != tail_; ++place) {
            if (slot(place) != &hole) {
                f(*slot(place));
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

    // Stands where a fiber was taken out. Being no fiber to switch to, it needs no look of its own.
    static inline constinit fiber_block hole{
        {}, 0, nullptr, nullptr, nullptr, 0, fiber_state::vacant, flag_not_started, 0, 0};

    std::size_t capacity() const noexcept { return mask_ + 1; }
    fiber_block*& slot(std::uint64_t place) noexcept { return slots_[place & mask_]; }

    // Always inline: g++ takes a function that only prefetches for one without effect, and drops
    // calls of it.
    [[gnu::always_inline]] void prefetch() noexcept {
        if (tail_ - head_ < prefetch_from) [[likely]] {
            return;
        }
        __builtin_prefetch(slot(head_ + block_ahead), 1);
        __builtin_prefetch(slot(head_ + stack_ahead)->context.stack_pointer, 1);
    }

    void skip_holes() noexcept {
        while (slot(head_) == &hole) {
            ++head_;
            --holes_;
        }
    }

    // Closes the holes, in order.
    [[gnu::noinline]] void compact() noexcept {
        std::uint64_t to = head_;
        for (std::uint64_t from = head_; from != tail_; ++from) {
            if (slot(from) != &hole) {
                place_at(to++, slot(from));
            }
        }
        tail_ = to;
        holes_ = 0;
    }

    void check_room() const noexcept {
#ifdef HEDDLE_CHECKED
        HEDDLE_ASSERT(tail_ - head_ <= capacity(), "no room was taken in the run queue for a fiber",
                      "fibers", size(), "capacity", capacity());
#endif
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
        mask_ = capacity - 1;
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
    std::uint64_t head_ = 0;  // place of the first; places grow for ever and wrap onto slots
    std::size_t mask_ = std::size_t{0} - 1;  // the capacity, a power of two or 0, less one
    // Not beside head_: g++ would count both in one vector register, and take longer.
    std::uint64_t tail_ = 0;   // place behind the last
    std::uint64_t holes_ = 0;  // between the two
};

}  // namespace heddle::detail
