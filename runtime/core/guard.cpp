#include "runtime/core/guard.hpp"

#include "runtime/base/owning_fd.hpp"
#include "runtime/base/system.hpp"

#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace heddle::detail {

std::atomic<guard_kind> guards = guard_kind::unknown;

namespace {

// Linux 6.13; the number is the same on every CPU (include/uapi/asm-generic/mman-common.h).
constexpr int advice_guard_install = 102;

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

}  // namespace

// The guard grows with the stack, so that its share stays small: one page for 64 KiB, three for
// 256 KiB, at most 64 KiB. On AArch64 it is never smaller than that, because gcc's code with
// -fstack-clash-protection may go so far between two accesses there (its option
// stack-clash-protection-guard-size), for which glibc gives threads such guards, too; and neither
// on RISC-V, where gcc 12 takes the option and probes nothing.
std::size_t guard_bytes_for(std::size_t stack_bytes) noexcept {
    const std::size_t page = sys::page_bytes();
    constexpr std::size_t share = 20;
    constexpr std::size_t most = 64 * 1024;
#if defined(__aarch64__) || defined(__riscv)
    constexpr std::size_t least = most;
#else
    constexpr std::size_t least = 0;
#endif
    return std::clamp(stack_bytes / share / page * page, std::max(page, least),
                      std::max(page, most));
}

std::size_t install_guards(const guard_row& row, std::size_t count, int& error,
                           const char*& failed_call) noexcept {
    if (guards == guard_kind::unknown) {
        guards = probe_guards();
    }
    if (guards == guard_kind::light) {
        iovec places[guards_together_max];
        count = std::min(count, guards_together_max);
        for (std::size_t i = 0; i < count; ++i) {
            places[i] = {row.first + i * row.stride, row.bytes};
        }
        const std::size_t made = sys::advise_all(places, count, advice_guard_install, error);
        // EINVAL: locked memory (mlockall) cannot have light guards.
        if (made > 0 || error != -EINVAL) {
            failed_call = "madvise(MADV_GUARD_INSTALL)";
            return made;
        }
    }
    // One by one: each costs mappings, of which the process may have so many.
    error = sys::protect_none(row.first, row.bytes);
    failed_call = "mprotect";
    return error == 0 ? 1 : 0;
}

}  // namespace heddle::detail
