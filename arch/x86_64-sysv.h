// x86-64, System V ABI: the numbers that x86_64-sysv.S and C++ share, and the control words.
//
// Source: System V Application Binary Interface, AMD64 Architecture Processor Supplement,
// sections 3.2.1 (registers) and 3.2.2 (the stack frame and its red zone).
#pragma once

#include "x86_control_words.h"

// Offsets into heddle_context.
#define HEDDLE_CONTEXT_SP 0
#define HEDDLE_CONTEXT_PC 8
#define HEDDLE_CONTEXT_FP 16

// Offsets from the saved stack pointer, which points at the return address of the call to
// heddle_switch. The saves lie below it, in the red zone that signal handlers step over.
#define HEDDLE_SAVE_RBX (-8)
#define HEDDLE_SAVE_R12 (-16)
#define HEDDLE_SAVE_R13 (-24)
#define HEDDLE_SAVE_R14 (-32)
#define HEDDLE_SAVE_R15 (-40)
#define HEDDLE_SAVE_MXCSR (-48)
#define HEDDLE_SAVE_X87CW (-44)

// The bytes at the stack's top that the entry stub steps over.
#define HEDDLE_FRAME_BYTES 64

// Where in the entry stub a fresh context resumes.
#define HEDDLE_ENTRY_OFFSET 1

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace heddle::detail {

/// The saved registers of a suspended context, lowest address first.
struct x86_64_frame {
    std::uint32_t mxcsr;        ///< only with fp_environment=preserved
    std::uint16_t x87_control;  ///< only with fp_environment=preserved
    std::uint16_t unused;
    std::uint64_t r15, r14, r13;
    std::uint64_t r12;             ///< in a fresh context: the argument of the entry function
    std::uint64_t rbx;             ///< in a fresh context: the entry function
    std::uint64_t return_address;  ///< of the call to heddle_switch; the saved stack pointer
};

constexpr std::ptrdiff_t x86_64_saved_at(std::size_t offset) {
    return static_cast<std::ptrdiff_t>(offset) -
           static_cast<std::ptrdiff_t>(offsetof(x86_64_frame, return_address));
}
static_assert(offsetof(heddle_context, stack_pointer) == HEDDLE_CONTEXT_SP);
static_assert(offsetof(heddle_context, resume_address) == HEDDLE_CONTEXT_PC);
static_assert(offsetof(heddle_context, frame_pointer) == HEDDLE_CONTEXT_FP);
static_assert(x86_64_saved_at(offsetof(x86_64_frame, rbx)) == HEDDLE_SAVE_RBX);
static_assert(x86_64_saved_at(offsetof(x86_64_frame, r12)) == HEDDLE_SAVE_R12);
static_assert(x86_64_saved_at(offsetof(x86_64_frame, r13)) == HEDDLE_SAVE_R13);
static_assert(x86_64_saved_at(offsetof(x86_64_frame, r14)) == HEDDLE_SAVE_R14);
static_assert(x86_64_saved_at(offsetof(x86_64_frame, r15)) == HEDDLE_SAVE_R15);
static_assert(x86_64_saved_at(offsetof(x86_64_frame, mxcsr)) == HEDDLE_SAVE_MXCSR);
static_assert(x86_64_saved_at(offsetof(x86_64_frame, x87_control)) == HEDDLE_SAVE_X87CW);
static_assert(sizeof(x86_64_frame) <= HEDDLE_FRAME_BYTES);

/// Builds the frame that the first switch to a fresh context restores. `stub` is the port's
/// entry stub; the rest is context_make's contract.
inline heddle_context context_fresh(void* stack_top, context_entry entry, void* argument,
                                    void (*stub)()) noexcept {
    auto* frame = static_cast<x86_64_frame*>(stack_top) - 1;
#ifdef HEDDLE_FP_PRESERVED
    const fp_environment words = context_save_fp_environment();
#else
    const fp_environment words = {};
#endif
    const auto resume_address = reinterpret_cast<std::uint64_t>(stub) + HEDDLE_ENTRY_OFFSET;
    *frame = {.mxcsr = words.mxcsr,
              .x87_control = words.x87_control,
              .unused = 0,
              .r15 = 0,
              .r14 = 0,
              .r13 = 0,
              .r12 = reinterpret_cast<std::uint64_t>(argument),
              .rbx = reinterpret_cast<std::uint64_t>(entry),
              .return_address = resume_address};
    return {.stack_pointer = &frame->return_address,
            .resume_address = reinterpret_cast<void*>(resume_address),
            .frame_pointer = nullptr};
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
