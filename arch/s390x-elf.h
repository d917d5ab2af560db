// s390x, the Linux ELF ABI: the numbers that s390x-elf.S and C++ share, and the control register.
//
// Source: ELF Application Binary Interface, s390x Supplement, version 1.6, sections 1.2.1
// (registers) and 1.2.2 (the stack frame and its register save area).
#pragma once

// Offsets into heddle_context. Its frame pointer stays zero: this ABI has none that all code keeps.
#define HEDDLE_CONTEXT_SP 0
#define HEDDLE_CONTEXT_PC 8

// Offsets from the saved stack pointer, at which the register save area lies that the caller of
// heddle_switch has allocated. The general registers are in their customary slots, the others in
// those of the argument registers, which need no saving here.
#define HEDDLE_BACK_CHAIN 0
#define HEDDLE_SAVE_FPC 8
#define HEDDLE_SAVE_F8 16
#define HEDDLE_SAVE_F9 24
#define HEDDLE_SAVE_F10 32
#define HEDDLE_SAVE_F11 40
#define HEDDLE_SAVE_R6 48
#define HEDDLE_SAVE_R7 56
#define HEDDLE_SAVE_R8 64
#define HEDDLE_SAVE_R9 72
#define HEDDLE_SAVE_R10 80
#define HEDDLE_SAVE_R11 88
#define HEDDLE_SAVE_R12 96
#define HEDDLE_SAVE_R13 104
#define HEDDLE_SAVE_F12 128
#define HEDDLE_SAVE_F13 136
#define HEDDLE_SAVE_F14 144
#define HEDDLE_SAVE_F15 152

// What a caller allocates above its stack pointer: the back chain and the register save area.
#define HEDDLE_SAVE_AREA_BYTES 160

// The bytes at the stack's top that the entry stub steps over: the save area of nobody.
#define HEDDLE_FRAME_BYTES HEDDLE_SAVE_AREA_BYTES

// Where in the entry stub a fresh context resumes.
#define HEDDLE_ENTRY_OFFSET 2

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace heddle::detail {

/// The saved registers of a suspended context, lowest address first.
struct s390x_frame {
    std::uint64_t back_chain;  ///< the caller's; zero in a fresh context
    std::uint32_t fpc;         ///< only with fp_environment=preserved
    std::uint32_t unused;
    std::uint64_t f8, f9, f10, f11;
    std::uint64_t r6;  ///< in a fresh context: the entry function
    std::uint64_t r7;  ///< in a fresh context: the argument of the entry function
    std::uint64_t r8, r9, r10, r11, r12, r13;
    std::uint64_t r14_slot, r15_slot;  ///< not used: return address and stack are in the context
    std::uint64_t f12, f13, f14, f15;
};

static_assert(offsetof(heddle_context, stack_pointer) == HEDDLE_CONTEXT_SP);
static_assert(offsetof(heddle_context, resume_address) == HEDDLE_CONTEXT_PC);
static_assert(offsetof(s390x_frame, back_chain) == HEDDLE_BACK_CHAIN);
static_assert(offsetof(s390x_frame, fpc) == HEDDLE_SAVE_FPC);
static_assert(offsetof(s390x_frame, f8) == HEDDLE_SAVE_F8);
static_assert(offsetof(s390x_frame, f9) == HEDDLE_SAVE_F9);
static_assert(offsetof(s390x_frame, f10) == HEDDLE_SAVE_F10);
static_assert(offsetof(s390x_frame, f11) == HEDDLE_SAVE_F11);
static_assert(offsetof(s390x_frame, r6) == HEDDLE_SAVE_R6);
static_assert(offsetof(s390x_frame, r7) == HEDDLE_SAVE_R7);
static_assert(offsetof(s390x_frame, r8) == HEDDLE_SAVE_R8);
static_assert(offsetof(s390x_frame, r9) == HEDDLE_SAVE_R9);
static_assert(offsetof(s390x_frame, r10) == HEDDLE_SAVE_R10);
static_assert(offsetof(s390x_frame, r11) == HEDDLE_SAVE_R11);
static_assert(offsetof(s390x_frame, r12) == HEDDLE_SAVE_R12);
static_assert(offsetof(s390x_frame, r13) == HEDDLE_SAVE_R13);
static_assert(offsetof(s390x_frame, f12) == HEDDLE_SAVE_F12);
static_assert(offsetof(s390x_frame, f13) == HEDDLE_SAVE_F13);
static_assert(offsetof(s390x_frame, f14) == HEDDLE_SAVE_F14);
static_assert(offsetof(s390x_frame, f15) == HEDDLE_SAVE_F15);
static_assert(sizeof(s390x_frame) == HEDDLE_FRAME_BYTES);

/// The control bits of the floating-point control register: exception masks and the rounding modes
/// of binary and decimal arithmetic. The ABI does not say whose they are.
struct fp_environment {
    std::uint32_t fpc = 0;
    bool operator==(const fp_environment&) const = default;
};

/// Reads the calling thread's control bits. Status flags and the data-exception code are volatile
/// and left out.
inline fp_environment context_save_fp_environment() noexcept {
    constexpr std::uint32_t control_bits = 0xfc000077;
    fp_environment words;
    __asm__ volatile("stfpc %0" : "=Q"(words.fpc));
    words.fpc &= control_bits;
    return words;
}

/// Sets the calling thread's control bits.
inline void context_restore_fp_environment(const fp_environment& words) noexcept {
    __asm__ volatile("lfpc %0" : : "Q"(words.fpc));
}

/// Builds the frame that the first switch to a fresh context restores. `stub` is the port's
/// entry stub; the rest is context_make's contract.
inline heddle_context context_fresh(void* stack_top, context_entry entry, void* argument,
                                    void (*stub)()) noexcept {
    auto* frame = static_cast<s390x_frame*>(stack_top) - 1;
    *frame = {};
#ifdef HEDDLE_FP_PRESERVED
    frame->fpc = context_save_fp_environment().fpc;
#endif
    frame->r6 = reinterpret_cast<std::uint64_t>(entry);
    frame->r7 = reinterpret_cast<std::uint64_t>(argument);
    const auto resume_address = reinterpret_cast<std::uint64_t>(stub) + HEDDLE_ENTRY_OFFSET;
    return {.stack_pointer = frame,
            .resume_address = reinterpret_cast<void*>(resume_address),
            .frame_pointer = nullptr};
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
