// The context switch for 64-bit RISC-V with double-precision floating point (LP64D).
//
// (a) ABI: RISC-V ELF psABI, version 1.0, chapter 1: sections 1.1 (integer registers, the stack's
//     alignment), 1.2 (the frame pointer), 1.4 (floating-point registers), and DWARF register
//     numbers as in its chapter 6.
//
// (b) Preserved: sp, and s0, which holds the frame pointer where there is one; s1 to s11 and fs0 to
//     fs11, which 1.1 and 1.4 give to the caller, these in all 64 bits, as LP64D has them. With
//     HEDDLE_FP_PRESERVED also frm, the rounding mode: the only control that fcsr has.
//
// (c) Not preserved: every other register is the callee's to destroy, the vector registers and
//     their controls (vl, vtype, vxrm) included. frm is left alone by default, and the flags beside
//     it in fcsr always are nobody's. gp and tp are not the callee's at all: nothing changes them
//     after the start of the thread, and every context of a thread has the same.
//
// (d) The frame of a suspended context, highest address first. S is the saved stack pointer:
//
//         S + 192  the caller's frame, as the call to heddle_switch left it; the CFA
//         S + 184  s1
//         S + 176  s2
//           ...    s3 to s10, downwards
//         S + 104  s11
//         S +  96  fs0
//         S +  88  fs1
//           ...    fs2 to fs10, downwards
//         S +   8  fs11
//         S        frm, only with HEDDLE_FP_PRESERVED
//
//     There is no red zone, so the stack pointer steps over the frame before anything is stored,
//     and back when all of it has been read. The return address and s0 are kept in the context
//     alone (HEDDLE_CONTEXT_PC, HEDDLE_CONTEXT_FP).
//
//     A debugger that walks a suspended context starts at its resume address with sp = S + 192,
//     s0 from the context, and the rest from this frame.
//
//     Resuming is a jump through t2. Through ra or t0 it would be a hint to the predictor of
//     returns to take the last call's entry, which is another fiber's (RISC-V ISA, volume I,
//     section 2.5.1, the table of return-address stack hints; of other registers it says: none).
//     Among those t2 alone needs no landing pad at its target where the extension Zicfilp demands
//     them, and compilers put none after a call.
//
// (e) At the entry stub: s1 holds the entry function, s2 its argument, s0 zero; sp is the top of
//     the stack and a multiple of 16.

#include "asm.h"
#include "riscv64-lp64d.h"

// intptr_t heddle_switch(heddle_context* from (a0), const heddle_context* to (a1), value (a2))
HEDDLE_FUNCTION(heddle_switch)
    ld      t2, HEDDLE_CONTEXT_PC(a1)
    ld      t3, HEDDLE_CONTEXT_SP(a1)
    .cfi_remember_state
    addi    sp, sp, -HEDDLE_FRAME_BYTES
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    sd      s1, HEDDLE_SAVE_S1(sp)
    sd      s2, HEDDLE_SAVE_S2(sp)
    sd      s3, HEDDLE_SAVE_S3(sp)
    sd      s4, HEDDLE_SAVE_S4(sp)
    sd      s5, HEDDLE_SAVE_S5(sp)
    sd      s6, HEDDLE_SAVE_S6(sp)
    sd      s7, HEDDLE_SAVE_S7(sp)
    sd      s8, HEDDLE_SAVE_S8(sp)
    sd      s9, HEDDLE_SAVE_S9(sp)
    sd      s10, HEDDLE_SAVE_S10(sp)
    sd      s11, HEDDLE_SAVE_S11(sp)
    fsd     fs0, HEDDLE_SAVE_FS0(sp)
    fsd     fs1, HEDDLE_SAVE_FS1(sp)
    fsd     fs2, HEDDLE_SAVE_FS2(sp)
    fsd     fs3, HEDDLE_SAVE_FS3(sp)
    fsd     fs4, HEDDLE_SAVE_FS4(sp)
    fsd     fs5, HEDDLE_SAVE_FS5(sp)
    fsd     fs6, HEDDLE_SAVE_FS6(sp)
    fsd     fs7, HEDDLE_SAVE_FS7(sp)
    fsd     fs8, HEDDLE_SAVE_FS8(sp)
    fsd     fs9, HEDDLE_SAVE_FS9(sp)
    fsd     fs10, HEDDLE_SAVE_FS10(sp)
    fsd     fs11, HEDDLE_SAVE_FS11(sp)
#ifdef HEDDLE_FP_PRESERVED
    frrm    t0
    sd      t0, HEDDLE_SAVE_FRM(sp)
#endif
    sd      s0, HEDDLE_CONTEXT_FP(a0)
    sd      sp, HEDDLE_CONTEXT_SP(a0)
    sd      ra, HEDDLE_CONTEXT_PC(a0)

    mv      sp, t3
    // From here on the unwinder sees the other flow: its return address is in t2, and its registers
    // are where its own switch stored them.
    .cfi_register ra, t2
    .cfi_offset s1, HEDDLE_SAVE_S1 - HEDDLE_FRAME_BYTES
    .cfi_offset s2, HEDDLE_SAVE_S2 - HEDDLE_FRAME_BYTES
    .cfi_offset s3, HEDDLE_SAVE_S3 - HEDDLE_FRAME_BYTES
    .cfi_offset s4, HEDDLE_SAVE_S4 - HEDDLE_FRAME_BYTES
    .cfi_offset s5, HEDDLE_SAVE_S5 - HEDDLE_FRAME_BYTES
    .cfi_offset s6, HEDDLE_SAVE_S6 - HEDDLE_FRAME_BYTES
    .cfi_offset s7, HEDDLE_SAVE_S7 - HEDDLE_FRAME_BYTES
    .cfi_offset s8, HEDDLE_SAVE_S8 - HEDDLE_FRAME_BYTES
    .cfi_offset s9, HEDDLE_SAVE_S9 - HEDDLE_FRAME_BYTES
    .cfi_offset s10, HEDDLE_SAVE_S10 - HEDDLE_FRAME_BYTES
    .cfi_offset s11, HEDDLE_SAVE_S11 - HEDDLE_FRAME_BYTES
    .cfi_offset fs0, HEDDLE_SAVE_FS0 - HEDDLE_FRAME_BYTES
    .cfi_offset fs1, HEDDLE_SAVE_FS1 - HEDDLE_FRAME_BYTES
    .cfi_offset fs2, HEDDLE_SAVE_FS2 - HEDDLE_FRAME_BYTES
    .cfi_offset fs3, HEDDLE_SAVE_FS3 - HEDDLE_FRAME_BYTES
    .cfi_offset fs4, HEDDLE_SAVE_FS4 - HEDDLE_FRAME_BYTES
    .cfi_offset fs5, HEDDLE_SAVE_FS5 - HEDDLE_FRAME_BYTES
    .cfi_offset fs6, HEDDLE_SAVE_FS6 - HEDDLE_FRAME_BYTES
    .cfi_offset fs7, HEDDLE_SAVE_FS7 - HEDDLE_FRAME_BYTES
    .cfi_offset fs8, HEDDLE_SAVE_FS8 - HEDDLE_FRAME_BYTES
    .cfi_offset fs9, HEDDLE_SAVE_FS9 - HEDDLE_FRAME_BYTES
    .cfi_offset fs10, HEDDLE_SAVE_FS10 - HEDDLE_FRAME_BYTES
    .cfi_offset fs11, HEDDLE_SAVE_FS11 - HEDDLE_FRAME_BYTES
    // s0 is at HEDDLE_CONTEXT_FP(a1): DW_CFA_expression (0x10), register 8 (s0), 2 bytes:
    // DW_OP_breg11 (0x7b, a1 plus a signed LEB128 number), the number.
    .cfi_escape 0x10, 8, 2, 0x7b, HEDDLE_CONTEXT_FP
    ld      s0, HEDDLE_CONTEXT_FP(a1)
    ld      s1, HEDDLE_SAVE_S1(sp)
    ld      s2, HEDDLE_SAVE_S2(sp)
    ld      s3, HEDDLE_SAVE_S3(sp)
    ld      s4, HEDDLE_SAVE_S4(sp)
    ld      s5, HEDDLE_SAVE_S5(sp)
    ld      s6, HEDDLE_SAVE_S6(sp)
    ld      s7, HEDDLE_SAVE_S7(sp)
    ld      s8, HEDDLE_SAVE_S8(sp)
    ld      s9, HEDDLE_SAVE_S9(sp)
    ld      s10, HEDDLE_SAVE_S10(sp)
    ld      s11, HEDDLE_SAVE_S11(sp)
    fld     fs0, HEDDLE_SAVE_FS0(sp)
    fld     fs1, HEDDLE_SAVE_FS1(sp)
    fld     fs2, HEDDLE_SAVE_FS2(sp)
    fld     fs3, HEDDLE_SAVE_FS3(sp)
    fld     fs4, HEDDLE_SAVE_FS4(sp)
    fld     fs5, HEDDLE_SAVE_FS5(sp)
    fld     fs6, HEDDLE_SAVE_FS6(sp)
    fld     fs7, HEDDLE_SAVE_FS7(sp)
    fld     fs8, HEDDLE_SAVE_FS8(sp)
    fld     fs9, HEDDLE_SAVE_FS9(sp)
    fld     fs10, HEDDLE_SAVE_FS10(sp)
    fld     fs11, HEDDLE_SAVE_FS11(sp)
#ifdef HEDDLE_FP_PRESERVED
    ld      t0, HEDDLE_SAVE_FRM(sp)
    fsrm    t0
#endif
    mv      a0, a2
    addi    sp, sp, HEDDLE_FRAME_BYTES
    // A signal may now overwrite the frame: the rows are those of the first instruction again, all
    // registers as they are and the CFA sp, but the return address is still in t2.
    .cfi_restore_state
    .cfi_register ra, t2
    jr      t2
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context: see x86_64-sysv.S.
HEDDLE_FUNCTION(heddle_entry)
    .cfi_undefined ra
    // HEDDLE_ENTRY_OFFSET bytes, whether or not the assembler may compress.
    .option push
    .option norvc
    nop
    .option pop
    addi    sp, sp, -HEDDLE_FRAME_BYTES
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    mv      a0, s2
    jalr    s1
    unimp
HEDDLE_FUNCTION_END(heddle_entry)

HEDDLE_END
