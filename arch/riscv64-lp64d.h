// 64-bit RISC-V, LP64D: the numbers that riscv64-lp64d.S and C++ share, and the rounding mode.
//
// Source: RISC-V ELF psABI, version 1.0, sections 1.1 (integer registers) and 1.4 (floating-point
// registers); RISC-V ISA, volume I, chapters "F" and "D" (fcsr and its field frm).
#pragma once

// Offsets into heddle_context.
#define HEDDLE_CONTEXT_SP 0
#define HEDDLE_CONTEXT_PC 8
#define HEDDLE_CONTEXT_FP 16

// Offsets from the saved stack pointer, which points at the frame's lowest byte: nothing below it
// is safe from signal handlers.
#define HEDDLE_SAVE_S1 184
#define HEDDLE_SAVE_S2 176
#define HEDDLE_SAVE_S3 168
#define HEDDLE_SAVE_S4 160
#define HEDDLE_SAVE_S5 152
#define HEDDLE_SAVE_S6 144
#define HEDDLE_SAVE_S7 136
#define HEDDLE_SAVE_S8 128
#define HEDDLE_SAVE_S9 120
#define HEDDLE_SAVE_S10 112
#define HEDDLE_SAVE_S11 104
#define HEDDLE_SAVE_FS0 96
#define HEDDLE_SAVE_FS1 88
#define HEDDLE_SAVE_FS2 80
#define HEDDLE_SAVE_FS3 72
#define HEDDLE_SAVE_FS4 64
#define HEDDLE_SAVE_FS5 56
#define HEDDLE_SAVE_FS6 48
#define HEDDLE_SAVE_FS7 40
#define HEDDLE_SAVE_FS8 32
#define HEDDLE_SAVE_FS9 24
#define HEDDLE_SAVE_FS10 16
#define HEDDLE_SAVE_FS11 8
#define HEDDLE_SAVE_FRM 0

// The bytes of the frame, which is also what the entry stub steps over: a multiple of the stack's
// alignment of 16.
#define HEDDLE_FRAME_BYTES 192

// Where in the entry stub a fresh context resumes.
#define HEDDLE_ENTRY_OFFSET 4

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace heddle::detail {

/// The saved registers of a suspended context, lowest address first.
struct riscv64_frame {
    std::uint64_t rounding_mode;  ///< frm; only with fp_environment=preserved
    std::uint64_t fs11, fs10, fs9, fs8, fs7, fs6, fs5, fs4, fs3, fs2, fs1, fs0;
    std::uint64_t s11, s10, s9, s8, s7, s6, s5, s4, s3;
    std::uint64_t s2;  ///< in a fresh context: the argument of the entry function
    std::uint64_t s1;  ///< in a fresh context: the entry function
};

static_assert(offsetof(heddle_context, stack_pointer) == HEDDLE_CONTEXT_SP);
static_assert(offsetof(heddle_context, resume_address) == HEDDLE_CONTEXT_PC);
static_assert(offsetof(heddle_context, frame_pointer) == HEDDLE_CONTEXT_FP);
static_assert(offsetof(riscv64_frame, s1) == HEDDLE_SAVE_S1);
static_assert(offsetof(riscv64_frame, s2) == HEDDLE_SAVE_S2);
static_assert(offsetof(riscv64_frame, s3) == HEDDLE_SAVE_S3);
static_assert(offsetof(riscv64_frame, s4) == HEDDLE_SAVE_S4);
static_assert(offsetof(riscv64_frame, s5) == HEDDLE_SAVE_S5);
static_assert(offsetof(riscv64_frame, s6) == HEDDLE_SAVE_S6);
static_assert(offsetof(riscv64_frame, s7) == HEDDLE_SAVE_S7);
static_assert(offsetof(riscv64_frame, s8) == HEDDLE_SAVE_S8);
static_assert(offsetof(riscv64_frame, s9) == HEDDLE_SAVE_S9);
static_assert(offsetof(riscv64_frame, s10) == HEDDLE_SAVE_S10);
static_assert(offsetof(riscv64_frame, s11) == HEDDLE_SAVE_S11);
static_assert(offsetof(riscv64_frame, fs0) == HEDDLE_SAVE_FS0);
static_assert(offsetof(riscv64_frame, fs1) == HEDDLE_SAVE_FS1);
static_assert(offsetof(riscv64_frame, fs2) == HEDDLE_SAVE_FS2);
static_assert(offsetof(riscv64_frame, fs3) == HEDDLE_SAVE_FS3);
static_assert(offsetof(riscv64_frame, fs4) == HEDDLE_SAVE_FS4);
static_assert(offsetof(riscv64_frame, fs5) == HEDDLE_SAVE_FS5);
static_assert(offsetof(riscv64_frame, fs6) == HEDDLE_SAVE_FS6);
static_assert(offsetof(riscv64_frame, fs7) == HEDDLE_SAVE_FS7);
static_assert(offsetof(riscv64_frame, fs8) == HEDDLE_SAVE_FS8);
static_assert(offsetof(riscv64_frame, fs9) == HEDDLE_SAVE_FS9);
static_assert(offsetof(riscv64_frame, fs10) == HEDDLE_SAVE_FS10);
static_assert(offsetof(riscv64_frame, fs11) == HEDDLE_SAVE_FS11);
static_assert(offsetof(riscv64_frame, rounding_mode) == HEDDLE_SAVE_FRM);
static_assert(sizeof(riscv64_frame) == HEDDLE_FRAME_BYTES);
static_assert(HEDDLE_FRAME_BYTES % 16 == 0);

/// The only control of RISC-V's floating point: there are no traps to mask.
struct fp_environment {
    std::uint32_t rounding_mode = 0;
    bool operator==(const fp_environment&) const = default;
};

/// Reads the calling thread's rounding mode, without the flags beside it in fcsr.
inline fp_environment context_save_fp_environment() noexcept {
    std::uint64_t mode = 0;
    __asm__ volatile("frrm %0" : "=r"(mode));
    return {static_cast<std::uint32_t>(mode)};
}

/// Sets the calling thread's rounding mode.
inline void context_restore_fp_environment(const fp_environment& words) noexcept {
    __asm__ volatile("fsrm %0" : : "r"(std::uint64_t{words.rounding_mode}));
}

/// Builds the frame that the first switch to a fresh context restores. `stub` is the port's
/// entry stub; the rest is context_make's contract.
inline heddle_context context_fresh(void* stack_top, context_entry entry, void* argument,
                                    void (*stub)()) noexcept {
    auto* frame = static_cast<riscv64_frame*>(stack_top) - 1;
    *frame = {};
#ifdef HEDDLE_FP_PRESERVED
    frame->rounding_mode = context_save_fp_environment().rounding_mode;
#endif
    frame->s1 = reinterpret_cast<std::uint64_t>(entry);
    frame->s2 = reinterpret_cast<std::uint64_t>(argument);
    const auto resume_address = reinterpret_cast<std::uint64_t>(stub) + HEDDLE_ENTRY_OFFSET;
    return {.stack_pointer = frame,
            .resume_address = reinterpret_cast<void*>(resume_address),
            .frame_pointer = nullptr};
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
