// AArch64, AAPCS64: the numbers that aarch64-aapcs.S and C++ share, and the control word.
//
// Source: Procedure Call Standard for the Arm 64-bit Architecture, sections 6.1.1 and 6.1.2 (the
// registers), 6.4.5 (the stack); Arm Architecture Reference Manual (DDI 0487) for FPCR.
#pragma once

// Offsets into heddle_context. The first two are read and written as a pair.
#define HEDDLE_CONTEXT_SP 0
#define HEDDLE_CONTEXT_PC 8
#define HEDDLE_CONTEXT_FP 16

// Offsets from the saved stack pointer, of pairs of registers: the second of a pair lies 8 above.
#define HEDDLE_SAVE_X19_X20 0
#define HEDDLE_SAVE_X21_X22 16
#define HEDDLE_SAVE_X23_X24 32
#define HEDDLE_SAVE_X25_X26 48
#define HEDDLE_SAVE_X27_X28 64
#define HEDDLE_SAVE_D8_D9 80
#define HEDDLE_SAVE_D10_D11 96
#define HEDDLE_SAVE_D12_D13 112
#define HEDDLE_SAVE_D14_D15 128
#define HEDDLE_SAVE_FPCR 144

// The size of the frame, a multiple of 16, and as many bytes at the stack's top that the entry
// stub steps over.
#ifdef HEDDLE_FP_PRESERVED
#define HEDDLE_FRAME_BYTES 160
#else
#define HEDDLE_FRAME_BYTES 144
#endif

// Where in the entry stub a fresh context resumes.
#define HEDDLE_ENTRY_OFFSET 4

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace heddle::detail {

/// The saved registers of a suspended context, lowest address first.
struct aarch64_frame {
    std::uint64_t x19;  ///< in a fresh context: the entry function
    std::uint64_t x20;  ///< in a fresh context: its argument
    std::uint64_t x21, x22, x23, x24, x25, x26, x27, x28;
    std::uint64_t d8, d9, d10, d11, d12, d13, d14, d15;
#ifdef HEDDLE_FP_PRESERVED
    std::uint64_t fpcr;
    std::uint64_t unused;
#endif
};

static_assert(offsetof(heddle_context, stack_pointer) == HEDDLE_CONTEXT_SP);
static_assert(offsetof(heddle_context, resume_address) == HEDDLE_CONTEXT_PC);
static_assert(offsetof(heddle_context, frame_pointer) == HEDDLE_CONTEXT_FP);
static_assert(offsetof(aarch64_frame, x19) == HEDDLE_SAVE_X19_X20);
static_assert(offsetof(aarch64_frame, x21) == HEDDLE_SAVE_X21_X22);
static_assert(offsetof(aarch64_frame, x23) == HEDDLE_SAVE_X23_X24);
static_assert(offsetof(aarch64_frame, x25) == HEDDLE_SAVE_X25_X26);
static_assert(offsetof(aarch64_frame, x27) == HEDDLE_SAVE_X27_X28);
static_assert(offsetof(aarch64_frame, d8) == HEDDLE_SAVE_D8_D9);
static_assert(offsetof(aarch64_frame, d10) == HEDDLE_SAVE_D10_D11);
static_assert(offsetof(aarch64_frame, d12) == HEDDLE_SAVE_D12_D13);
static_assert(offsetof(aarch64_frame, d14) == HEDDLE_SAVE_D14_D15);
#ifdef HEDDLE_FP_PRESERVED
static_assert(offsetof(aarch64_frame, fpcr) == HEDDLE_SAVE_FPCR);
#endif
static_assert(sizeof(aarch64_frame) == HEDDLE_FRAME_BYTES && HEDDLE_FRAME_BYTES % 16 == 0);

/// The floating-point control register, whose upper half is reserved as zero. What was raised is
/// kept in another register, FPSR.
struct fp_environment {
    std::uint32_t fpcr = 0;
    bool operator==(const fp_environment&) const = default;
};

/// Reads the calling thread's control word.
inline fp_environment context_save_fp_environment() noexcept {
    std::uint64_t fpcr = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return {static_cast<std::uint32_t>(fpcr)};
}

/// Sets the calling thread's control word.
inline void context_restore_fp_environment(const fp_environment& words) noexcept {
    const std::uint64_t fpcr = words.fpcr;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr) : "memory");
}

/// A return address as a function signs it that is entered with this stack pointer: paciasp is
/// pacia1716 with the stack pointer for x16. Both are hints, which older processors pass over.
inline void* aarch64_signed(std::uint64_t return_address, void* stack_pointer) noexcept {
    register std::uint64_t address __asm__("x17") = return_address;
    register void* modifier __asm__("x16") = stack_pointer;
    __asm__("hint #8" : "+r"(address) : "r"(modifier));
    return reinterpret_cast<void*>(address);
}

/// Builds the frame that the first switch to a fresh context restores. `stub` is the port's
/// entry stub; the rest is context_make's contract.
inline heddle_context context_fresh(void* stack_top, context_entry entry, void* argument,
                                    void (*stub)()) noexcept {
    auto* frame = static_cast<aarch64_frame*>(stack_top) - 1;
    *frame = {};
    frame->x19 = reinterpret_cast<std::uint64_t>(entry);
    frame->x20 = reinterpret_cast<std::uint64_t>(argument);
#ifdef HEDDLE_FP_PRESERVED
    frame->fpcr = context_save_fp_environment().fpcr;
#endif
    const auto resume_address = reinterpret_cast<std::uint64_t>(stub) + HEDDLE_ENTRY_OFFSET;
    return {.stack_pointer = frame,
            .resume_address = aarch64_signed(resume_address, stack_top),
            .frame_pointer = nullptr};
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
