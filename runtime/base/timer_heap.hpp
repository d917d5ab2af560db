// Deadlines in order: a heap with four children per node over a flat array.
//
// Each entry carries its deadline, so that ordering reads no timer's own memory; moving an entry
// writes one index into its owner. A deadline later than most, the usual timeout, is added and
// cancelled near the leaves, in constant time as a rule; the worst case is logarithmic. Four
// children are one cache line of entries and halve the depth against two.
#pragma once

#include "runtime/base/assert.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace heddle::detail {

/// `Owner` names its place through `std::uint32_t& timer_place(Owner&)`, found by argument-
/// dependent lookup; zero means not in the heap. One thread at a time.
template <class Owner>
class timer_heap {
public:
    bool empty() const noexcept { return entries_.empty(); }
    std::size_t size() const noexcept { return entries_.size(); }
    std::int64_t first_deadline() const noexcept { return entries_.front().deadline; }
    Owner& first() noexcept { return *entries_.front().owner; }
    std::int64_t deadline_of(Owner& owner) noexcept { return entries_[index_of(owner)].deadline; }

    /// Takes room for `count` timers, after which adding that many allocates nothing.
    /// Errors: std::bad_alloc; nothing has changed.
    void reserve(std::size_t count) {
        if (count > entries_.capacity()) {
            entries_.reserve(count + count / 2);
        }
    }

    /// Gives back what is not needed for `count` timers, which are at least those in the heap.
    /// Errors: std::bad_alloc; nothing has changed.
    void shrink(std::size_t count) {
        if (count < entries_.capacity() / 2) {
            std::vector<entry> fewer;
            fewer.reserve(count);
            fewer.assign(entries_.begin(), entries_.end());
            entries_.swap(fewer);
        }
    }

    /// Adds a timer. The owner must not be in the heap.
    void add(Owner& owner, std::int64_t deadline) noexcept {
        HEDDLE_ASSERT(timer_place(owner) == 0, "a timer is armed twice");
        HEDDLE_ASSERT(entries_.size() < entries_.capacity(), "no room was taken for a timer");
        entries_.push_back({});
        rise(entries_.size() - 1, {deadline, &owner});
    }

    /// Removes the owner's timer, which must be in the heap.
    void remove(Owner& owner) noexcept {
        const std::size_t hole = index_of(owner);
        timer_place(owner) = 0;
        const entry last = entries_.back();
        entries_.pop_back();
        if (hole == entries_.size()) {
            return;
        }
        if (hole > 0 && last.deadline < entries_[parent(hole)].deadline) {
            rise(hole, last);
        } else {
            sink(hole, last);
        }
    }

private:
    struct entry {
        std::int64_t deadline = 0;
        Owner* owner = nullptr;
    };
    static constexpr std::size_t arity = 4;

    static std::size_t parent(std::size_t index) noexcept { return (index - 1) / arity; }

    std::size_t index_of(Owner& owner) noexcept {
        const std::uint32_t place = timer_place(owner);
        HEDDLE_ASSERT(place != 0 && place <= entries_.size(), "a timer is not where it says",
                      "place", place, "timers", entries_.size());
        return place - 1;
    }

    void put(std::size_t index, const entry& what) noexcept {
        entries_[index] = what;
        timer_place(*what.owner) = static_cast<std::uint32_t>(index + 1);
    }

    void rise(std::size_t index, const entry& what) noexcept {
        while (index > 0 && what.deadline < entries_[parent(index)].deadline) {
            put(index, entries_[parent(index)]);
            index = parent(index);
        }
        put(index, what);
    }

    void sink(std::size_t index, const entry& what) noexcept {
        for (;;) {
            const std::size_t first = index * arity + 1;
            if (first >= entries_.size()) {
                break;
            }
            std::size_t least = first;
            for (std::size_t child = first + 1; child < entries_.size() && child < first + arity;
                 ++child) {
                if (entries_[child].deadline < entries_[least].deadline) {
                    least = child;
                }
            }
            if (entries_[least].deadline >= what.deadline) {
                break;
            }
            put(index, entries_[least]);
            index = least;
        }
        put(index, what);
    }

    std::vector<entry> entries_;
};

}  // namespace heddle::detail
