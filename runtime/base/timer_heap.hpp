// Deadlines in order: a heap with four children per node, over arrays that stay in the cache.
//
// With many fibers a timer costs cache misses, not comparisons, so the heap keeps all that it needs
// in dense arrays of its own: the deadlines (the children of a node are half a cache line), which
// timer each belongs to, and where each timer is. An owner keeps only the number of its timer,
// which does not change while others move. (With the place kept by the owner, each level that a
// timer sank waited for another fiber's control block: of 100 000 timers, one cost 190 ns to take,
// against 51 now.)
//
// A deadline later than most, the usual timeout, is added and cancelled near the leaves, in
// constant time as a rule; the worst case is logarithmic.
//
// Rejected, by measurement: a hierarchical timing wheel, and lists of slices of 8 ms before a small
// heap. Both cancel the oldest of 1000 timers in a third of the time (12 ns against 34), but take
// a due one in twice (80 ns), and must now and then move many thousand timers at once.
#pragma once

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace heddle::detail {

/// `Owner` keeps a number for the heap in `std::uint32_t& timer_number(Owner&)`, found by argument-
/// dependent lookup, and knows itself whether its timer is armed. One thread at a time.
template <class Owner>
class timer_heap {
public:
    bool empty() const noexcept { return size_ == 0; }
    std::size_t size() const noexcept { return size_; }
    std::int64_t first_deadline() const noexcept { return deadlines_[0]; }
    std::int64_t deadline_of(Owner& owner) const noexcept {
        return deadlines_[places_[number_of(owner)]];
    }

    /// When to wake for several timers at once: the latest deadline that is at most `within` after
    /// the first, where at least `least` timers end in that time; else the first deadline.
    ///
    /// Looks at the top levels only, so that it costs the same with any number of timers: there lie
    /// the soonest few dozen, give or take. The answer may be earlier for that, and never later.
    std::int64_t group_deadline(std::int64_t within, std::size_t least) const noexcept {
        const std::int64_t first = first_deadline();
        const std::int64_t limit = first > INT64_MAX - within ? INT64_MAX : first + within;
        const std::size_t looked_at = std::min(size_, top_levels);
        std::size_t count = 0;
        std::int64_t latest = first;
        for (std::size_t place = 0; place < looked_at; ++place) {
            if (deadlines_[place] <= limit) {
                ++count;
                latest = std::max(latest, deadlines_[place]);
            }
        }
        return count >= least ? latest : first;
    }

    /// Takes room for `count` timers, after which adding that many allocates nothing. Room that is
    /// never used costs no memory.
    /// Errors: std::bad_alloc; nothing has changed.
    void reserve(std::size_t count) {
        if (count > room_) {
            move_to(count + count / 2);
        }
    }

    /// Gives back what is not needed for `count` timers, which are at least those in the heap.
    /// Errors: std::bad_alloc; nothing has changed.
    void shrink(std::size_t count) {
        if (count < room_ / 2) {
            move_to(count);
        }
    }

    /// Adds a timer. The owner must have none.
    void add(Owner& owner, std::int64_t deadline) noexcept {
        HEDDLE_ASSERT(size_ < room_, "no room was taken for a timer", "timers", size_);
        std::uint32_t number = vacant_;
        if (number != none) {
            vacant_ = places_[number];
        } else {
            number = made_++;
        }
        owners_[number] = &owner;
        timer_number(owner) = number;
        rise(size_++, deadline, number);
    }

    /// Removes the owner's timer, which must be armed.
    void remove(Owner& owner) noexcept {
        const std::uint32_t number = number_of(owner);
        const std::size_t hole = places_[number];
        vacate(number);
        fill(hole);
    }

    /// Removes and returns the owner of the first timer, if that is due by `now`, else null. The
    /// owner is not touched.
    Owner* take_due(std::int64_t now) noexcept {
        if (size_ == 0 || deadlines_[0] > now) {
            return nullptr;
        }
        const std::uint32_t number = numbers_[0];
        Owner* const owner = owners_[number];
        vacate(number);
        fill(0);
        return owner;
    }

private:
    static constexpr std::size_t arity = 4;
    static constexpr std::size_t top_levels = 1 + arity + arity * arity + arity * arity * arity;
    static constexpr std::uint32_t none = UINT32_MAX;

    static std::size_t parent(std::size_t place) noexcept { return (place - 1) / arity; }

    std::uint32_t number_of(Owner& owner) const noexcept {
        const std::uint32_t number = timer_number(owner);
        HEDDLE_ASSERT(number < made_ && owners_[number] == &owner,
                      "a timer is not where its owner says", "number", number, "timers", size_);
        return number;
    }

    // Takes a number back. The places of vacant ones are a list.
    void vacate(std::uint32_t number) noexcept {
        owners_[number] = nullptr;
        places_[number] = vacant_;
        vacant_ = number;
    }

    // Closes the hole that a timer has left, by the last one.
    void fill(std::size_t hole) noexcept {
        const std::size_t last = --size_;
        if (hole == last) {
            return;
        }
        if (hole > 0 && deadlines_[last] < deadlines_[parent(hole)]) {
            rise(hole, deadlines_[last], numbers_[last]);
        } else {
            sink(hole, deadlines_[last], numbers_[last]);
        }
    }

    void put(std::size_t place, std::int64_t deadline, std::uint32_t number) noexcept {
        deadlines_[place] = deadline;
        numbers_[place] = number;
        places_[number] = static_cast<std::uint32_t>(place);
    }

    void rise(std::size_t place, std::int64_t deadline, std::uint32_t number) noexcept {
        while (place > 0 && deadline < deadlines_[parent(place)]) {
            put(place, deadlines_[parent(place)], numbers_[parent(place)]);
            place = parent(place);
        }
        put(place, deadline, number);
    }

    void sink(std::size_t place, std::int64_t deadline, std::uint32_t number) noexcept {
        for (;;) {
            const std::size_t first = place * arity + 1;
            if (first >= size_) {
                break;
            }
            // Which child is next is known only after the comparisons; so ask for all of theirs.
            if (const std::size_t grandchildren = first * arity + 1; grandchildren < size_) {
                __builtin_prefetch(&deadlines_[grandchildren]);
                __builtin_prefetch(&deadlines_[grandchildren] + arity * arity / 2);
            }
            // A choice, not a branch: nobody can predict it.
            std::size_t least = first;
            std::int64_t least_deadline = deadlines_[first];
            const std::size_t end = std::min(first + arity, size_);
            for (std::size_t child = first + 1; child < end; ++child) {
                const bool less = deadlines_[child] < least_deadline;
                least = less ? child : least;
                least_deadline = less ? deadlines_[child] : least_deadline;
            }
            if (least_deadline >= deadline) {
                break;
            }
            put(place, least_deadline, numbers_[least]);
            place = least;
        }
        put(place, deadline, number);
    }

    [[gnu::noinline]] void move_to(std::size_t room) {
        timer_heap other;
        other.deadlines_ = std::make_unique_for_overwrite<std::int64_t[]>(room);
        other.numbers_ = std::make_unique_for_overwrite<std::uint32_t[]>(room);
        other.places_ = std::make_unique_for_overwrite<std::uint32_t[]>(room);
        other.owners_ = std::make_unique_for_overwrite<Owner*[]>(room);
        other.room_ = room;
        for (std::size_t place = 0; place < size_; ++place) {
            other.add(*owners_[numbers_[place]], deadlines_[place]);  // in order: none rises
        }
        *this = std::move(other);
    }

    // By place in the heap.
    std::unique_ptr<std::int64_t[]> deadlines_;
    std::unique_ptr<std::uint32_t[]> numbers_;
    // By number of the timer.
    std::unique_ptr<std::uint32_t[]> places_;
    std::unique_ptr<Owner*[]> owners_;  // null: the number is vacant

    std::size_t size_ = 0;
    std::size_t room_ = 0;
    std::uint32_t made_ = 0;       // numbers from 0 that were ever given
    std::uint32_t vacant_ = none;  // the first of those that came back
};

}  // namespace heddle::detail
