// The context switch for 64-bit LoongArch with double-precision floating point (LP64D).
//
// (a) ABI: Procedure Call Standard for the LoongArch Architecture, version 20231219: "Processor
//     Architecture", and of "Subroutine Calling Sequence" the sections "The registers" and "The
//     stack".
//
// (b) Preserved: sp, and fp, which holds the frame pointer where there is one; s0 to s8 and fs0 to
//     fs7, which the first of these gives to the caller, these in the 64 bits that LP64D knows.
//     With HEDDLE_FP_PRESERVED also fcsr0, for its rounding mode and the bits that enable traps.
//
// (c) Not preserved: every other register is the callee's to destroy, so are the condition flags
//     fcc0 to fcc7 and what the vector registers have beyond 64 bits. The document says nothing of
//     fcsr0, which is left alone by default. tp and r21 are nobody's to allocate.
//
// (d) The frame of a suspended context, highest address first. S is the saved stack pointer:
//
//         S + 144  the caller's frame, as the call to heddle_switch left it; the CFA
//         S + 136  s0
//         S + 128  s1
//           ...    s2 to s7, downwards
//         S +  72  s8
//         S +  64  fs0
//         S +  56  fs1
//           ...    fs2 to fs6, downwards
//         S +   8  fs7
//         S        fcsr0, only with HEDDLE_FP_PRESERVED
//
//     Nothing below the stack pointer lasts ("The stack"), so it steps over the frame before
//     anything is stored, and back when all of it has been read. The return address and fp are kept
//     in the context alone (HEDDLE_CONTEXT_PC, HEDDLE_CONTEXT_FP).
//
//     A debugger that walks a suspended context starts at its resume address with sp = S + 144,
//     fp from the context, and the rest from this frame.
//
//     Resuming is a jump through t0. Processors take a jump through ra for a return, and predict it
//     from the last call, which is another fiber's (compilers avoid such jumps for the same reason:
//     GCC bug 110136).
//
// (e) At the entry stub: s0 holds the entry function, s1 its argument, fp zero; sp is the top of
//     the stack and a multiple of 16.

#include "asm.h"
#include "loongarch64-lp64d.h"

// intptr_t heddle_switch(heddle_context* from (a0), const heddle_context* to (a1), value (a2))
HEDDLE_FUNCTION(heddle_switch)
    ld.d    $t0, $a1, HEDDLE_CONTEXT_PC
    ld.d    $t1, $a1, HEDDLE_CONTEXT_SP
    .cfi_remember_state
    addi.d  $sp, $sp, -HEDDLE_FRAME_BYTES
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    st.d    $s0, $sp, HEDDLE_SAVE_S0
    st.d    $s1, $sp, HEDDLE_SAVE_S1
    st.d    $s2, $sp, HEDDLE_SAVE_S2
    st.d    $s3, $sp, HEDDLE_SAVE_S3
    st.d    $s4, $sp, HEDDLE_SAVE_S4
    st.d    $s5, $sp, HEDDLE_SAVE_S5
    st.d    $s6, $sp, HEDDLE_SAVE_S6
    st.d    $s7, $sp, HEDDLE_SAVE_S7
    st.d    $s8, $sp, HEDDLE_SAVE_S8
    fst.d   $fs0, $sp, HEDDLE_SAVE_FS0
    fst.d   $fs1, $sp, HEDDLE_SAVE_FS1
    fst.d   $fs2, $sp, HEDDLE_SAVE_FS2
    fst.d   $fs3, $sp, HEDDLE_SAVE_FS3
    fst.d   $fs4, $sp, HEDDLE_SAVE_FS4
    fst.d   $fs5, $sp, HEDDLE_SAVE_FS5
    fst.d   $fs6, $sp, HEDDLE_SAVE_FS6
    fst.d   $fs7, $sp, HEDDLE_SAVE_FS7
#ifdef HEDDLE_FP_PRESERVED
    movfcsr2gr $t2, $fcsr0
    st.d    $t2, $sp, HEDDLE_SAVE_FCSR
#endif
    st.d    $fp, $a0, HEDDLE_CONTEXT_FP
    st.d    $sp, $a0, HEDDLE_CONTEXT_SP
    st.d    $ra, $a0, HEDDLE_CONTEXT_PC

    move    $sp, $t1
    // From here on the unwinder sees the other flow: its return address is in t0, and its registers
    // are where its own switch stored them.
    .cfi_register HEDDLE_DWARF_RA, HEDDLE_DWARF_T0
    .cfi_offset HEDDLE_DWARF_S0, HEDDLE_SAVE_S0 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_S1, HEDDLE_SAVE_S1 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_S2, HEDDLE_SAVE_S2 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_S3, HEDDLE_SAVE_S3 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_S4, HEDDLE_SAVE_S4 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_S5, HEDDLE_SAVE_S5 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_S6, HEDDLE_SAVE_S6 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_S7, HEDDLE_SAVE_S7 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_S8, HEDDLE_SAVE_S8 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_FS0, HEDDLE_SAVE_FS0 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_FS1, HEDDLE_SAVE_FS1 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_FS2, HEDDLE_SAVE_FS2 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_FS3, HEDDLE_SAVE_FS3 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_FS4, HEDDLE_SAVE_FS4 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_FS5, HEDDLE_SAVE_FS5 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_FS6, HEDDLE_SAVE_FS6 - HEDDLE_FRAME_BYTES
    .cfi_offset HEDDLE_DWARF_FS7, HEDDLE_SAVE_FS7 - HEDDLE_FRAME_BYTES
    // fp is at HEDDLE_CONTEXT_FP(a1): DW_CFA_expression (0x10), the register, 2 bytes: DW_OP_breg5
    // (0x75, a1 plus a signed LEB128 number), the number.
    .cfi_escape 0x10, HEDDLE_DWARF_FP, 2, 0x75, HEDDLE_CONTEXT_FP
    ld.d    $fp, $a1, HEDDLE_CONTEXT_FP
    ld.d    $s0, $sp, HEDDLE_SAVE_S0
    ld.d    $s1, $sp, HEDDLE_SAVE_S1
    ld.d    $s2, $sp, HEDDLE_SAVE_S2
    ld.d    $s3, $sp, HEDDLE_SAVE_S3
    ld.d    $s4, $sp, HEDDLE_SAVE_S4
    ld.d    $s5, $sp, HEDDLE_SAVE_S5
    ld.d    $s6, $sp, HEDDLE_SAVE_S6
    ld.d    $s7, $sp, HEDDLE_SAVE_S7
    ld.d    $s8, $sp, HEDDLE_SAVE_S8
    fld.d   $fs0, $sp, HEDDLE_SAVE_FS0
    fld.d   $fs1, $sp, HEDDLE_SAVE_FS1
    fld.d   $fs2, $sp, HEDDLE_SAVE_FS2
    fld.d   $fs3, $sp, HEDDLE_SAVE_FS3
    fld.d   $fs4, $sp, HEDDLE_SAVE_FS4
    fld.d   $fs5, $sp, HEDDLE_SAVE_FS5
    fld.d   $fs6, $sp, HEDDLE_SAVE_FS6
    fld.d   $fs7, $sp, HEDDLE_SAVE_FS7
#ifdef HEDDLE_FP_PRESERVED
    ld.d    $t2, $sp, HEDDLE_SAVE_FCSR
    movgr2fcsr $fcsr0, $t2
#endif
    move    $a0, $a2
    addi.d  $sp, $sp, HEDDLE_FRAME_BYTES
    // A signal may now overwrite the frame: the rows are those of the first instruction again, all
    // registers as they are and the CFA sp, but the return address is still in t0.
    .cfi_restore_state
    .cfi_register HEDDLE_DWARF_RA, HEDDLE_DWARF_T0
    jr      $t0
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context: see x86_64-sysv.S.
HEDDLE_FUNCTION(heddle_entry)
    .cfi_undefined HEDDLE_DWARF_RA
    nop
    addi.d  $sp, $sp, -HEDDLE_FRAME_BYTES
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    move    $a0, $s1
    jirl    $ra, $s0, 0
    break   0
HEDDLE_FUNCTION_END(heddle_entry)

HEDDLE_END
