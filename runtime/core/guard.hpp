// Guards: what lies below a stack and faults when it is touched.
//
// Light ones are made by MADV_GUARD_INSTALL where the kernel has it (Linux 6.13): marks in the page
// tables, which cost no mapping. Elsewhere a guard is a mapping of its own, made by mprotect, and a
// process may have some thirty thousand of those. Both stay when the memory around them is given
// back (MADV_DONTNEED).
#pragma once

#include <atomic>
#include <cstddef>

namespace heddle::detail {

/// Whether light guards work here; probed once, or by each of several threads that begin at the
/// same time, which find the same. Tests may set it.
enum class guard_kind { unknown, light, mapped };
extern std::atomic<guard_kind> guards;

/// How large the guard of a stack should be, in whole pages.
std::size_t guard_bytes_for(std::size_t stack_bytes) noexcept;

/// Places for guards, at equal distances.
struct guard_row {
    std::byte* first;
    std::size_t bytes;   ///< of each guard
    std::size_t stride;  ///< from the start of one to that of the next
};

/// More at a time gain nothing: guard and first touch are 2.8 us per stack one by one, 2.2 with 16
/// together, 2.1 with 64 (Zen 5, Linux 6.18). And the list of them lies on the stack of the fiber
/// that gives way to a new one: with 64 that often needed a second page.
constexpr std::size_t guards_together_max = 16;

/// Makes guards, `count` of them if that can be done together, from the first place on. Returns how
/// many: 0 if not even the first could be made, for the reason that `error` and `failed_call` say.
std::size_t install_guards(const guard_row& row, std::size_t count, int& error,
                           const char*& failed_call) noexcept;

}  // namespace heddle::detail
