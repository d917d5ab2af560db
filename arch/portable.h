// What stands in for a port's header where only Boost.Context knows the CPU: the floating-point
// control words as far as ISO C names them.
#pragma once

#include <cfenv>

namespace heddle::detail {

/// The rounding direction, which is all of the control words that C can read and set portably.
struct fp_environment {
    int rounding = FE_TONEAREST;
    bool operator==(const fp_environment&) const = default;
};

/// Reads the calling thread's rounding direction.
inline fp_environment context_save_fp_environment() noexcept {
    return {std::fegetround()};
}

/// Sets the calling thread's rounding direction.
inline void context_restore_fp_environment(const fp_environment& words) noexcept {
    std::fesetround(words.rounding);
}

}  // namespace heddle::detail
