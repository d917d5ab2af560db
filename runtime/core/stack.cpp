#include "runtime/core/stack.hpp"

#include "runtime/base/owning_fd.hpp"
#include "runtime/base/sanitizer.hpp"
#include "runtime/base/system.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

namespace heddle::detail {

std::atomic<guard_kind> guards = guard_kind::unknown;

namespace {

// Linux 6.13; the number is the same on every CPU (include/uapi/asm-generic/mman-common.h).
constexpr int advice_guard_install = 102;

std::size_t rounded_up(std::size_t bytes, std::size_t unit) noexcept {
    return (bytes + unit - 1) / unit * unit;
}

// Whether a page is guarded. Then it cannot be read, not even by the kernel on our behalf.
guard_kind look_at_guard(const void* page) noexcept {
    int ends[2];
    if (sys::pipe(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return guard_kind::unknown;
    }
    const owning_fd reader(ends[0]);
    const owning_fd writer(ends[1]);
    const std::int64_t result = sys::write(writer.get(), page, 1);
    return result == -EFAULT ? guard_kind::light
           : result == 1     ? guard_kind::mapped
                             : guard_kind::unknown;
}

// Emulators answer 0 to advice that they do not know, so the answer alone proves nothing. What has
// no answer, for want of a descriptor or of memory, is asked again for the next stack: mapped
// guards for good would halve the fibers that the process can have.
guard_kind probe_guards() noexcept {
    int error = 0;
    const std::size_t page = sys::page_bytes();
    void* const start = sys::map(page, error);
    if (start == nullptr) {
        return guard_kind::unknown;
    }
    const int installed = sys::advise(start, page, advice_guard_install);
    const bool for_want = installed == -ENOMEM || installed == -EAGAIN;
    const guard_kind found = installed == 0 ? look_at_guard(start)
                             : for_want     ? guard_kind::unknown
                                            : guard_kind::mapped;
    sys::unmap(start, page);
    return found;
}

// The guard grows with the stack, so that its share stays small: one page for 64 KiB, three for
// 256 KiB, at most 64 KiB. On AArch64 it is never smaller than that, because gcc's code with
// -fstack-clash-protection may go so far between two accesses there (its option
// stack-clash-protection-guard-size), for which glibc gives threads such guards, too; and neither
// on RISC-V, where gcc 12 takes the option and probes nothing.
std::size_t guard_size(std::size_t bytes) noexcept {
    const std::size_t page = sys::page_bytes();
    constexpr std::size_t share = 20;
    constexpr std::size_t most = 64 * 1024;
#if defined(__aarch64__) || defined(__riscv)
    constexpr std::size_t least = most;
#else
    constexpr std::size_t least = 0;
#endif
    return std::clamp(bytes / share / page * page, std::max(page, least), std::max(page, most));
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
      guard_bytes_(guard_size(bytes)),
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
      carved_(other.carved_),
      idle_(std::move(other.idle_)),
      idle_room_(other.idle_room_),
      idle_count_(other.idle_count_),
      trimmed_(other.trimmed_),
      error_(other.error_),
      failed_call_(other.failed_call_) {}

stack_class::~stack_class() {
    for (const region& one : regions_) {
        // A poisoned stack must not haunt whoever maps this address next.
        forget_poison(one.start, one.slots * stride_);
        sys::unmap(one.start, one.slots * stride_);
    }
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
            return true;
        }
    }
    failed_call_ = "mmap";
    return false;
}

bool stack_class::guard(std::byte* slot) noexcept {
    if (guards == guard_kind::unknown) {
        guards = probe_guards();
    }
    if (guards == guard_kind::light) {
        const int result = sys::advise(slot, guard_bytes_, advice_guard_install);
        if (result == 0) {
            return true;
        }
        // EINVAL: locked memory (mlockall) cannot have light guards.
        if (result != -EINVAL) {
            error_ = result;
            failed_call_ = "madvise(MADV_GUARD_INSTALL)";
            return false;
        }
    }
    error_ = sys::protect_none(slot, guard_bytes_);
    failed_call_ = "mprotect";
    return error_ == 0;
}

std::byte* stack_class::carve() noexcept {
    if ((regions_.empty() || next_slot_ == regions_.back().slots) && !add_region()) {
        return nullptr;
    }
    std::byte* const slot = regions_.back().start + next_slot_ * stride_;
    if (!guard(slot)) {
        return nullptr;
    }
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

void stack_class::trim(std::size_t keep, std::size_t at_most) noexcept {
    const std::size_t end = idle_count_ > keep ? idle_count_ - keep : 0;
    for (; trimmed_ < end && at_most > 0; ++trimmed_, --at_most) {
        sys::advise(bottom(idle_[trimmed_]), bytes_, MADV_DONTNEED);
    }
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

void stack_pool::trim_a_little() noexcept {
    // Some always stay warm, and twice as many as were needed just now.
    constexpr std::size_t always_warm = 1024;
    constexpr std::size_t batch = 64;
    for (stack_class& one : classes_) {
        const std::size_t keep = always_warm + 2 * one.in_use();
        if (one.warm() > 2 * keep) {
            one.trim(keep, batch);
        }
    }
}

void stack_pool::trim_all() noexcept {
    for (stack_class& one : classes_) {
        one.trim(0, one.idle());
    }
}

}  // namespace heddle::detail
