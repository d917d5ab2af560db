// x86-64, Windows: the numbers that x86_64-windows.S and C++ share, and the control words.
//
// Source: Microsoft, "x64 calling convention" and "x64 exception handling"; for the thread block,
// the structures NT_TIB and TEB of winnt.h and winternl.h, as Wine 8 spells out their fields.
#pragma once

// Offsets into heddle_context.
#define HEDDLE_CONTEXT_SP 0
#define HEDDLE_CONTEXT_PC 8

// Offsets into the thread block, which gs points at.
#define HEDDLE_TIB_EXCEPTION_LIST 0x00
#define HEDDLE_TIB_STACK_BASE 0x08
#define HEDDLE_TIB_STACK_LIMIT 0x10
#define HEDDLE_TIB_FIBER_DATA 0x20
#define HEDDLE_TIB_DEALLOCATION_STACK 0x1478
#define HEDDLE_TIB_GUARANTEED_BYTES 0x1748

// Offsets from the saved stack pointer.
#define HEDDLE_SAVE_RBX 0
#define HEDDLE_SAVE_RBP 8
#define HEDDLE_SAVE_RDI 16
#define HEDDLE_SAVE_RSI 24
#define HEDDLE_SAVE_R12 32
#define HEDDLE_SAVE_R13 40
#define HEDDLE_SAVE_R14 48
#define HEDDLE_SAVE_R15 56
#define HEDDLE_SAVE_XMM6 64
#define HEDDLE_SAVE_XMM7 80
#define HEDDLE_SAVE_XMM8 96
#define HEDDLE_SAVE_XMM9 112
#define HEDDLE_SAVE_XMM10 128
#define HEDDLE_SAVE_XMM11 144
#define HEDDLE_SAVE_XMM12 160
#define HEDDLE_SAVE_XMM13 176
#define HEDDLE_SAVE_XMM14 192
#define HEDDLE_SAVE_XMM15 208
#define HEDDLE_SAVE_EXCEPTION_LIST 224
#define HEDDLE_SAVE_STACK_BASE 232
#define HEDDLE_SAVE_STACK_LIMIT 240
#define HEDDLE_SAVE_FIBER_DATA 248
#define HEDDLE_SAVE_DEALLOCATION_STACK 256
#define HEDDLE_SAVE_GUARANTEED_BYTES 264
#define HEDDLE_SAVE_MXCSR 268
#define HEDDLE_SAVE_X87CW 272

// From the saved stack pointer up to the return address of the call to heddle_switch; and up to the
// stack pointer after the return. A fresh context starts from there and goes back by as much.
#define HEDDLE_SAVED_BYTES 280
#define HEDDLE_RETURNED_BYTES 288

// The bytes at the stack's top that belong to the port.
#define HEDDLE_FRAME_BYTES 304

// Where a fresh context resumes: at heddle_fresh, which is one alignment unit before heddle_entry.
#define HEDDLE_ENTRY_OFFSET (-64)

// What every caller provides above the return address: room for the four arguments in registers.
// The 8 of the return address then makes the stack pointer a multiple of 16 at the call.
#define HEDDLE_HOME_BYTES 32
#define HEDDLE_CALL_BYTES 40

// The frame of the handler of unhandled exceptions: home space, and an EXCEPTION_POINTERS.
#define HEDDLE_HANDLER_BYTES 56
#define HEDDLE_POINTERS_RECORD 32
#define HEDDLE_POINTERS_CONTEXT 40

#ifndef __ASSEMBLER__

#include "arch/x86_control_words.h"

#include <cstddef>
#include <cstdint>

namespace heddle::detail {

/// The saved state of a suspended context, lowest address first.
struct x86_64_windows_frame {
    std::uint64_t rbx;  ///< in a fresh context: the entry function
    std::uint64_t rbp, rdi, rsi;
    std::uint64_t r12;  ///< in a fresh context: the argument of the entry function
    std::uint64_t r13, r14, r15;
    alignas(16) std::uint64_t xmm[10][2];  ///< xmm6 to xmm15
    std::uint64_t exception_list;          ///< from here on: fields of the thread block
    std::uint64_t stack_base;
    std::uint64_t stack_limit;
    std::uint64_t fiber_data;
    std::uint64_t deallocation_stack;
    std::uint32_t guaranteed_bytes;
    std::uint32_t mxcsr;        ///< only with fp_environment=preserved
    std::uint16_t x87_control;  ///< only with fp_environment=preserved
    std::uint16_t unused[3];
    std::uint64_t return_address;  ///< of the call to heddle_switch
    std::uint64_t no_caller;       ///< in a fresh context: where a return address would be, zero
    std::uint64_t unused_top;
};

static_assert(offsetof(heddle_context, stack_pointer) == HEDDLE_CONTEXT_SP);
static_assert(offsetof(heddle_context, resume_address) == HEDDLE_CONTEXT_PC);
static_assert(offsetof(x86_64_windows_frame, rbx) == HEDDLE_SAVE_RBX);
static_assert(offsetof(x86_64_windows_frame, rbp) == HEDDLE_SAVE_RBP);
static_assert(offsetof(x86_64_windows_frame, rdi) == HEDDLE_SAVE_RDI);
static_assert(offsetof(x86_64_windows_frame, rsi) == HEDDLE_SAVE_RSI);
static_assert(offsetof(x86_64_windows_frame, r12) == HEDDLE_SAVE_R12);
static_assert(offsetof(x86_64_windows_frame, r13) == HEDDLE_SAVE_R13);
static_assert(offsetof(x86_64_windows_frame, r14) == HEDDLE_SAVE_R14);
static_assert(offsetof(x86_64_windows_frame, r15) == HEDDLE_SAVE_R15);
static_assert(offsetof(x86_64_windows_frame, xmm[0]) == HEDDLE_SAVE_XMM6);
static_assert(offsetof(x86_64_windows_frame, xmm[1]) == HEDDLE_SAVE_XMM7);
static_assert(offsetof(x86_64_windows_frame, xmm[2]) == HEDDLE_SAVE_XMM8);
static_assert(offsetof(x86_64_windows_frame, xmm[3]) == HEDDLE_SAVE_XMM9);
static_assert(offsetof(x86_64_windows_frame, xmm[4]) == HEDDLE_SAVE_XMM10);
static_assert(offsetof(x86_64_windows_frame, xmm[5]) == HEDDLE_SAVE_XMM11);
static_assert(offsetof(x86_64_windows_frame, xmm[6]) == HEDDLE_SAVE_XMM12);
static_assert(offsetof(x86_64_windows_frame, xmm[7]) == HEDDLE_SAVE_XMM13);
static_assert(offsetof(x86_64_windows_frame, xmm[8]) == HEDDLE_SAVE_XMM14);
static_assert(offsetof(x86_64_windows_frame, xmm[9]) == HEDDLE_SAVE_XMM15);
static_assert(offsetof(x86_64_windows_frame, exception_list) == HEDDLE_SAVE_EXCEPTION_LIST);
static_assert(offsetof(x86_64_windows_frame, stack_base) == HEDDLE_SAVE_STACK_BASE);
static_assert(offsetof(x86_64_windows_frame, stack_limit) == HEDDLE_SAVE_STACK_LIMIT);
static_assert(offsetof(x86_64_windows_frame, fiber_data) == HEDDLE_SAVE_FIBER_DATA);
static_assert(offsetof(x86_64_windows_frame, deallocation_stack) == HEDDLE_SAVE_DEALLOCATION_STACK);
static_assert(offsetof(x86_64_windows_frame, guaranteed_bytes) == HEDDLE_SAVE_GUARANTEED_BYTES);
static_assert(offsetof(x86_64_windows_frame, mxcsr) == HEDDLE_SAVE_MXCSR);
static_assert(offsetof(x86_64_windows_frame, x87_control) == HEDDLE_SAVE_X87CW);
static_assert(offsetof(x86_64_windows_frame, return_address) == HEDDLE_SAVED_BYTES);
static_assert(offsetof(x86_64_windows_frame, no_caller) == HEDDLE_RETURNED_BYTES);
static_assert(sizeof(x86_64_windows_frame) == HEDDLE_FRAME_BYTES);

/// Builds the frame that the first switch to a fresh context restores. `stub` is the port's
/// entry stub; the rest is context_make's contract.
inline heddle_context context_fresh(void* stack_top, context_entry entry, void* argument,
                                    void (*stub)(), void* stack_bottom) noexcept {
    constexpr std::uint64_t no_handlers = ~std::uint64_t{0};
    auto* frame = static_cast<x86_64_windows_frame*>(stack_top) - 1;
#ifdef HEDDLE_FP_PRESERVED
    const fp_environment words = context_save_fp_environment();
#else
    const fp_environment words = {};
#endif
    const auto bottom = reinterpret_cast<std::uint64_t>(stack_bottom);
    const auto resume_address = reinterpret_cast<std::uint64_t>(stub) + HEDDLE_ENTRY_OFFSET;
    *frame = {};
    frame->rbx = reinterpret_cast<std::uint64_t>(entry);
    frame->r12 = reinterpret_cast<std::uint64_t>(argument);
    frame->exception_list = no_handlers;
    // The flow begins below this frame. Wine's walks end at StackBase, and only there.
    frame->stack_base = reinterpret_cast<std::uint64_t>(frame);
    frame->stack_limit = bottom;
    frame->deallocation_stack = bottom;
    frame->mxcsr = words.mxcsr;
    frame->x87_control = words.x87_control;
    frame->return_address = resume_address;
    return {.stack_pointer = frame,
            .resume_address = reinterpret_cast<void*>(resume_address),
            .frame_pointer = nullptr};
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
