// i386, System V ABI: the numbers that i386-sysv.S and C++ share, and the control words.
//
// Source: System V Application Binary Interface, Intel386 Architecture Processor Supplement,
// version 1.1, section 2.2 (registers, the stack frame, passing of arguments).
#pragma once

#include "x86_control_words.h"

// Offsets into heddle_context.
#define HEDDLE_CONTEXT_SP 0
#define HEDDLE_CONTEXT_PC 4
#define HEDDLE_CONTEXT_FP 8

// The arguments, as offsets from the stack pointer at the first instruction.
#define HEDDLE_ARGUMENT_FROM 4
#define HEDDLE_ARGUMENT_TO 8
#define HEDDLE_ARGUMENT_VALUE 12

// Offsets from the saved stack pointer, which points at the return address of the call to
// heddle_switch. The registers take the places of the arguments, which belong to the callee.
#define HEDDLE_SAVE_EBX 4
#define HEDDLE_SAVE_ESI 8
#define HEDDLE_SAVE_EDI 12
#define HEDDLE_SAVE_MXCSR (-8)
#define HEDDLE_SAVE_X87CW (-4)

// Room for the two control words.
#define HEDDLE_WORDS_BYTES 8

// The bytes at the stack's top that the entry stub steps over.
#define HEDDLE_FRAME_BYTES 32

// Where in the entry stub a fresh context resumes, and how far below the stack's top.
#define HEDDLE_ENTRY_OFFSET 1
#define HEDDLE_ENTRY_DEPTH 12

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace heddle::detail {

/// The saved registers of a suspended context, lowest address first.
struct i386_frame {
    std::uint32_t mxcsr;        ///< only with fp_environment=preserved
    std::uint16_t x87_control;  ///< only with fp_environment=preserved
    std::uint16_t unused;
    std::uint32_t return_address;  ///< of the call to heddle_switch; the saved stack pointer
    std::uint32_t ebx;             ///< in a fresh context: the entry function
    std::uint32_t esi;             ///< in a fresh context: the argument of the entry function
    std::uint32_t edi;
};

constexpr std::ptrdiff_t i386_saved_at(std::size_t offset) {
    return static_cast<std::ptrdiff_t>(offset) -
           static_cast<std::ptrdiff_t>(offsetof(i386_frame, return_address));
}
static_assert(offsetof(heddle_context, stack_pointer) == HEDDLE_CONTEXT_SP);
static_assert(offsetof(heddle_context, resume_address) == HEDDLE_CONTEXT_PC);
static_assert(offsetof(heddle_context, frame_pointer) == HEDDLE_CONTEXT_FP);
static_assert(i386_saved_at(offsetof(i386_frame, ebx)) == HEDDLE_SAVE_EBX);
static_assert(i386_saved_at(offsetof(i386_frame, esi)) == HEDDLE_SAVE_ESI);
static_assert(i386_saved_at(offsetof(i386_frame, edi)) == HEDDLE_SAVE_EDI);
static_assert(i386_saved_at(offsetof(i386_frame, mxcsr)) == HEDDLE_SAVE_MXCSR);
static_assert(i386_saved_at(offsetof(i386_frame, x87_control)) == HEDDLE_SAVE_X87CW);
static_assert(i386_saved_at(0) == -HEDDLE_WORDS_BYTES);
static_assert(i386_saved_at(sizeof(i386_frame)) - sizeof(void*) == HEDDLE_ENTRY_DEPTH);
static_assert(sizeof(i386_frame) <= HEDDLE_FRAME_BYTES && HEDDLE_FRAME_BYTES % 16 == 0);

/// Builds the frame that the first switch to a fresh context restores. `stub` is the port's
/// entry stub; the rest is context_make's contract.
inline heddle_context context_fresh(void* stack_top, context_entry entry, void* argument,
                                    void (*stub)()) noexcept {
    auto* frame = static_cast<i386_frame*>(stack_top) - 1;
#ifdef HEDDLE_FP_PRESERVED
    const fp_environment words = context_save_fp_environment();
#else
    const fp_environment words = {};
#endif
    const auto resume_address = reinterpret_cast<std::uint32_t>(stub) + HEDDLE_ENTRY_OFFSET;
    *frame = {.mxcsr = words.mxcsr,
              .x87_control = words.x87_control,
              .unused = 0,
              .return_address = resume_address,
              .ebx = reinterpret_cast<std::uint32_t>(entry),
              .esi = reinterpret_cast<std::uint32_t>(argument),
              .edi = 0};
    return {.stack_pointer = &frame->return_address,
            .resume_address = reinterpret_cast<void*>(resume_address),
            .frame_pointer = nullptr};
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
