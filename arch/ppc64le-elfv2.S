// The context switch for 64-bit Power, little endian, under the ELFv2 ABI.
//
// (a) ABI: 64-Bit ELF V2 ABI Specification for the Power Architecture (OpenPOWER), revision 1.5;
//     sections 2.2.1 (registers and their owners), 2.2.2 (stack frame, protected zone), 2.3.2
//     (entry points and r2).
//
// (b) Preserved: r1, the stack pointer; r14 to r31, f14 to f31, v20 to v31 and the fields 2, 3 and
//     4 of CR, which 2.2.1 calls nonvolatile. Of the vector-scalar registers these are 14 to 31, in
//     their first halves, and 52 to 63. r2, because callers within one module need no instruction
//     that brings it back; code without a TOC pointer may call with anything in it. LR holds the
//     return address. With HEDDLE_FP_PRESERVED also the control bits of FPSCR and VSCR.
//
// (c) Not preserved: the other registers are volatile, the second halves of vector-scalar registers
//     0 to 31 included. r13 is the thread pointer. VRSAVE is reserved and never touched.
//
// (d) The frame of a suspended context, highest address first. S is the saved stack pointer, a
//     multiple of 16:
//
//         S + 520  CR, in the header of the caller's frame, where 2.2.2 has its slot
//         S + 512  the caller's frame; the CFA
//         S + 368  r14 to r31
//         S + 224  f14 to f31
//         S +  32  v20 to v31
//         S +  24  r2
//         S +  16  VSCR, one word  } only with
//         S +   8  FPSCR           } HEDDLE_FP_PRESERVED
//         S        the back chain, to S + 512
//
//     The protected zone below a stack pointer has 288 bytes for a function without a frame (and
//     more that is the system's): too few for the vectors, so the stack pointer moves. The return
//     address is in the context alone (HEDDLE_CONTEXT_PC), and not in the caller's slot for LR. A
//     debugger that walks a suspended context starts there with r1 = S + 512, and takes the rest
//     from this frame.
//
//     Resuming goes through CTR: a branch through LR is predicted as a return from the latest call.
//
// (e) At the entry stub: r14 holds the entry function, r15 its argument; r1 is HEDDLE_HEADER_BYTES
//     below the top of the stack, a multiple of 16, and points to a zero back chain.

#include "asm.h"
#include "ppc64le-elfv2.h"

    .abiversion 2

// intptr_t heddle_switch(heddle_context* from (r3), const heddle_context* to (r4), value (r5))
//
// The only entry point, for calls from other modules as well: no r2 is set up, as none is used.
HEDDLE_FUNCTION(heddle_switch)
    ld      %r6, HEDDLE_CONTEXT_PC(%r4)
    ld      %r7, HEDDLE_CONTEXT_SP(%r4)
    mflr    %r8
    mfcr    %r9
    stw     %r9, HEDDLE_CALLER_CR(%r1)
    // Moves the stack pointer and stores the back chain at once.
    stdu    %r1, -HEDDLE_SAVES_BYTES(%r1)
    .cfi_adjust_cfa_offset HEDDLE_SAVES_BYTES
    std     %r2, HEDDLE_SAVE_R2(%r1)
    std     %r14, HEDDLE_SAVE_R14(%r1)
    std     %r15, HEDDLE_SAVE_R15(%r1)
    std     %r16, HEDDLE_SAVE_R16(%r1)
    std     %r17, HEDDLE_SAVE_R17(%r1)
    std     %r18, HEDDLE_SAVE_R18(%r1)
    std     %r19, HEDDLE_SAVE_R19(%r1)
    std     %r20, HEDDLE_SAVE_R20(%r1)
    std     %r21, HEDDLE_SAVE_R21(%r1)
    std     %r22, HEDDLE_SAVE_R22(%r1)
    std     %r23, HEDDLE_SAVE_R23(%r1)
    std     %r24, HEDDLE_SAVE_R24(%r1)
    std     %r25, HEDDLE_SAVE_R25(%r1)
    std     %r26, HEDDLE_SAVE_R26(%r1)
    std     %r27, HEDDLE_SAVE_R27(%r1)
    std     %r28, HEDDLE_SAVE_R28(%r1)
    std     %r29, HEDDLE_SAVE_R29(%r1)
    std     %r30, HEDDLE_SAVE_R30(%r1)
    std     %r31, HEDDLE_SAVE_R31(%r1)
    stfd    %f14, HEDDLE_SAVE_F14(%r1)
    stfd    %f15, HEDDLE_SAVE_F15(%r1)
    stfd    %f16, HEDDLE_SAVE_F16(%r1)
    stfd    %f17, HEDDLE_SAVE_F17(%r1)
    stfd    %f18, HEDDLE_SAVE_F18(%r1)
    stfd    %f19, HEDDLE_SAVE_F19(%r1)
    stfd    %f20, HEDDLE_SAVE_F20(%r1)
    stfd    %f21, HEDDLE_SAVE_F21(%r1)
    stfd    %f22, HEDDLE_SAVE_F22(%r1)
    stfd    %f23, HEDDLE_SAVE_F23(%r1)
    stfd    %f24, HEDDLE_SAVE_F24(%r1)
    stfd    %f25, HEDDLE_SAVE_F25(%r1)
    stfd    %f26, HEDDLE_SAVE_F26(%r1)
    stfd    %f27, HEDDLE_SAVE_F27(%r1)
    stfd    %f28, HEDDLE_SAVE_F28(%r1)
    stfd    %f29, HEDDLE_SAVE_F29(%r1)
    stfd    %f30, HEDDLE_SAVE_F30(%r1)
    stfd    %f31, HEDDLE_SAVE_F31(%r1)
    li      %r9, HEDDLE_SAVE_V20
    stvx    %v20, %r1, %r9
    li      %r9, HEDDLE_SAVE_V21
    stvx    %v21, %r1, %r9
    li      %r9, HEDDLE_SAVE_V22
    stvx    %v22, %r1, %r9
    li      %r9, HEDDLE_SAVE_V23
    stvx    %v23, %r1, %r9
    li      %r9, HEDDLE_SAVE_V24
    stvx    %v24, %r1, %r9
    li      %r9, HEDDLE_SAVE_V25
    stvx    %v25, %r1, %r9
    li      %r9, HEDDLE_SAVE_V26
    stvx    %v26, %r1, %r9
    li      %r9, HEDDLE_SAVE_V27
    stvx    %v27, %r1, %r9
    li      %r9, HEDDLE_SAVE_V28
    stvx    %v28, %r1, %r9
    li      %r9, HEDDLE_SAVE_V29
    stvx    %v29, %r1, %r9
    li      %r9, HEDDLE_SAVE_V30
    stvx    %v30, %r1, %r9
    li      %r9, HEDDLE_SAVE_V31
    stvx    %v31, %r1, %r9
#ifdef HEDDLE_FP_PRESERVED
    mffs    %f0
    stfd    %f0, HEDDLE_SAVE_FPSCR(%r1)
    mfvscr  %v0
    li      %r9, HEDDLE_SAVE_VSCR
    stvewx  %v0, %r1, %r9
#endif
    std     %r1, HEDDLE_CONTEXT_SP(%r3)
    std     %r8, HEDDLE_CONTEXT_PC(%r3)
    .cfi_remember_state

    mr      %r1, %r7
    // The other flow from here on, whose frame has the same size, and whose return address is in
    // r6. DWARF counts the fields of CR one by one, but all three rules name the whole word.
    .cfi_register lr, %r6
    .cfi_offset cr2, HEDDLE_CALLER_CR
    .cfi_offset cr3, HEDDLE_CALLER_CR
    .cfi_offset cr4, HEDDLE_CALLER_CR
    .cfi_offset %r2, HEDDLE_SAVE_R2 - HEDDLE_SAVES_BYTES
    .cfi_offset %r14, HEDDLE_SAVE_R14 - HEDDLE_SAVES_BYTES
    .cfi_offset %r15, HEDDLE_SAVE_R15 - HEDDLE_SAVES_BYTES
    .cfi_offset %r16, HEDDLE_SAVE_R16 - HEDDLE_SAVES_BYTES
    .cfi_offset %r17, HEDDLE_SAVE_R17 - HEDDLE_SAVES_BYTES
    .cfi_offset %r18, HEDDLE_SAVE_R18 - HEDDLE_SAVES_BYTES
    .cfi_offset %r19, HEDDLE_SAVE_R19 - HEDDLE_SAVES_BYTES
    .cfi_offset %r20, HEDDLE_SAVE_R20 - HEDDLE_SAVES_BYTES
    .cfi_offset %r21, HEDDLE_SAVE_R21 - HEDDLE_SAVES_BYTES
    .cfi_offset %r22, HEDDLE_SAVE_R22 - HEDDLE_SAVES_BYTES
    .cfi_offset %r23, HEDDLE_SAVE_R23 - HEDDLE_SAVES_BYTES
    .cfi_offset %r24, HEDDLE_SAVE_R24 - HEDDLE_SAVES_BYTES
    .cfi_offset %r25, HEDDLE_SAVE_R25 - HEDDLE_SAVES_BYTES
    .cfi_offset %r26, HEDDLE_SAVE_R26 - HEDDLE_SAVES_BYTES
    .cfi_offset %r27, HEDDLE_SAVE_R27 - HEDDLE_SAVES_BYTES
    .cfi_offset %r28, HEDDLE_SAVE_R28 - HEDDLE_SAVES_BYTES
    .cfi_offset %r29, HEDDLE_SAVE_R29 - HEDDLE_SAVES_BYTES
    .cfi_offset %r30, HEDDLE_SAVE_R30 - HEDDLE_SAVES_BYTES
    .cfi_offset %r31, HEDDLE_SAVE_R31 - HEDDLE_SAVES_BYTES
    .cfi_offset %f14, HEDDLE_SAVE_F14 - HEDDLE_SAVES_BYTES
    .cfi_offset %f15, HEDDLE_SAVE_F15 - HEDDLE_SAVES_BYTES
    .cfi_offset %f16, HEDDLE_SAVE_F16 - HEDDLE_SAVES_BYTES
    .cfi_offset %f17, HEDDLE_SAVE_F17 - HEDDLE_SAVES_BYTES
    .cfi_offset %f18, HEDDLE_SAVE_F18 - HEDDLE_SAVES_BYTES
    .cfi_offset %f19, HEDDLE_SAVE_F19 - HEDDLE_SAVES_BYTES
    .cfi_offset %f20, HEDDLE_SAVE_F20 - HEDDLE_SAVES_BYTES
    .cfi_offset %f21, HEDDLE_SAVE_F21 - HEDDLE_SAVES_BYTES
    .cfi_offset %f22, HEDDLE_SAVE_F22 - HEDDLE_SAVES_BYTES
    .cfi_offset %f23, HEDDLE_SAVE_F23 - HEDDLE_SAVES_BYTES
    .cfi_offset %f24, HEDDLE_SAVE_F24 - HEDDLE_SAVES_BYTES
    .cfi_offset %f25, HEDDLE_SAVE_F25 - HEDDLE_SAVES_BYTES
    .cfi_offset %f26, HEDDLE_SAVE_F26 - HEDDLE_SAVES_BYTES
    .cfi_offset %f27, HEDDLE_SAVE_F27 - HEDDLE_SAVES_BYTES
    .cfi_offset %f28, HEDDLE_SAVE_F28 - HEDDLE_SAVES_BYTES
    .cfi_offset %f29, HEDDLE_SAVE_F29 - HEDDLE_SAVES_BYTES
    .cfi_offset %f30, HEDDLE_SAVE_F30 - HEDDLE_SAVES_BYTES
    .cfi_offset %f31, HEDDLE_SAVE_F31 - HEDDLE_SAVES_BYTES
    .cfi_offset %v20, HEDDLE_SAVE_V20 - HEDDLE_SAVES_BYTES
    .cfi_offset %v21, HEDDLE_SAVE_V21 - HEDDLE_SAVES_BYTES
    .cfi_offset %v22, HEDDLE_SAVE_V22 - HEDDLE_SAVES_BYTES
    .cfi_offset %v23, HEDDLE_SAVE_V23 - HEDDLE_SAVES_BYTES
    .cfi_offset %v24, HEDDLE_SAVE_V24 - HEDDLE_SAVES_BYTES
    .cfi_offset %v25, HEDDLE_SAVE_V25 - HEDDLE_SAVES_BYTES
    .cfi_offset %v26, HEDDLE_SAVE_V26 - HEDDLE_SAVES_BYTES
    .cfi_offset %v27, HEDDLE_SAVE_V27 - HEDDLE_SAVES_BYTES
    .cfi_offset %v28, HEDDLE_SAVE_V28 - HEDDLE_SAVES_BYTES
    .cfi_offset %v29, HEDDLE_SAVE_V29 - HEDDLE_SAVES_BYTES
    .cfi_offset %v30, HEDDLE_SAVE_V30 - HEDDLE_SAVES_BYTES
    .cfi_offset %v31, HEDDLE_SAVE_V31 - HEDDLE_SAVES_BYTES
    ld      %r2, HEDDLE_SAVE_R2(%r1)
    ld      %r14, HEDDLE_SAVE_R14(%r1)
    ld      %r15, HEDDLE_SAVE_R15(%r1)
    ld      %r16, HEDDLE_SAVE_R16(%r1)
    ld      %r17, HEDDLE_SAVE_R17(%r1)
    ld      %r18, HEDDLE_SAVE_R18(%r1)
    ld      %r19, HEDDLE_SAVE_R19(%r1)
    ld      %r20, HEDDLE_SAVE_R20(%r1)
    ld      %r21, HEDDLE_SAVE_R21(%r1)
    ld      %r22, HEDDLE_SAVE_R22(%r1)
    ld      %r23, HEDDLE_SAVE_R23(%r1)
    ld      %r24, HEDDLE_SAVE_R24(%r1)
    ld      %r25, HEDDLE_SAVE_R25(%r1)
    ld      %r26, HEDDLE_SAVE_R26(%r1)
    ld      %r27, HEDDLE_SAVE_R27(%r1)
    ld      %r28, HEDDLE_SAVE_R28(%r1)
    ld      %r29, HEDDLE_SAVE_R29(%r1)
    ld      %r30, HEDDLE_SAVE_R30(%r1)
    ld      %r31, HEDDLE_SAVE_R31(%r1)
    lfd     %f14, HEDDLE_SAVE_F14(%r1)
    lfd     %f15, HEDDLE_SAVE_F15(%r1)
    lfd     %f16, HEDDLE_SAVE_F16(%r1)
    lfd     %f17, HEDDLE_SAVE_F17(%r1)
    lfd     %f18, HEDDLE_SAVE_F18(%r1)
    lfd     %f19, HEDDLE_SAVE_F19(%r1)
    lfd     %f20, HEDDLE_SAVE_F20(%r1)
    lfd     %f21, HEDDLE_SAVE_F21(%r1)
    lfd     %f22, HEDDLE_SAVE_F22(%r1)
    lfd     %f23, HEDDLE_SAVE_F23(%r1)
    lfd     %f24, HEDDLE_SAVE_F24(%r1)
    lfd     %f25, HEDDLE_SAVE_F25(%r1)
    lfd     %f26, HEDDLE_SAVE_F26(%r1)
    lfd     %f27, HEDDLE_SAVE_F27(%r1)
    lfd     %f28, HEDDLE_SAVE_F28(%r1)
    lfd     %f29, HEDDLE_SAVE_F29(%r1)
    lfd     %f30, HEDDLE_SAVE_F30(%r1)
    lfd     %f31, HEDDLE_SAVE_F31(%r1)
    li      %r9, HEDDLE_SAVE_V20
    lvx     %v20, %r1, %r9
    li      %r9, HEDDLE_SAVE_V21
    lvx     %v21, %r1, %r9
    li      %r9, HEDDLE_SAVE_V22
    lvx     %v22, %r1, %r9
    li      %r9, HEDDLE_SAVE_V23
    lvx     %v23, %r1, %r9
    li      %r9, HEDDLE_SAVE_V24
    lvx     %v24, %r1, %r9
    li      %r9, HEDDLE_SAVE_V25
    lvx     %v25, %r1, %r9
    li      %r9, HEDDLE_SAVE_V26
    lvx     %v26, %r1, %r9
    li      %r9, HEDDLE_SAVE_V27
    lvx     %v27, %r1, %r9
    li      %r9, HEDDLE_SAVE_V28
    lvx     %v28, %r1, %r9
    li      %r9, HEDDLE_SAVE_V29
    lvx     %v29, %r1, %r9
    li      %r9, HEDDLE_SAVE_V30
    lvx     %v30, %r1, %r9
    li      %r9, HEDDLE_SAVE_V31
    lvx     %v31, %r1, %r9
#ifdef HEDDLE_FP_PRESERVED
    // Field 7 of each half of FPSCR, and field 6 of the lower: the control bits and no status.
    lfd     %f0, HEDDLE_SAVE_FPSCR(%r1)
    mtfsf   0x03, %f0
    mtfsf   0x01, %f0, 0, 1
    li      %r9, HEDDLE_SAVE_VSCR
    lvewx   %v0, %r1, %r9
    mtvscr  %v0
#endif
    lwz     %r9, HEDDLE_SAVES_BYTES + HEDDLE_CALLER_CR(%r1)
    // One field at a time, because that is what processors do without microcode.
    mtocrf  0x20, %r9
    mtocrf  0x10, %r9
    mtocrf  0x08, %r9
    mtctr   %r6
    mr      %r3, %r5
    addi    %r1, %r1, HEDDLE_SAVES_BYTES
    // The frame is free, so its rules go, but for that of the return address.
    .cfi_restore_state
    .cfi_adjust_cfa_offset -HEDDLE_SAVES_BYTES
    .cfi_register lr, %r6
    bctr
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context. Nothing called it, so the CFA is the stack's top and
// the return address undefined.
HEDDLE_FUNCTION(heddle_entry)
    .cfi_undefined lr
    .cfi_def_cfa_offset HEDDLE_HEADER_BYTES
    nop
    // A frame for the entry function's caller, below the one that context_make wrote. The chain of
    // frames ends in this one, whatever a successor writes into the other.
    li      %r0, 0
    stdu    %r1, -HEDDLE_FRAME_BYTES(%r1)
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    std     %r0, HEDDLE_BACK_CHAIN(%r1)
    mr      %r3, %r15
    // A function called by its address finds its TOC from that address, in r12.
    mr      %r12, %r14
    mtctr   %r12
    bctrl
    // The entry function must not return.
    trap
HEDDLE_FUNCTION_END(heddle_entry)

HEDDLE_END
