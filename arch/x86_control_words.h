// The floating-point control words of x86, which its ports have in common: 32 and 64 bits, System V
// and Windows. Included by their headers.
#pragma once

// Of MXCSR: masks, rounding, and how denormal numbers are treated. Below are the status flags.
#define HEDDLE_MXCSR_CONTROL 0xffc0

#ifndef __ASSEMBLER__

#include <cstdint>

namespace heddle::detail {

/// The control words that all three ABIs make callee-saved: MXCSR bits 6 to 15 and the x87 control
/// word.
struct fp_environment {
    std::uint32_t mxcsr = 0;
    std::uint16_t x87_control = 0;
    bool operator==(const fp_environment&) const = default;
};

/// Reads the calling thread's control words. Status flags are volatile and left out.
inline fp_environment context_save_fp_environment() noexcept {
    fp_environment words;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(words.mxcsr), "=m"(words.x87_control));
    words.mxcsr &= HEDDLE_MXCSR_CONTROL;
    return words;
}

/// Sets the calling thread's control words.
inline void context_restore_fp_environment(const fp_environment& words) noexcept {
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(words.mxcsr), "m"(words.x87_control));
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
