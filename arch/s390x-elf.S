// The context switch for s390x (64-bit z/Architecture) under the Linux ELF ABI.
//
// (a) ABI: ELF Application Binary Interface, s390x Supplement, version 1.6; sections 1.2.1
//     (registers and who preserves them) and 1.2.2 (stack frame, back chain, register save area).
//
// (b) Preserved: r15, the stack pointer, and r6 to r13, which 1.2.1 calls saved, r6 although it
//     carries an argument; f8 to f15, in the 64 bits that are also the left halves of v8 to v15.
//     r14 is volatile, but holds the return address. With HEDDLE_FP_PRESERVED also the
//     floating-point control register, of which 1.2.1 says nothing.
//
// (c) Not preserved: the other registers are volatile, the right halves of v8 to v15 and all of
//     v16 to v31 included. The program mask is zero at every call and return. The access
//     registers 0 and 1 hold the thread pointer, which no switch changes.
//
// (d) The frame of a suspended context, highest address first. S is the saved stack pointer:
//
//         S + 160  the caller's frame, beyond what a callee may write; the CFA
//         S + 128  f12 to f15
//         S + 112  the slots of r14 and r15, which are in the context instead
//         S +  48  r6 to r13
//         S +  16  f8 to f11
//         S +   8  floating-point control register, only with HEDDLE_FP_PRESERVED
//         S        the caller's back chain, left alone
//
//     All this is the caller's register save area, which 1.2.2 lets a callee use in any way. It
//     lies above the stack pointer, where no signal handler writes: although there is no red zone,
//     the stack pointer never moves before it is exchanged.
//
//     A debugger that walks a suspended context starts at its resume address with r15 = S, and
//     takes the rest from this frame.
//
// (e) At the entry stub: r6 holds the entry function, r7 its argument; r15 is HEDDLE_FRAME_BYTES
//     below the top of the stack and a multiple of 8.

#include "asm.h"
#include "s390x-elf.h"

// intptr_t heddle_switch(heddle_context* from (r2), const heddle_context* to (r3), value (r4))
HEDDLE_FUNCTION(heddle_switch)
    lg      %r1, HEDDLE_CONTEXT_PC(%r3)
    lg      %r5, HEDDLE_CONTEXT_SP(%r3)
    stmg    %r6, %r13, HEDDLE_SAVE_R6(%r15)
    std     %f8, HEDDLE_SAVE_F8(%r15)
    std     %f9, HEDDLE_SAVE_F9(%r15)
    std     %f10, HEDDLE_SAVE_F10(%r15)
    std     %f11, HEDDLE_SAVE_F11(%r15)
    std     %f12, HEDDLE_SAVE_F12(%r15)
    std     %f13, HEDDLE_SAVE_F13(%r15)
    std     %f14, HEDDLE_SAVE_F14(%r15)
    std     %f15, HEDDLE_SAVE_F15(%r15)
#ifdef HEDDLE_FP_PRESERVED
    stfpc   HEDDLE_SAVE_FPC(%r15)
#endif
    stg     %r15, HEDDLE_CONTEXT_SP(%r2)
    stg     %r14, HEDDLE_CONTEXT_PC(%r2)

    lgr     %r15, %r5
    // The other flow from here on. Its return address stays in r1 until the jump.
    .cfi_register %r14, %r1
    .cfi_offset %r6, HEDDLE_SAVE_R6 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset %r7, HEDDLE_SAVE_R7 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset %r8, HEDDLE_SAVE_R8 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset %r9, HEDDLE_SAVE_R9 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset %r10, HEDDLE_SAVE_R10 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset %r11, HEDDLE_SAVE_R11 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset %r12, HEDDLE_SAVE_R12 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset %r13, HEDDLE_SAVE_R13 - HEDDLE_SAVE_AREA_BYTES
    // f8 to f15 by their numbers in DWARF, which go by twos: GNU as takes %f9 for that of f10.
    .cfi_offset 24, HEDDLE_SAVE_F8 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset 28, HEDDLE_SAVE_F9 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset 25, HEDDLE_SAVE_F10 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset 29, HEDDLE_SAVE_F11 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset 26, HEDDLE_SAVE_F12 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset 30, HEDDLE_SAVE_F13 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset 27, HEDDLE_SAVE_F14 - HEDDLE_SAVE_AREA_BYTES
    .cfi_offset 31, HEDDLE_SAVE_F15 - HEDDLE_SAVE_AREA_BYTES
    lmg     %r6, %r13, HEDDLE_SAVE_R6(%r15)
    ld      %f8, HEDDLE_SAVE_F8(%r15)
    ld      %f9, HEDDLE_SAVE_F9(%r15)
    ld      %f10, HEDDLE_SAVE_F10(%r15)
    ld      %f11, HEDDLE_SAVE_F11(%r15)
    ld      %f12, HEDDLE_SAVE_F12(%r15)
    ld      %f13, HEDDLE_SAVE_F13(%r15)
    ld      %f14, HEDDLE_SAVE_F14(%r15)
    ld      %f15, HEDDLE_SAVE_F15(%r15)
#ifdef HEDDLE_FP_PRESERVED
    lfpc    HEDDLE_SAVE_FPC(%r15)
#endif
    lgr     %r2, %r4
    br      %r1
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context. Its CFA is the stack's top, as that of any function
// whose stack pointer has not moved.
HEDDLE_FUNCTION(heddle_entry)
    .cfi_undefined %r14
    nopr
    // The entry function gets a save area of its own, below the frame that context_make wrote, with
    // a zero where walkers of back chains look for the next frame.
    aghi    %r15, -HEDDLE_SAVE_AREA_BYTES
    .cfi_adjust_cfa_offset HEDDLE_SAVE_AREA_BYTES
    mvghi   HEDDLE_BACK_CHAIN(%r15), 0
    lgr     %r2, %r7
    basr    %r14, %r6
    // A jump into its own second half, which is no instruction: what compilers trap with.
    j       . + 2
HEDDLE_FUNCTION_END(heddle_entry)

HEDDLE_END
