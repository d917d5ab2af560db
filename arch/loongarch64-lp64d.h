// 64-bit LoongArch, LP64D: the numbers that loongarch64-lp64d.S and C++ share, and the control
// bits of floating point.
//
// Source: Procedure Call Standard for the LoongArch Architecture, version 20231219, "The registers"
// and "The stack"; LoongArch Reference Manual, volume 1, the fields of fcsr0.
#pragma once

// Offsets into heddle_context.
#define HEDDLE_CONTEXT_SP 0
#define HEDDLE_CONTEXT_PC 8
#define HEDDLE_CONTEXT_FP 16

// Offsets from the saved stack pointer, which points at the frame's lowest byte.
#define HEDDLE_SAVE_S0 136
#define HEDDLE_SAVE_S1 128
#define HEDDLE_SAVE_S2 120
#define HEDDLE_SAVE_S3 112
#define HEDDLE_SAVE_S4 104
#define HEDDLE_SAVE_S5 96
#define HEDDLE_SAVE_S6 88
#define HEDDLE_SAVE_S7 80
#define HEDDLE_SAVE_S8 72
#define HEDDLE_SAVE_FS0 64
#define HEDDLE_SAVE_FS1 56
#define HEDDLE_SAVE_FS2 48
#define HEDDLE_SAVE_FS3 40
#define HEDDLE_SAVE_FS4 32
#define HEDDLE_SAVE_FS5 24
#define HEDDLE_SAVE_FS6 16
#define HEDDLE_SAVE_FS7 8
#define HEDDLE_SAVE_FCSR 0

// The bytes of the frame, which is also what the entry stub steps over: a multiple of the stack's
// alignment of 16.
#define HEDDLE_FRAME_BYTES 144

// Where in the entry stub a fresh context resumes.
#define HEDDLE_ENTRY_OFFSET 4

// DWARF's numbers of the registers: in CFI directives, clang's assembler takes no names for them.
#define HEDDLE_DWARF_RA 1
#define HEDDLE_DWARF_T0 12
#define HEDDLE_DWARF_FP 22
#define HEDDLE_DWARF_S0 23
#define HEDDLE_DWARF_S1 24
#define HEDDLE_DWARF_S2 25
#define HEDDLE_DWARF_S3 26
#define HEDDLE_DWARF_S4 27
#define HEDDLE_DWARF_S5 28
#define HEDDLE_DWARF_S6 29
#define HEDDLE_DWARF_S7 30
#define HEDDLE_DWARF_S8 31
#define HEDDLE_DWARF_FS0 56
#define HEDDLE_DWARF_FS1 57
#define HEDDLE_DWARF_FS2 58
#define HEDDLE_DWARF_FS3 59
#define HEDDLE_DWARF_FS4 60
#define HEDDLE_DWARF_FS5 61
#define HEDDLE_DWARF_FS6 62
#define HEDDLE_DWARF_FS7 63

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace heddle::detail {

/// The saved registers of a suspended context, lowest address first.
struct loongarch64_frame {
    std::uint64_t fcsr;  ///< only with fp_environment=preserved
    std::uint64_t fs7, fs6, fs5, fs4, fs3, fs2, fs1, fs0;
    std::uint64_t s8, s7, s6, s5, s4, s3, s2;
    std::uint64_t s1;  ///< in a fresh context: the argument of the entry function
    std::uint64_t s0;  ///< in a fresh context: the entry function
};

static_assert(offsetof(heddle_context, stack_pointer) == HEDDLE_CONTEXT_SP);
static_assert(offsetof(heddle_context, resume_address) == HEDDLE_CONTEXT_PC);
static_assert(offsetof(heddle_context, frame_pointer) == HEDDLE_CONTEXT_FP);
static_assert(offsetof(loongarch64_frame, s0) == HEDDLE_SAVE_S0);
static_assert(offsetof(loongarch64_frame, s1) == HEDDLE_SAVE_S1);
static_assert(offsetof(loongarch64_frame, s2) == HEDDLE_SAVE_S2);
static_assert(offsetof(loongarch64_frame, s3) == HEDDLE_SAVE_S3);
static_assert(offsetof(loongarch64_frame, s4) == HEDDLE_SAVE_S4);
static_assert(offsetof(loongarch64_frame, s5) == HEDDLE_SAVE_S5);
static_assert(offsetof(loongarch64_frame, s6) == HEDDLE_SAVE_S6);
static_assert(offsetof(loongarch64_frame, s7) == HEDDLE_SAVE_S7);
static_assert(offsetof(loongarch64_frame, s8) == HEDDLE_SAVE_S8);
static_assert(offsetof(loongarch64_frame, fs0) == HEDDLE_SAVE_FS0);
static_assert(offsetof(loongarch64_frame, fs1) == HEDDLE_SAVE_FS1);
static_assert(offsetof(loongarch64_frame, fs2) == HEDDLE_SAVE_FS2);
static_assert(offsetof(loongarch64_frame, fs3) == HEDDLE_SAVE_FS3);
static_assert(offsetof(loongarch64_frame, fs4) == HEDDLE_SAVE_FS4);
static_assert(offsetof(loongarch64_frame, fs5) == HEDDLE_SAVE_FS5);
static_assert(offsetof(loongarch64_frame, fs6) == HEDDLE_SAVE_FS6);
static_assert(offsetof(loongarch64_frame, fs7) == HEDDLE_SAVE_FS7);
static_assert(offsetof(loongarch64_frame, fcsr) == HEDDLE_SAVE_FCSR);
static_assert(sizeof(loongarch64_frame) == HEDDLE_FRAME_BYTES);
static_assert(HEDDLE_FRAME_BYTES % 16 == 0);

/// What fcsr0 has of control: the bits 0 to 4, which enable traps, and 8 and 9, the rounding mode.
struct fp_environment {
    std::uint32_t control = 0;
    bool operator==(const fp_environment&) const = default;
};

/// Reads the calling thread's control bits, without the status bits beside them.
inline fp_environment context_save_fp_environment() noexcept {
    constexpr std::uint32_t control_bits = 0x31f;
    std::uint64_t word = 0;
    __asm__ volatile("movfcsr2gr %0, $fcsr0" : "=r"(word));
    return {static_cast<std::uint32_t>(word) & control_bits};
}

/// Sets the calling thread's control bits: fcsr1 and fcsr3 are the two fields of them in fcsr0.
inline void context_restore_fp_environment(const fp_environment& words) noexcept {
    __asm__ volatile("movgr2fcsr $fcsr1, %0\n\tmovgr2fcsr $fcsr3, %0"
                     :
                     : "r"(std::uint64_t{words.control}));
}

/// Builds the frame that the first switch to a fresh context restores. `stub` is the port's
/// entry stub; the rest is context_make's contract.
inline heddle_context context_fresh(void* stack_top, context_entry entry, void* argument,
                                    void (*stub)()) noexcept {
    auto* frame = static_cast<loongarch64_frame*>(stack_top) - 1;
    *frame = {};
#ifdef HEDDLE_FP_PRESERVED
    frame->fcsr = context_save_fp_environment().control;
#endif
    frame->s0 = reinterpret_cast<std::uint64_t>(entry);
    frame->s1 = reinterpret_cast<std::uint64_t>(argument);
    const auto resume_address = reinterpret_cast<std::uint64_t>(stub) + HEDDLE_ENTRY_OFFSET;
    return {.stack_pointer = frame,
            .resume_address = reinterpret_cast<void*>(resume_address),
            .frame_pointer = nullptr};
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
