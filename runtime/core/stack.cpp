#include "runtime/core/stack.hpp"

#include "runtime/base/sanitizer.hpp"
#include "runtime/base/system.hpp"

#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <functional>
#include <iterator>
#include <new>
#include <stdexcept>
#include <utility>

namespace heddle::detail {

namespace {

std::size_t rounded_up(std::size_t bytes, std::size_t unit) noexcept {
    return (bytes + unit - 1) / unit * unit;
}

// Which of the pages are in memory, a byte for each. qemu in user mode refuses a range that has a
// guard in it; then each page is asked for by itself, and the guards are absent.
void look_at_pages(std::byte* start, std::size_t count, unsigned char* present) noexcept {
    const std::size_t page = sys::page_bytes();
    if (sys::in_core(start, count * page, present) == 0) {
        return;
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (sys::in_core(start + i * page, page, present + i) != 0) {
            present[i] = 0;
        }
    }
}

}  // namespace

stack_class::stack_class(std::size_t bytes) noexcept
    : bytes_(bytes),
      guard_bytes_(guard_bytes_for(bytes)),
      stride_(bytes + guard_bytes_) {
    const std::size_t page = sys::page_bytes();
    if (stride_ / page % 2 == 0) {
        guard_bytes_ += page;
        stride_ += page;
    }
}

stack_class::stack_class(stack_class&& other) noexcept
    : bytes_(other.bytes_),
      guard_bytes_(other.guard_bytes_),
      stride_(other.stride_),
      regions_(std::exchange(other.regions_, {})),
      next_slot_(other.next_slot_),
      guarded_slots_(other.guarded_slots_),
      carved_(other.carved_),
      idle_(std::move(other.idle_)),
      idle_room_(other.idle_room_),
      idle_count_(other.idle_count_),
      trimmed_(other.trimmed_),
      due_(other.due_),
      untouched_(other.untouched_),
      error_(other.error_),
      failed_call_(other.failed_call_) {}

stack_class::~stack_class() {
    for (const region& one : regions_) {
        unmap(one);
    }
}

void stack_class::unmap(const region& one) noexcept {
    // A poisoned stack must not haunt whoever maps this address next.
    forget_poison(one.start, one.slots * stride_);
    sys::unmap(one.start, one.slots * stride_);
}

void stack_class::reserve_idle(std::size_t places) {
    if (places <= idle_room_) {
        return;
    }
    auto larger = std::unique_ptr<std::byte*[]>(new std::byte*[places]);
    std::copy_n(idle_.get(), idle_count_, larger.get());
    idle_ = std::move(larger);
    idle_room_ = places;
}

bool stack_class::add_region() noexcept {
    const std::size_t most = std::max<std::size_t>(region_bytes_max / stride_, 1);
    // Under valgrind every mapped byte costs memory of the tool's, so regions stay small.
    const std::size_t wished =
        under_valgrind() ? first_region_slots : std::max(first_region_slots, carved_);
    for (std::size_t slots = std::min(wished, most); slots > 0; slots /= 2) {
        try {
            regions_.reserve(regions_.size() + 1);
            reserve_idle(carved_ + slots);
        } catch (const std::bad_alloc&) {
            error_ = -ENOMEM;
            failed_call_ = "operator new";
            return false;
        }
        void* const start = sys::map(slots * stride_, error_);
        if (start != nullptr) {
            // A huge page would make the first touch of one stack pay for many.
            sys::advise(start, slots * stride_, MADV_NOHUGEPAGE);
            regions_.push_back({static_cast<std::byte*>(start), slots});
            next_slot_ = 0;
            guarded_slots_ = 0;
            return true;
        }
    }
    failed_call_ = "mmap";
    return false;
}

// Several at a time, which halves their price; but no more than a quarter of what there is already,
// so that a process with few stacks makes few.
bool stack_class::guard_next_slots() noexcept {
    const std::size_t wished = std::clamp<std::size_t>(carved_ / 4, 1, guards_together_max);
    const region& last = regions_.back();
    const std::size_t made = install_guards(
        {.first = last.start + guarded_slots_ * stride_, .bytes = guard_bytes_, .stride = stride_},
        std::min(wished, last.slots - guarded_slots_), error_, failed_call_);
    guarded_slots_ += made;
    return made > 0;
}

std::byte* stack_class::carve() noexcept {
    if ((regions_.empty() || next_slot_ == regions_.back().slots) && !add_region()) {
        return nullptr;
    }
    if (next_slot_ == guarded_slots_ && !guard_next_slots()) {
        return nullptr;
    }
    std::byte* const slot = regions_.back().start + next_slot_ * stride_;
    std::byte* const top = slot + stride_ - carved_ % colours * colour_bytes;
    register_stack(slot + guard_bytes_, slot + stride_);
    ++next_slot_;
    ++carved_;
    return top;
}

std::byte* stack_class::bottom(std::byte* top) const noexcept {
    // The colour is less than a page, so the top lies in its slot's last page.
    const std::size_t page = sys::page_bytes();
    const auto address = reinterpret_cast<std::uintptr_t>(top);
    return reinterpret_cast<std::byte*>(rounded_up(address, page) - bytes_);
}

// Neighbours go in one piece, which costs a sixth of a call for each, and others many at a time,
// which costs a third: 0.3 and 0.6 us per stack against 1.9 (Zen 5, Linux 6.18, 200 000 stacks with
// a page each). Guards stay what they are. Idle stacks are all alike, so that sorting them loses
// nothing, and whoever takes them again in this order makes neighbours of them once more.
void stack_class::trim_below(std::size_t end, std::size_t at_most) noexcept {
    end = std::min(end, trimmed_ + std::min(at_most, idle_count_));
    if (end <= trimmed_) {
        return;
    }
    std::byte** const first = idle_.get() + trimmed_;
    std::byte** const last = idle_.get() + end;
    std::sort(first, last, std::greater<>());
    iovec ranges[64];
    std::size_t count = 0;
    for (std::byte** one = first; one != last;) {
        std::byte* const end_of_run = bottom(*one) + bytes_;
        std::byte* start_of_run = bottom(*one);
        while (++one != last && bottom(*one) + stride_ == start_of_run) {
            start_of_run = bottom(*one);
        }
        ranges[count++] = {start_of_run, static_cast<std::size_t>(end_of_run - start_of_run)};
        if (count == std::size(ranges) || one == last) {
            // One that the system refuses, since a page of it is locked, say, keeps its memory.
            for (std::size_t done = 0; done < count; ++done) {
                int error = 0;
                done += sys::advise_all(ranges + done, count - done, MADV_DONTNEED, error);
            }
            count = 0;
        }
    }
    trimmed_ = end;
    due_ = std::max(due_, trimmed_);
    untouched_ = std::max(untouched_, trimmed_);
}

// Advice leaves the page tables, an eighth of a kilobyte for each stack, since guards are noted in
// them.
void stack_class::drop_idle_regions() noexcept {
    std::byte** const first = idle_.get();
    std::byte** last = first + idle_count_;
    std::sort(first, last, std::greater<>());
    for (std::size_t i = regions_.size(); i-- > 0;) {
        const region one = regions_[i];
        const bool is_last = i + 1 == regions_.size();
        const std::size_t carved = is_last ? next_slot_ : one.slots;
        // Above its slot's start, and at most at its end: so lies a top.
        const auto lies_above = [](std::byte* address) {
            return [=](std::byte* top) { return std::greater<>()(top, address); };
        };
        std::byte** const from =
            std::partition_point(first, last, lies_above(one.start + one.slots * stride_));
        std::byte** const to = std::partition_point(from, last, lies_above(one.start));
        if (static_cast<std::size_t>(to - from) != carved) {
            continue;
        }
        last = std::move(to, last, from);
        carved_ -= carved;
        unmap(one);
        regions_.erase(regions_.begin() + static_cast<std::ptrdiff_t>(i));
        if (is_last) {
            next_slot_ = guarded_slots_ = regions_.empty() ? 0 : regions_.back().slots;
        }
    }
    idle_count_ = static_cast<std::size_t>(last - first);
    trimmed_ = due_ = untouched_ = 0;
}

void stack_class::shrink_idle() noexcept {
    const std::size_t uncarved = regions_.empty() ? 0 : regions_.back().slots - next_slot_;
    const std::size_t places = carved_ + uncarved;
    if (2 * places >= idle_room_) {
        return;
    }
    auto fewer = std::unique_ptr<std::byte*[]>(new (std::nothrow) std::byte*[places]);
    if (fewer != nullptr) {
        std::copy_n(idle_.get(), idle_count_, fewer.get());
        idle_ = std::move(fewer);
        idle_room_ = places;
    }
}

void stack_class::trim_all() noexcept {
    drop_idle_regions();
    trim_below(idle_count_, idle_count_);
    shrink_idle();
}

std::size_t stack_class::resident_bytes() const noexcept {
    const std::size_t page = sys::page_bytes();
    std::size_t pages = 0;
    unsigned char present[256];
    for (const region& one : regions_) {
        const std::size_t total = one.slots * stride_;
        for (std::size_t at = 0; at < total; at += sizeof present * page) {
            const std::size_t bytes = std::min(sizeof present * page, total - at);
            look_at_pages(one.start + at, bytes / page, present);
            pages += static_cast<std::size_t>(
                std::count_if(present, present + bytes / page,
                              [](unsigned char flags) { return (flags & 1) != 0; }));
        }
    }
    return pages * page;
}

std::string stack_class::why_none() const {
    std::string why = "heddle: no stack of " + std::to_string(bytes_) + " bytes (and " +
                      std::to_string(guard_bytes_) + " of guard) beside the " +
                      std::to_string(in_use()) + " in use: " + failed_call_ + ": " +
                      std::strerror(-error_);
    if (error_ == -ENOMEM) {
        const std::uint64_t limit = sys::read_number("/proc/sys/vm/max_map_count");
        why += "; the process may have " + (limit == 0 ? "so many" : std::to_string(limit)) +
               " mappings (sysctl vm.max_map_count), and as much address space as ulimit -v "
               "and vm.overcommit_memory allow";
    } else if (error_ == -EAGAIN) {
        why += "; the process locks its memory (mlockall), and may lock as much as ulimit -l "
               "allows";
    }
    return why;
}

std::uint8_t stack_pool::class_for(std::size_t bytes, const char* what) {
    if (bytes < bytes_min || bytes > bytes_max) {
        throw std::invalid_argument("heddle: " + std::string(what) + " is " +
                                    std::to_string(bytes) + ", but a stack has at least " +
                                    std::to_string(bytes_min) + " and at most " +
                                    std::to_string(bytes_max) + " bytes");
    }
    // Eight sizes per power of two, so that there are few classes whatever users ask for.
    constexpr std::size_t sizes_per_doubling = 8;
    const std::size_t unit =
        std::max(sys::page_bytes(), std::bit_floor(bytes) / sizes_per_doubling);
    const std::size_t size = rounded_up(bytes, unit);
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        if (classes_[i].bytes() == size) {
            return static_cast<std::uint8_t>(i);
        }
    }
    classes_.emplace_back(size);
    return static_cast<std::uint8_t>(classes_.size() - 1);
}

std::int64_t stack_pool::trim_a_little(std::int64_t now) noexcept {
    if (now >= spell_ends_) {
        for (stack_class& one : classes_) {
            one.begin_spell(always_warm);
        }
        spell_ends_ = now + spell_ns;
    }
    std::int64_t again = INT64_MAX;
    for (stack_class& one : classes_) {
        if (one.trim_due(batch)) {
            again = now;
        } else if (one.warm() > always_warm) {
            again = std::min(again, spell_ends_);
        }
    }
    return again;
}

void stack_pool::trim_all() noexcept {
    for (stack_class& one : classes_) {
        one.trim_all();
    }
}

}  // namespace heddle::detail
