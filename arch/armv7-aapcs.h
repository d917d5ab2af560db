// ARMv7, AAPCS with VFP registers: the numbers that armv7-aapcs.S and C++ share, and the control
// words.
//
// Source: Procedure Call Standard for the Arm Architecture (ARM-software/abi-aa, aapcs32),
// sections 6.1.1 and 6.1.2 (registers) and 6.2.1 (the stack).
#pragma once

// Offsets into heddle_context.
#define HEDDLE_CONTEXT_SP 0
#define HEDDLE_CONTEXT_PC 4
#define HEDDLE_CONTEXT_FP 8

// Bytes that the switch keeps below its caller's frame.
#define HEDDLE_VECTOR_BYTES 64
#define HEDDLE_GENERAL_BYTES 28
#define HEDDLE_FPSCR_BYTES 4

// Offsets from the CFA, where the caller's frame begins.
#define HEDDLE_SAVE_D15 (-8)
#define HEDDLE_SAVE_D14 (-16)
#define HEDDLE_SAVE_D13 (-24)
#define HEDDLE_SAVE_D12 (-32)
#define HEDDLE_SAVE_D11 (-40)
#define HEDDLE_SAVE_D10 (-48)
#define HEDDLE_SAVE_D9 (-56)
#define HEDDLE_SAVE_D8 (-64)
#define HEDDLE_SAVE_R10 (-68)
#define HEDDLE_SAVE_R9 (-72)
#define HEDDLE_SAVE_R8 (-76)
#define HEDDLE_SAVE_R7 (-80)
#define HEDDLE_SAVE_R6 (-84)
#define HEDDLE_SAVE_R5 (-88)
#define HEDDLE_SAVE_R4 (-92)

// The bytes at the stack's top that the entry stub steps over.
#define HEDDLE_FRAME_BYTES 96

// Where in the entry stub a fresh context resumes: behind one instruction.
#ifdef __thumb__
#define HEDDLE_ENTRY_OFFSET 2
#else
#define HEDDLE_ENTRY_OFFSET 4
#endif

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace heddle::detail {

/// The saved registers of a suspended context, lowest address first: the saved stack pointer. (A
/// structure with a member of 64 bits would have to be a multiple of 8 bytes.)
struct armv7_frame {
#ifdef HEDDLE_FP_PRESERVED
    std::uint32_t fpscr;
#endif
    std::uint32_t r4;  ///< in a fresh context: the entry function
    std::uint32_t r5;  ///< in a fresh context: the argument of the entry function
    std::uint32_t r6, r7, r8, r9, r10;
    std::uint32_t d8[2], d9[2], d10[2], d11[2], d12[2], d13[2], d14[2], d15[2];
};

constexpr std::ptrdiff_t armv7_saved_at(std::size_t offset) {
    return static_cast<std::ptrdiff_t>(offset) - static_cast<std::ptrdiff_t>(sizeof(armv7_frame));
}
static_assert(offsetof(heddle_context, stack_pointer) == HEDDLE_CONTEXT_SP);
static_assert(offsetof(heddle_context, resume_address) == HEDDLE_CONTEXT_PC);
static_assert(offsetof(heddle_context, frame_pointer) == HEDDLE_CONTEXT_FP);
static_assert(armv7_saved_at(offsetof(armv7_frame, d15)) == HEDDLE_SAVE_D15);
static_assert(armv7_saved_at(offsetof(armv7_frame, d14)) == HEDDLE_SAVE_D14);
static_assert(armv7_saved_at(offsetof(armv7_frame, d13)) == HEDDLE_SAVE_D13);
static_assert(armv7_saved_at(offsetof(armv7_frame, d12)) == HEDDLE_SAVE_D12);
static_assert(armv7_saved_at(offsetof(armv7_frame, d11)) == HEDDLE_SAVE_D11);
static_assert(armv7_saved_at(offsetof(armv7_frame, d10)) == HEDDLE_SAVE_D10);
static_assert(armv7_saved_at(offsetof(armv7_frame, d9)) == HEDDLE_SAVE_D9);
static_assert(armv7_saved_at(offsetof(armv7_frame, d8)) == HEDDLE_SAVE_D8);
static_assert(armv7_saved_at(offsetof(armv7_frame, r10)) == HEDDLE_SAVE_R10);
static_assert(armv7_saved_at(offsetof(armv7_frame, r9)) == HEDDLE_SAVE_R9);
static_assert(armv7_saved_at(offsetof(armv7_frame, r8)) == HEDDLE_SAVE_R8);
static_assert(armv7_saved_at(offsetof(armv7_frame, r7)) == HEDDLE_SAVE_R7);
static_assert(armv7_saved_at(offsetof(armv7_frame, r6)) == HEDDLE_SAVE_R6);
static_assert(armv7_saved_at(offsetof(armv7_frame, r5)) == HEDDLE_SAVE_R5);
static_assert(armv7_saved_at(offsetof(armv7_frame, r4)) == HEDDLE_SAVE_R4);
static_assert(sizeof(armv7_frame::d8) * 8 == HEDDLE_VECTOR_BYTES);
static_assert(sizeof(armv7_frame::r4) * 7 == HEDDLE_GENERAL_BYTES);
static_assert(sizeof(armv7_frame) <= HEDDLE_FRAME_BYTES && HEDDLE_FRAME_BYTES % 8 == 0);

/// The control bits of FPSCR: exception traps (8 to 12 and 15), rounding mode, flush to zero,
/// default NaN and half-precision format (22 to 26). Flags and conditions share the register, and
/// the length and stride of short vectors are zero at every call.
struct fp_environment {
    static constexpr std::uint32_t control_bits = 0x07c0'9f00;

    std::uint32_t fpscr = 0;
    bool operator==(const fp_environment&) const = default;
};

inline std::uint32_t armv7_read_fpscr() noexcept {
    std::uint32_t word = 0;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(word));
    return word;
}

/// Reads the calling thread's control bits.
inline fp_environment context_save_fp_environment() noexcept {
    return {.fpscr = armv7_read_fpscr() & fp_environment::control_bits};
}

/// Sets the calling thread's control bits.
inline void context_restore_fp_environment(const fp_environment& words) noexcept {
    const std::uint32_t word = (armv7_read_fpscr() & ~fp_environment::control_bits) | words.fpscr;
    __asm__ volatile("vmsr fpscr, %0" : : "r"(word));
}

/// Builds the frame that the first switch to a fresh context restores. `stub` is the port's
/// entry stub, with bit 0 set if it is Thumb code; the rest is context_make's contract.
inline heddle_context context_fresh(void* stack_top, context_entry entry, void* argument,
                                    void (*stub)()) noexcept {
    auto* frame = static_cast<armv7_frame*>(stack_top) - 1;
    *frame = {};
#ifdef HEDDLE_FP_PRESERVED
    frame->fpscr = context_save_fp_environment().fpscr;
#endif
    frame->r4 = reinterpret_cast<std::uint32_t>(entry);
    frame->r5 = reinterpret_cast<std::uint32_t>(argument);
    const auto resume_address = reinterpret_cast<std::uint32_t>(stub) + HEDDLE_ENTRY_OFFSET;
    return {.stack_pointer = frame,
            .resume_address = reinterpret_cast<void*>(resume_address),
            .frame_pointer = nullptr};
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
