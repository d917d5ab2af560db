// The context switch for ARMv7 under the AAPCS with VFP registers (hard float), as Thumb-2 or as
// ARM code, whichever the compiler's flags say.
//
// (a) ABI: Procedure Call Standard for the Arm Architecture (ARM-software/abi-aa, aapcs32);
//     sections 6.1.1 and 6.1.2 (registers and their owners), 6.2.1 (the stack). Exception Handling
//     ABI for the Arm Architecture (ehabi32) for the table of exceptions; DWARF for the Arm
//     Architecture (aadwarf32) for debuggers.
//
// (b) Preserved: sp and r11, the frame pointer of ARM code; r4 to r10, which 6.1.1 gives to the
//     caller (r7 is the frame pointer of Thumb code, r9 a register like the others on Linux); d8 to
//     d15, which 6.1.2 gives to it. With HEDDLE_FP_PRESERVED also FPSCR, which 6.1.2 makes a
//     matter of the whole program.
//
// (c) Not preserved: d0 to d7 and d16 to d31 are the callee's to destroy, and so is r12. The length
//     and stride of short vectors (bits 16 to 21 of FPSCR) are zero at every call and return.
//     TPIDRURO, which finds the thread, is not touched.
//
// (d) The frame of a suspended context, highest address first. S is the saved stack pointer:
//
//         S + 92    the caller's frame, as the call found it; the CFA
//         S + 28    d8, d9, ... d15, upwards
//         S         r4, r5, ... r10, upwards
//
//     With HEDDLE_FP_PRESERVED everything lies 4 bytes higher, and FPSCR at S. There is no red
//     zone: instructions that store first move sp down. The other flow's registers are loaded
//     while sp is still in this one's stack, so that no signal handler writes over them. Between
//     calls sp need not be a multiple of 8, as it is at calls (6.2.1.2).
//
//     Return address and r11 are kept in the context (HEDDLE_CONTEXT_PC, HEDDLE_CONTEXT_FP). Bit 0
//     of an address that is called or resumed says that there is Thumb code. A debugger that
//     walks a suspended context starts at its resume address less that bit, with sp the CFA, r11
//     from the context, and the rest from this frame.
//
//     Resuming is a `bx` through another register than lr, which a processor predicts as the
//     indirect branch that it is; `bx lr` and loads into pc would be taken for returns.
//
// (e) At the entry stub: r4 holds the entry function, r5 its argument, r11 and r7 zero; sp is the
//     top of the stack.
//
// C++ unwinds here by the table of exceptions, not by DWARF. It describes a function where it calls
// others, and cannot say more: so one entry of that table covers both functions below, and says
// that nobody unwinds through them. The switch calls nobody, and the stub has no caller. CFI is for
// debuggers and profilers, in a section that is not loaded.

#include "asm.h"
#include "armv7-aapcs.h"

    .syntax unified
#ifdef __thumb__
    .thumb
#else
    .arm
#endif
    .cfi_sections .debug_frame
    .text
    .p2align 6
    .fnstart
    .cantunwind

// intptr_t heddle_switch(heddle_context* from (r0), const heddle_context* to (r1), value (r2))
HEDDLE_FUNCTION(heddle_switch)
    ldr     r3, [r1, #HEDDLE_CONTEXT_PC]
    ldr     r12, [r1, #HEDDLE_CONTEXT_SP]
    .cfi_remember_state
    vpush   {d8-d15}
    .cfi_adjust_cfa_offset HEDDLE_VECTOR_BYTES
    .cfi_offset d8, HEDDLE_SAVE_D8
    .cfi_offset d9, HEDDLE_SAVE_D9
    .cfi_offset d10, HEDDLE_SAVE_D10
    .cfi_offset d11, HEDDLE_SAVE_D11
    .cfi_offset d12, HEDDLE_SAVE_D12
    .cfi_offset d13, HEDDLE_SAVE_D13
    .cfi_offset d14, HEDDLE_SAVE_D14
    .cfi_offset d15, HEDDLE_SAVE_D15
    push    {r4-r10}
    .cfi_adjust_cfa_offset HEDDLE_GENERAL_BYTES
    .cfi_offset r4, HEDDLE_SAVE_R4
    .cfi_offset r5, HEDDLE_SAVE_R5
    .cfi_offset r6, HEDDLE_SAVE_R6
    .cfi_offset r7, HEDDLE_SAVE_R7
    .cfi_offset r8, HEDDLE_SAVE_R8
    .cfi_offset r9, HEDDLE_SAVE_R9
    .cfi_offset r10, HEDDLE_SAVE_R10
#ifdef HEDDLE_FP_PRESERVED
    vmrs    r4, fpscr
    push    {r4}
    .cfi_adjust_cfa_offset HEDDLE_FPSCR_BYTES
#endif
    str     r11, [r0, #HEDDLE_CONTEXT_FP]
    // r11 is at HEDDLE_CONTEXT_FP(r0): DW_CFA_expression (0x10), register 11, 2 bytes: DW_OP_breg0
    // (0x70, r0 plus a signed LEB128 number), the number.
    .cfi_escape 0x10, 11, 2, 0x70, HEDDLE_CONTEXT_FP
    str     lr, [r0, #HEDDLE_CONTEXT_PC]
    str     sp, [r0, #HEDDLE_CONTEXT_SP]

    // What is loaded belongs to the other flow, but until sp does too, the unwinder sees this one,
    // by what has just been stored.
#ifdef HEDDLE_FP_PRESERVED
    ldr     r4, [r12], #HEDDLE_FPSCR_BYTES
    vmsr    fpscr, r4
#endif
    ldr     r11, [r1, #HEDDLE_CONTEXT_FP]
    ldmia   r12!, {r4-r10}
    vldmia  r12!, {d8-d15}
    mov     sp, r12
    // Everything is in its place, but for the return address.
    .cfi_restore_state
    .cfi_register lr, r3
    mov     r0, r2
    bx      r3
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context. The CFA is the stack's top.
HEDDLE_FUNCTION(heddle_entry)
    .cfi_undefined lr
    // A fresh context resumes behind this instruction, at HEDDLE_ENTRY_OFFSET.
    nop
    // Step over the frame that context_make wrote.
    sub     sp, sp, #HEDDLE_FRAME_BYTES
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    mov     r0, r5
    blx     r4
    udf     #0
HEDDLE_FUNCTION_END(heddle_entry)
    .fnend

HEDDLE_END
