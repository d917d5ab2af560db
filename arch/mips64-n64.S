// The context switch for MIPS64 under the n64 ABI.
//
// (a) ABI: MIPSpro N32 ABI Handbook (007-2816), chapter 2, "Native 64-Bit (N64) and N32 Subprogram
//     Interface for MIPS Architectures"; table 2-4 sums up who saves what.
//
// (b) Preserved: $29 (sp) and $30 (fp), which describe the frame; $16 to $23 (s0 to s7), $28 (gp,
//     which n64 gives to the caller, unlike o32) and $f24 to $f31, which the table calls
//     callee-saved. With HEDDLE_FP_PRESERVED also FCSR, which the table does not speak of.
//
// (c) Not preserved: every other register is the callee's to destroy, with HI, LO and what MSA
//     adds to $f24 to $f31. $26 and $27 are the kernel's. $31 is the return address, which the
//     caller expects nowhere once the switch has returned to it.
//
// (d) The frame of a suspended context, highest address first. S is the saved stack pointer:
//
//         S + 144  the caller's frame; the CFA
//         S + 136  $16
//         S + 128  $17
//         S + 120  $18
//         S + 112  $19
//         S + 104  $20
//         S +  96  $21
//         S +  88  $22
//         S +  80  $23
//         S +  72  $28
//         S +  64  $f24
//         S +  56  $f25
//         S +  48  $f26
//         S +  40  $f27
//         S +  32  $f28
//         S +  24  $f29
//         S +  16  $f30
//         S +   8  $f31
//         S        FCSR, only with HEDDLE_FP_PRESERVED
//
//     The return address is in the context (HEDDLE_CONTEXT_PC), and so is $30 (HEDDLE_CONTEXT_FP).
//     A debugger that walks a suspended context starts there, with $29 = S + 144.
//
//     Resuming jumps through $8, because `jr $31` is what processors predict from the calls that
//     this thread made last.
//
// (e) At the entry stub: $17 holds the entry function, $16 its argument, $30 zero; $29 is the top
//     of the stack and a multiple of 16.

#include "asm.h"
#include "mips64-n64.h"

    // Instructions stand where they run: that behind a jump is its delay slot, and is indented.
    .set noreorder

// intptr_t heddle_switch(heddle_context* from ($4), const heddle_context* to ($5), value ($6))
HEDDLE_FUNCTION(heddle_switch)
    ld      $8, HEDDLE_CONTEXT_PC($5)
    ld      $9, HEDDLE_CONTEXT_SP($5)
    // A signal may arrive anywhere and writes below the stack pointer, so that this moves first.
    daddiu  $sp, $sp, -HEDDLE_FRAME_BYTES
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    sd      $16, HEDDLE_SAVE_S0($sp)
    sd      $17, HEDDLE_SAVE_S1($sp)
    sd      $18, HEDDLE_SAVE_S2($sp)
    sd      $19, HEDDLE_SAVE_S3($sp)
    sd      $20, HEDDLE_SAVE_S4($sp)
    sd      $21, HEDDLE_SAVE_S5($sp)
    sd      $22, HEDDLE_SAVE_S6($sp)
    sd      $23, HEDDLE_SAVE_S7($sp)
    sd      $28, HEDDLE_SAVE_GP($sp)
    sdc1    $f24, HEDDLE_SAVE_F24($sp)
    sdc1    $f25, HEDDLE_SAVE_F25($sp)
    sdc1    $f26, HEDDLE_SAVE_F26($sp)
    sdc1    $f27, HEDDLE_SAVE_F27($sp)
    sdc1    $f28, HEDDLE_SAVE_F28($sp)
    sdc1    $f29, HEDDLE_SAVE_F29($sp)
    sdc1    $f30, HEDDLE_SAVE_F30($sp)
    sdc1    $f31, HEDDLE_SAVE_F31($sp)
#ifdef HEDDLE_FP_PRESERVED
    cfc1    $10, $31  // FCSR is number 31 of the control registers
    sw      $10, HEDDLE_SAVE_FCSR($sp)
#endif
    sd      $30, HEDDLE_CONTEXT_FP($4)
    sd      $sp, HEDDLE_CONTEXT_SP($4)
    sd      $31, HEDDLE_CONTEXT_PC($4)

    move    $sp, $9
    // From here on the unwinder sees the other flow: its frame is of the same size, its return
    // address stays in $8, its registers stay where its own switch stored them.
    .cfi_register $31, $8
    .cfi_offset $16, HEDDLE_SAVE_S0 - HEDDLE_FRAME_BYTES
    .cfi_offset $17, HEDDLE_SAVE_S1 - HEDDLE_FRAME_BYTES
    .cfi_offset $18, HEDDLE_SAVE_S2 - HEDDLE_FRAME_BYTES
    .cfi_offset $19, HEDDLE_SAVE_S3 - HEDDLE_FRAME_BYTES
    .cfi_offset $20, HEDDLE_SAVE_S4 - HEDDLE_FRAME_BYTES
    .cfi_offset $21, HEDDLE_SAVE_S5 - HEDDLE_FRAME_BYTES
    .cfi_offset $22, HEDDLE_SAVE_S6 - HEDDLE_FRAME_BYTES
    .cfi_offset $23, HEDDLE_SAVE_S7 - HEDDLE_FRAME_BYTES
    .cfi_offset $28, HEDDLE_SAVE_GP - HEDDLE_FRAME_BYTES
    .cfi_offset 56, HEDDLE_SAVE_F24 - HEDDLE_FRAME_BYTES
    .cfi_offset 57, HEDDLE_SAVE_F25 - HEDDLE_FRAME_BYTES
    .cfi_offset 58, HEDDLE_SAVE_F26 - HEDDLE_FRAME_BYTES
    .cfi_offset 59, HEDDLE_SAVE_F27 - HEDDLE_FRAME_BYTES
    .cfi_offset 60, HEDDLE_SAVE_F28 - HEDDLE_FRAME_BYTES
    .cfi_offset 61, HEDDLE_SAVE_F29 - HEDDLE_FRAME_BYTES
    .cfi_offset 62, HEDDLE_SAVE_F30 - HEDDLE_FRAME_BYTES
    .cfi_offset 63, HEDDLE_SAVE_F31 - HEDDLE_FRAME_BYTES
    // $30 is at HEDDLE_CONTEXT_FP($5): DW_CFA_expression (0x10), register 30, 2 bytes:
    // DW_OP_breg5 (0x75, $5 plus a signed LEB128 number), the number.
    .cfi_escape 0x10, 30, 2, 0x75, HEDDLE_CONTEXT_FP
    ld      $30, HEDDLE_CONTEXT_FP($5)
    ld      $16, HEDDLE_SAVE_S0($sp)
    ld      $17, HEDDLE_SAVE_S1($sp)
    ld      $18, HEDDLE_SAVE_S2($sp)
    ld      $19, HEDDLE_SAVE_S3($sp)
    ld      $20, HEDDLE_SAVE_S4($sp)
    ld      $21, HEDDLE_SAVE_S5($sp)
    ld      $22, HEDDLE_SAVE_S6($sp)
    ld      $23, HEDDLE_SAVE_S7($sp)
    ld      $28, HEDDLE_SAVE_GP($sp)
    ldc1    $f24, HEDDLE_SAVE_F24($sp)
    ldc1    $f25, HEDDLE_SAVE_F25($sp)
    ldc1    $f26, HEDDLE_SAVE_F26($sp)
    ldc1    $f27, HEDDLE_SAVE_F27($sp)
    ldc1    $f28, HEDDLE_SAVE_F28($sp)
    ldc1    $f29, HEDDLE_SAVE_F29($sp)
    ldc1    $f30, HEDDLE_SAVE_F30($sp)
    ldc1    $f31, HEDDLE_SAVE_F31($sp)
#ifdef HEDDLE_FP_PRESERVED
    lw      $10, HEDDLE_SAVE_FCSR($sp)
    ctc1    $10, $31
#endif
    move    $2, $6
    // An interrupted delay slot is resumed at its jump, and unwound from there: the CFA moves only
    // where the jump arrives.
    jr      $8
      daddiu $sp, $sp, HEDDLE_FRAME_BYTES
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context; the end of every backtrace.
HEDDLE_FUNCTION(heddle_entry)
    .cfi_undefined $31
    // A fresh context resumes behind this, at HEDDLE_ENTRY_OFFSET.
    nop
    daddiu  $sp, $sp, -HEDDLE_FRAME_BYTES
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    // Position-independent code finds its data from its own address, which it expects in $25.
    move    $25, $17
    jalr    $25
      move  $4, $16
    break
HEDDLE_FUNCTION_END(heddle_entry)

HEDDLE_END
