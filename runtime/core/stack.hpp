// Stacks: carved from few large reservations of address space, guarded, reused warm.
//
// A slot is a guard and, above it, the stack. Guards are made when a slot is first used, by
// MADV_GUARD_INSTALL where the kernel has it (Linux 6.13), which costs no mapping; else by
// mprotect, which costs two. A stack that comes back is the next to be handed out, untouched; only
// when many idle does the pool give the memory of the longest idle ones back, in batches.
//
// Tops are coloured: they lie at 32 different offsets within their page, so that the hot ends of
// many stacks do not fall into the same few cache sets (9.5 ns per switch against 3.1 at 1000
// fibers, by measurement), and so are the strides: an odd number of pages.
#pragma once

#include <atomic>
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
        if (idle_count_ < trimmed_) [[unlikely]] {
            trimmed_ = idle_count_;
        }
        return top;
    }

    /// Takes a stack back that nothing runs on after the next switch. Never allocates.
    void give(std::byte* top) noexcept { idle_[idle_count_++] = top; }

    /// The lowest usable byte of the stack with this top.
    std::byte* bottom(std::byte* top) const noexcept;

    /// Gives memory of idle stacks back to the system, longest idle first: all but the `keep` that
    /// were used last, and at most `at_most` stacks.
    void trim(std::size_t keep, std::size_t at_most) noexcept;

    std::size_t idle() const noexcept { return idle_count_; }
    std::size_t in_use() const noexcept { return carved_ - idle_count_; }
    /// Idle stacks whose memory has not been given back.
    std::size_t warm() const noexcept { return idle_count_ - trimmed_; }
    /// Bytes of all stacks that are in memory now, by mincore(2).
    std::size_t resident_bytes() const noexcept;

    /// Why the last take() gave none, with sizes, limits and what to set.
    std::string why_none() const;

private:
    static constexpr std::size_t colours = 32;
    static constexpr std::size_t colour_bytes = 64;
    static constexpr std::size_t first_region_slots = 16;
    static constexpr std::size_t region_bytes_max = std::size_t{1}
                                                    << (sizeof(void*) == 8 ? 36 : 26);

    struct region {
        std::byte* start;
        std::size_t slots;
    };

    std::byte* carve() noexcept;
    void reserve_idle(std::size_t places);
    bool add_region() noexcept;
    bool guard(std::byte* slot) noexcept;

    std::size_t bytes_;
    std::size_t guard_bytes_;
    std::size_t stride_;
    std::vector<region> regions_;  // the last one may have slots that were never carved
    std::size_t next_slot_ = 0;    // in the last region
    std::size_t carved_ = 0;
    // Tops; last in, first out; a place for each that was carved. Places that no stack ever came
    // back to stay unwritten, and so cost no memory.
    std::unique_ptr<std::byte*[]> idle_;
    std::size_t idle_room_ = 0;
    std::size_t idle_count_ = 0;
    std::size_t trimmed_ = 0;  // the first so many of idle_ have been given back
    int error_ = 0;            // why carve() failed
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

    /// Called when the worker has nothing to do: gives back a batch if far more stacks idle than
    /// are in use.
    void trim_a_little() noexcept;
    void trim_all() noexcept;

    std::vector<stack_class>& all() noexcept { return classes_; }

private:
    std::vector<stack_class> classes_;
};

/// Whether light guards work here; probed once, or by each of several threads that begin at the
/// same time, which find the same. Tests may set it.
enum class guard_kind { unknown, light, mapped };
extern std::atomic<guard_kind> guards;

}  // namespace heddle::detail
