// The context switch for AArch64 under AAPCS64, as Linux and the BSDs use it.
//
// (a) ABI: Procedure Call Standard for the Arm 64-bit Architecture (ARM-software/abi-aa, aapcs64);
//     sections 6.1.1 and 6.1.2 (registers and their owners), 6.4.5 (the stack and its alignment).
//     DWARF for the Arm 64-bit Architecture (aadwarf64) for the signed return address, System V
//     ABI for the Arm 64-bit Architecture (sysvabi64) for the property note.
//
// (b) Preserved: sp and x29, which describe the frame; x19 to x28, which 6.1.1 gives to the
//     caller; d8 to d15, the low halves of v8 to v15, which 6.1.2 gives to it. With
//     HEDDLE_FP_PRESERVED also FPCR, which 6.1.2 makes a matter of the whole program.
//
// (c) Not preserved: the high halves of v8 to v15, and with them all that SVE adds, are the
//     callee's to destroy: only functions of the variant standard for SVE preserve more, and this
//     is none. x18 is the platform's and TPIDR_EL0 the thread's. FPSR collects what was raised,
//     for nobody in particular. Of SME nothing is exchanged: streaming mode is off at a call like
//     this one, and what ZA holds stays the thread's.
//
// (d) The frame of a suspended context, highest address first. S is the saved stack pointer:
//
//         S + 160 or S + 144    the caller's frame, as the call found it; the CFA
//         S + 144  FPCR         only with HEDDLE_FP_PRESERVED, and 8 bytes unused above it
//         S + 128  d14, d15
//         S + 112  d12, d13
//         S +  96  d10, d11
//         S +  80  d8, d9
//         S +  64  x27, x28
//         S +  48  x25, x26
//         S +  32  x23, x24
//         S +  16  x21, x22
//         S        x19, x20
//
//     Nothing may lie below sp (6.4.5), so sp moves before the registers are stored, and only
//     after they are loaded does it move back.
//
//     The return address is kept in the context alone (HEDDLE_CONTEXT_PC), beside S, and signed
//     like that of any function built with return address protection: key A, and as modifier the
//     CFA, sp at the call. A write to a suspended context thus cannot choose where it continues.
//     The keys belong to the process, so any thread may resume it, but never on a moved stack. A
//     debugger that walks a suspended context starts at that address less the bits of the
//     signature (XPACI; where a processor signs nothing there are none) with sp the CFA, x29 from
//     the context (HEDDLE_CONTEXT_FP), and the rest from this frame. Or it starts in the switch,
//     behind `mov sp, x9`, with S in sp, that address in x10 and the context's own in x1: then the
//     unwind information finds all the rest.
//
//     Resuming is a `ret`, the one indirect branch that may land where there is no landing pad,
//     and compilers put none behind a call. A `br` would be predicted better.
//
// (e) At the entry stub: x19 holds the entry function, x20 its argument, x29 zero; sp is the top
//     of the stack and a multiple of 16.

#include "asm.h"
#include "aarch64-aapcs.h"

// intptr_t heddle_switch(heddle_context* from (x0), const heddle_context* to (x1), value (x2))
HEDDLE_FUNCTION(heddle_switch)
    // Signs x30, and is a landing pad for `blr` too, as `bti c` would be.
    paciasp
    .cfi_negate_ra_state
    ldp     x9, x10, [x1, HEDDLE_CONTEXT_SP]
    sub     sp, sp, HEDDLE_FRAME_BYTES
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    stp     x19, x20, [sp, HEDDLE_SAVE_X19_X20]
    stp     x21, x22, [sp, HEDDLE_SAVE_X21_X22]
    stp     x23, x24, [sp, HEDDLE_SAVE_X23_X24]
    stp     x25, x26, [sp, HEDDLE_SAVE_X25_X26]
    stp     x27, x28, [sp, HEDDLE_SAVE_X27_X28]
    stp     d8, d9, [sp, HEDDLE_SAVE_D8_D9]
    stp     d10, d11, [sp, HEDDLE_SAVE_D10_D11]
    stp     d12, d13, [sp, HEDDLE_SAVE_D12_D13]
    stp     d14, d15, [sp, HEDDLE_SAVE_D14_D15]
#ifdef HEDDLE_FP_PRESERVED
    mrs     x11, fpcr
    str     x11, [sp, HEDDLE_SAVE_FPCR]
#endif
    mov     x12, sp
    str     x29, [x0, HEDDLE_CONTEXT_FP]
    stp     x12, x30, [x0, HEDDLE_CONTEXT_SP]
    .cfi_remember_state

    mov     sp, x9
    // From here on the unwinder sees the other flow, whose frame has the same size, and whose
    // return address, signed, is in x10. Its registers stay where they were stored, so that one
    // rule for each holds before and after it has been loaded.
    .cfi_register x30, x10
    .cfi_offset x19, HEDDLE_SAVE_X19_X20 - HEDDLE_FRAME_BYTES
    .cfi_offset x20, HEDDLE_SAVE_X19_X20 + 8 - HEDDLE_FRAME_BYTES
    .cfi_offset x21, HEDDLE_SAVE_X21_X22 - HEDDLE_FRAME_BYTES
    .cfi_offset x22, HEDDLE_SAVE_X21_X22 + 8 - HEDDLE_FRAME_BYTES
    .cfi_offset x23, HEDDLE_SAVE_X23_X24 - HEDDLE_FRAME_BYTES
    .cfi_offset x24, HEDDLE_SAVE_X23_X24 + 8 - HEDDLE_FRAME_BYTES
    .cfi_offset x25, HEDDLE_SAVE_X25_X26 - HEDDLE_FRAME_BYTES
    .cfi_offset x26, HEDDLE_SAVE_X25_X26 + 8 - HEDDLE_FRAME_BYTES
    .cfi_offset x27, HEDDLE_SAVE_X27_X28 - HEDDLE_FRAME_BYTES
    .cfi_offset x28, HEDDLE_SAVE_X27_X28 + 8 - HEDDLE_FRAME_BYTES
    .cfi_offset d8, HEDDLE_SAVE_D8_D9 - HEDDLE_FRAME_BYTES
    .cfi_offset d9, HEDDLE_SAVE_D8_D9 + 8 - HEDDLE_FRAME_BYTES
    .cfi_offset d10, HEDDLE_SAVE_D10_D11 - HEDDLE_FRAME_BYTES
    .cfi_offset d11, HEDDLE_SAVE_D10_D11 + 8 - HEDDLE_FRAME_BYTES
    .cfi_offset d12, HEDDLE_SAVE_D12_D13 - HEDDLE_FRAME_BYTES
    .cfi_offset d13, HEDDLE_SAVE_D12_D13 + 8 - HEDDLE_FRAME_BYTES
    .cfi_offset d14, HEDDLE_SAVE_D14_D15 - HEDDLE_FRAME_BYTES
    .cfi_offset d15, HEDDLE_SAVE_D14_D15 + 8 - HEDDLE_FRAME_BYTES
    // x29 is at HEDDLE_CONTEXT_FP(x1): DW_CFA_expression (0x10), register 29, 2 bytes:
    // DW_OP_breg1 (0x71, x1 plus a signed LEB128 number), the number.
    .cfi_escape 0x10, 29, 2, 0x71, HEDDLE_CONTEXT_FP
    ldr     x29, [x1, HEDDLE_CONTEXT_FP]
    ldp     x19, x20, [x9, HEDDLE_SAVE_X19_X20]
    ldp     x21, x22, [x9, HEDDLE_SAVE_X21_X22]
    ldp     x23, x24, [x9, HEDDLE_SAVE_X23_X24]
    ldp     x25, x26, [x9, HEDDLE_SAVE_X25_X26]
    ldp     x27, x28, [x9, HEDDLE_SAVE_X27_X28]
    ldp     d8, d9, [x9, HEDDLE_SAVE_D8_D9]
    ldp     d10, d11, [x9, HEDDLE_SAVE_D10_D11]
    ldp     d12, d13, [x9, HEDDLE_SAVE_D12_D13]
    ldp     d14, d15, [x9, HEDDLE_SAVE_D14_D15]
#ifdef HEDDLE_FP_PRESERVED
    // Written only if it differs, which is rare: a write may hold up all that follows.
    ldr     x13, [x9, HEDDLE_SAVE_FPCR]
    eor     x11, x11, x13
    cbz     x11, 1f
    msr     fpcr, x13
1:
#endif
    mov     x0, x2
    mov     x30, x10
    add     sp, sp, HEDDLE_FRAME_BYTES
    // The frame is free, so its rules go: all registers hold what they should, x30 still signed.
    .cfi_restore_state
    .cfi_adjust_cfa_offset -HEDDLE_FRAME_BYTES
    autiasp
    .cfi_negate_ra_state
    ret
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context. Nothing called it, so the CFA is the stack's top and
// the return address undefined; frame-pointer walkers stop at the zero in x29.
HEDDLE_FUNCTION(heddle_entry)
    .cfi_undefined x30
    // A fresh context resumes behind this instruction, at HEDDLE_ENTRY_OFFSET, by a `ret`.
    bti     c
    // Step over the frame that context_make wrote.
    sub     sp, sp, HEDDLE_FRAME_BYTES
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    mov     x0, x20
    blr     x19
    // The entry function must not return.
    brk     #1
HEDDLE_FUNCTION_END(heddle_entry)

// GNU_PROPERTY_AARCH64_FEATURE_1_AND (0xc0000000): bit 0, branch target identification, and bit 1,
// signed return addresses, are honoured. Bit 2, the guarded control stack, is not claimed, because
// the switch does not exchange it.
HEDDLE_PROPERTY(0xc0000000, 3)
HEDDLE_END
