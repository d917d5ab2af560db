// MIPS64, n64 ABI: the numbers that mips64-n64.S and C++ share, and the control bits.
//
// Source: MIPSpro N32 ABI Handbook (007-2816), chapter 2, "Native 64-Bit (N64) and N32 Subprogram
// Interface for MIPS Architectures"; for FCSR: MIPS Architecture For Programmers, volume I-A,
// chapter "FPU Programming Model", section "Floating Point Control and Status Register".
#pragma once

// Offsets into heddle_context.
#define HEDDLE_CONTEXT_SP 0
#define HEDDLE_CONTEXT_PC 8
#define HEDDLE_CONTEXT_FP 16

// Offsets from the saved stack pointer, which lies below the saves: n64 has no red zone.
#define HEDDLE_SAVE_S0 136
#define HEDDLE_SAVE_S1 128
#define HEDDLE_SAVE_S2 120
#define HEDDLE_SAVE_S3 112
#define HEDDLE_SAVE_S4 104
#define HEDDLE_SAVE_S5 96
#define HEDDLE_SAVE_S6 88
#define HEDDLE_SAVE_S7 80
#define HEDDLE_SAVE_GP 72
#define HEDDLE_SAVE_F24 64
#define HEDDLE_SAVE_F25 56
#define HEDDLE_SAVE_F26 48
#define HEDDLE_SAVE_F27 40
#define HEDDLE_SAVE_F28 32
#define HEDDLE_SAVE_F29 24
#define HEDDLE_SAVE_F30 16
#define HEDDLE_SAVE_F31 8
#define HEDDLE_SAVE_FCSR 0

// The frame of a suspended context; as many bytes at the stack's top the entry stub steps over.
#define HEDDLE_FRAME_BYTES 144

// Where in the entry stub a fresh context resumes.
#define HEDDLE_ENTRY_OFFSET 4

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace heddle::detail {

/// The saved registers of a suspended context, lowest address first.
struct mips64_frame {
    std::uint32_t fcsr;  ///< only with fp_environment=preserved
    std::uint32_t unused;
    std::uint64_t f31, f30, f29, f28, f27, f26, f25, f24;
    std::uint64_t gp;
    std::uint64_t s7, s6, s5, s4, s3, s2;
    std::uint64_t s1;  ///< in a fresh context: the entry function
    std::uint64_t s0;  ///< in a fresh context: the argument of the entry function
};

static_assert(offsetof(heddle_context, stack_pointer) == HEDDLE_CONTEXT_SP);
static_assert(offsetof(heddle_context, resume_address) == HEDDLE_CONTEXT_PC);
static_assert(offsetof(heddle_context, frame_pointer) == HEDDLE_CONTEXT_FP);
static_assert(offsetof(mips64_frame, s0) == HEDDLE_SAVE_S0);
static_assert(offsetof(mips64_frame, s1) == HEDDLE_SAVE_S1);
static_assert(offsetof(mips64_frame, s2) == HEDDLE_SAVE_S2);
static_assert(offsetof(mips64_frame, s3) == HEDDLE_SAVE_S3);
static_assert(offsetof(mips64_frame, s4) == HEDDLE_SAVE_S4);
static_assert(offsetof(mips64_frame, s5) == HEDDLE_SAVE_S5);
static_assert(offsetof(mips64_frame, s6) == HEDDLE_SAVE_S6);
static_assert(offsetof(mips64_frame, s7) == HEDDLE_SAVE_S7);
static_assert(offsetof(mips64_frame, gp) == HEDDLE_SAVE_GP);
static_assert(offsetof(mips64_frame, f24) == HEDDLE_SAVE_F24);
static_assert(offsetof(mips64_frame, f25) == HEDDLE_SAVE_F25);
static_assert(offsetof(mips64_frame, f26) == HEDDLE_SAVE_F26);
static_assert(offsetof(mips64_frame, f27) == HEDDLE_SAVE_F27);
static_assert(offsetof(mips64_frame, f28) == HEDDLE_SAVE_F28);
static_assert(offsetof(mips64_frame, f29) == HEDDLE_SAVE_F29);
static_assert(offsetof(mips64_frame, f30) == HEDDLE_SAVE_F30);
static_assert(offsetof(mips64_frame, f31) == HEDDLE_SAVE_F31);
static_assert(offsetof(mips64_frame, fcsr) == HEDDLE_SAVE_FCSR);
static_assert(sizeof(mips64_frame) == HEDDLE_FRAME_BYTES && HEDDLE_FRAME_BYTES % 16 == 0);

/// The control bits of FCSR: rounding mode (0 and 1), enables (7 to 11), flush to zero (24).
struct fp_environment {
    std::uint32_t control = 0;
    bool operator==(const fp_environment&) const = default;
};

constexpr std::uint32_t fcsr_control_bits = 0x0100'0f83;

inline std::uint32_t fcsr_read() noexcept {
    std::uint32_t fcsr = 0;
    __asm__ volatile("cfc1 %0, $31" : "=r"(fcsr));
    return fcsr;
}

/// Reads the calling thread's control bits. Flags, causes and condition codes are left out.
inline fp_environment context_save_fp_environment() noexcept {
    return {.control = fcsr_read() & fcsr_control_bits};
}

/// Sets the calling thread's control bits.
inline void context_restore_fp_environment(const fp_environment& words) noexcept {
    // A cause (bits 12 to 17) written together with its enable would raise its exception at once.
    constexpr std::uint32_t causes = 0x0003'f000;
    const std::uint32_t kept = fcsr_read() & ~(fcsr_control_bits | causes);
    __asm__ volatile("ctc1 %0, $31" : : "r"(kept | words.control));
}

/// Builds the frame that the first switch to a fresh context restores. `stub` is the port's
/// entry stub; the rest is context_make's contract.
inline heddle_context context_fresh(void* stack_top, context_entry entry, void* argument,
                                    void (*stub)()) noexcept {
    auto* frame = static_cast<mips64_frame*>(stack_top) - 1;
    *frame = {};
#ifdef HEDDLE_FP_PRESERVED
    frame->fcsr = context_save_fp_environment().control;
#endif
    frame->s1 = reinterpret_cast<std::uint64_t>(entry);
    frame->s0 = reinterpret_cast<std::uint64_t>(argument);
    const auto resume_address = reinterpret_cast<std::uint64_t>(stub) + HEDDLE_ENTRY_OFFSET;
    return {.stack_pointer = frame,
            .resume_address = reinterpret_cast<void*>(resume_address),
            .frame_pointer = nullptr};
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
