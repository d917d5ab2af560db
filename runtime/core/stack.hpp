// Stacks: carved from few large reservations of address space, guarded, reused warm.
//
// A slot is a guard (guard.hpp) and, above it, the stack. A stack that comes back is the next to be
// handed out, untouched. What nobody has taken for a second or two is given back to the system, a
// batch at a time, when the worker has nothing else to do: so a load that comes in waves finds its
// stacks warm (trimming and touching again costs more than all else that a fiber does), and an idle
// process becomes small.
//
// Tops are coloured: they lie at 32 different offsets within their page, so that the hot ends of
// many stacks do not fall into the same few cache sets (9.5 ns per switch against 3.1 at 1000
// fibers, by measurement), and so are the strides: an odd number of pages.
#pragma once

#include "runtime/core/guard.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace heddle::detail {

/// Stacks of one size. One thread at a time.
class stack_class {
public:
    /// `bytes`, a multiple of the page size, is what a stack holds besides its guard.
    explicit stack_class(std::size_t bytes) noexcept;
    stack_class(stack_class&& other) noexcept;
    stack_class& operator=(stack_class&&) = delete;
    ~stack_class();

    std::size_t bytes() const noexcept { return bytes_; }
    std::size_t guard_bytes() const noexcept { return guard_bytes_; }

    /// The top of a stack, aligned to 64; null if the system gives none: see why_none.
    std::byte* take() noexcept {
        if (idle_count_ == 0) [[unlikely]] {
            return carve();
        }
        std::byte* const top = idle_[--idle_count_];
        if (idle_count_ >= fetched_ahead) {
            // Where many start and stay, the stacks are cold: 100 000 sleeps became a tenth cheaper
            // (bench/run sleep). Behind the header come the lines of the first frames.
            const std::byte* const soon = idle_[idle_count_ - fetched_ahead];
            __builtin_prefetch(soon - 128, 1);
            __builtin_prefetch(soon - 192, 1);
            __builtin_prefetch(soon - 256, 1);
        }
        if (idle_count_ < untouched_) [[unlikely]] {
            untouched_ = idle_count_;
            due_ = std::min(due_, untouched_);
            trimmed_ = std::min(trimmed_, untouched_);
        }
        return top;
    }

    /// Whether take() has one at hand that was used lately; then this hands it out.
    bool has_warm() const noexcept { return idle_count_ > untouched_; }
    std::byte* take_warm() noexcept { return idle_[--idle_count_]; }

    /// Takes a stack back that nothing runs on after the next switch. Never allocates.
    void give(std::byte* top) noexcept { idle_[idle_count_++] = top; }

    /// The lowest usable byte of the stack with this top.
    std::byte* bottom(std::byte* top) const noexcept;

    /// Gives memory of idle stacks back to the system, longest idle first: all but the `keep` that
    /// were used last, and at most `at_most` stacks.
    void trim(std::size_t keep, std::size_t at_most) noexcept {
        trim_below(idle_count_ > keep ? idle_count_ - keep : 0, at_most);
    }

    /// Gives back all that idle stacks take, and reservations in which no stack is in use with
    /// their page tables and guards.
    void trim_all() noexcept;

    /// Begins a new spell. Stacks that nobody has taken during the last one are due to be given
    /// back, all but the `keep` that were used last.
    void begin_spell(std::size_t keep) noexcept {
        due_ =
            std::max(trimmed_, std::min(untouched_, idle_count_ > keep ? idle_count_ - keep : 0));
        untouched_ = idle_count_;
    }
    /// Gives back at most `at_most` of the stacks that are due; whether more are.
    bool trim_due(std::size_t at_most) noexcept {
        trim_below(due_, at_most);
        return trimmed_ < due_;
    }

    std::size_t idle() const noexcept { return idle_count_; }
    std::size_t in_use() const noexcept { return carved_ - idle_count_; }
    /// Idle stacks whose memory has not been given back.
    std::size_t warm() const noexcept { return idle_count_ - trimmed_; }
    /// Bytes of all stacks that are in memory now, by mincore(2).
    std::size_t resident_bytes() const noexcept;

    /// Why the last take() gave none, with sizes, limits and what to set.
    std::string why_none() const;

private:
    static constexpr std::size_t fetched_ahead = 8;
    static constexpr std::size_t colours = 32;
    static constexpr std::size_t colour_bytes = 64;
    static constexpr std::size_t first_region_slots = 16;
    static constexpr std::size_t region_bytes_max = std::size_t{1}
                                                    << (sizeof(void*) == 8 ? 36 : 26);

    struct region {
        std::byte* start;
        std::size_t slots;
    };

    void unmap(const region& one) noexcept;
    std::byte* carve() noexcept;
    void trim_below(std::size_t end, std::size_t at_most) noexcept;
    void reserve_idle(std::size_t places);
    bool add_region() noexcept;
    bool guard_next_slots() noexcept;
    void drop_idle_regions() noexcept;
    void shrink_idle() noexcept;

    std::size_t bytes_;
    std::size_t guard_bytes_;
    std::size_t stride_;
    std::vector<region> regions_;    // the last one may have slots that were never carved
    std::size_t next_slot_ = 0;      // in the last region
    std::size_t guarded_slots_ = 0;  // in the last region, those that were carved included
    std::size_t carved_ = 0;
    // Tops; last in, first out; a place for each that was carved. Places that no stack ever came
    // back to stay unwritten, and so cost no memory.
    std::unique_ptr<std::byte*[]> idle_;
    std::size_t idle_room_ = 0;
    std::size_t idle_count_ = 0;
    // Of idle_, from the front, so many have been given back, are given back or due to be, and have
    // not been taken since the spell began: trimmed_ <= due_ <= untouched_ <= idle_count_.
    std::size_t trimmed_ = 0;
    std::size_t due_ = 0;
    std::size_t untouched_ = 0;
    int error_ = 0;  // why carve() failed
    const char* failed_call_ = "";
};

/// A worker's stacks, by size. One thread at a time.
class stack_pool {
public:
    static constexpr std::size_t bytes_min = 16 * 1024;
    static constexpr std::size_t bytes_max =
        sizeof(void*) == 8 ? std::size_t{16} << 30 : std::size_t{64} << 20;

    /// The class for stacks of at least `bytes`. `what` names the option that asks.
    /// Errors: std::invalid_argument below bytes_min and above bytes_max, naming both;
    /// std::bad_alloc.
    std::uint8_t class_for(std::size_t bytes, const char* what);

    stack_class& operator[](std::uint8_t index) noexcept { return classes_[index]; }

    /// Called when the worker has nothing to do: gives back a batch of the stacks that have idled
    /// for at least a spell. Returns when it wants to be called again at the latest, `now`
    /// included, if nobody takes a stack until then; INT64_MAX if not at all.
    std::int64_t trim_a_little(std::int64_t now) noexcept;
    void trim_all() noexcept;

    /// How long a stack has to idle before it is due, at least; at most, twice as long. Tests may
    /// set it.
    static inline std::int64_t spell_ns = 1'000'000'000;
    /// Idle stacks of a size that stay warm, however long nobody takes them: less memory than it
    /// would be worth to wake up for.
    static constexpr std::size_t always_warm = 64;
    /// Stacks that one call gives back: 30 to 60 us, for which whoever becomes runnable meanwhile
    /// has to wait.
    static constexpr std::size_t batch = 64;

    std::vector<stack_class>& all() noexcept { return classes_; }

private:
    std::vector<stack_class> classes_;
    std::int64_t spell_ends_ = 0;
};

}  // namespace heddle::detail
