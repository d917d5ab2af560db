// Checks that stay on in release builds, for errors of the program: using heddle wrongly, or a
// defect of heddle itself. What the world does wrong is an error code or an exception instead.
#pragma once

#include <atomic>
#include <cstdint>

namespace heddle::detail {

class text_line;

/// Writes "heddle: ", `fact`, the values whose names are given, and the place, then a line about
/// the running fiber; and aborts.
[[noreturn, gnu::cold]] void assertion_failed(const char* file, int line, const char* fact,
                                              const char* name_a = nullptr, std::uint64_t a = 0,
                                              const char* name_b = nullptr, std::uint64_t b = 0);

/// Writes the line, and one about the running fiber; and aborts. For facts that are no numbers.
[[noreturn, gnu::cold]] void end_with(text_line& fact);

/// Set by core/, which knows fibers, always to the same: writes one line about the running fiber
/// to `fd`.
extern std::atomic<void (*)(int fd)> describe_running_fiber;

}  // namespace heddle::detail

/// Aborts unless `condition` holds. The fact that was found follows, and up to two pairs of a name
/// and a number.
#define HEDDLE_ASSERT(condition, ...)                                                              \
    (__builtin_expect(static_cast<bool>(condition), 1)                                             \
         ? static_cast<void>(0)                                                                    \
         : ::heddle::detail::assertion_failed(__FILE__, __LINE__, __VA_ARGS__))
