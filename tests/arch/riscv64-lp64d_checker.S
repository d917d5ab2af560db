// The checker of the 64-bit RISC-V port: see checker.h.

#include "arch/asm.h"

// The frame of heddle_test_switch: the return address, the pointer to the registers, and what its
// own caller had in them.
#define FRAME_BYTES 208
#define SAVED_RA 200
#define SAVED_POINTER 192

// intptr_t heddle_test_switch(from (a0), to (a1), value (a2), uint64_t* registers (a3))
HEDDLE_FUNCTION(heddle_test_switch)
    addi    sp, sp, -FRAME_BYTES
    .cfi_adjust_cfa_offset FRAME_BYTES
    sd      ra, SAVED_RA(sp)
    .cfi_rel_offset ra, SAVED_RA
    sd      a3, SAVED_POINTER(sp)
    sd      s0, 0(sp)
    .cfi_rel_offset s0, 0
    sd      s1, 8(sp)
    .cfi_rel_offset s1, 8
    sd      s2, 16(sp)
    .cfi_rel_offset s2, 16
    sd      s3, 24(sp)
    .cfi_rel_offset s3, 24
    sd      s4, 32(sp)
    .cfi_rel_offset s4, 32
    sd      s5, 40(sp)
    .cfi_rel_offset s5, 40
    sd      s6, 48(sp)
    .cfi_rel_offset s6, 48
    sd      s7, 56(sp)
    .cfi_rel_offset s7, 56
    sd      s8, 64(sp)
    .cfi_rel_offset s8, 64
    sd      s9, 72(sp)
    .cfi_rel_offset s9, 72
    sd      s10, 80(sp)
    .cfi_rel_offset s10, 80
    sd      s11, 88(sp)
    .cfi_rel_offset s11, 88
    fsd     fs0, 96(sp)
    .cfi_rel_offset fs0, 96
    fsd     fs1, 104(sp)
    .cfi_rel_offset fs1, 104
    fsd     fs2, 112(sp)
    .cfi_rel_offset fs2, 112
    fsd     fs3, 120(sp)
    .cfi_rel_offset fs3, 120
    fsd     fs4, 128(sp)
    .cfi_rel_offset fs4, 128
    fsd     fs5, 136(sp)
    .cfi_rel_offset fs5, 136
    fsd     fs6, 144(sp)
    .cfi_rel_offset fs6, 144
    fsd     fs7, 152(sp)
    .cfi_rel_offset fs7, 152
    fsd     fs8, 160(sp)
    .cfi_rel_offset fs8, 160
    fsd     fs9, 168(sp)
    .cfi_rel_offset fs9, 168
    fsd     fs10, 176(sp)
    .cfi_rel_offset fs10, 176
    fsd     fs11, 184(sp)
    .cfi_rel_offset fs11, 184

    ld      s0, 0(a3)
    ld      s1, 8(a3)
    ld      s2, 16(a3)
    ld      s3, 24(a3)
    ld      s4, 32(a3)
    ld      s5, 40(a3)
    ld      s6, 48(a3)
    ld      s7, 56(a3)
    ld      s8, 64(a3)
    ld      s9, 72(a3)
    ld      s10, 80(a3)
    ld      s11, 88(a3)
    fld     fs0, 96(a3)
    fld     fs1, 104(a3)
    fld     fs2, 112(a3)
    fld     fs3, 120(a3)
    fld     fs4, 128(a3)
    fld     fs5, 136(a3)
    fld     fs6, 144(a3)
    fld     fs7, 152(a3)
    fld     fs8, 160(a3)
    fld     fs9, 168(a3)
    fld     fs10, 176(a3)
    fld     fs11, 184(a3)
    call    heddle_switch
    ld      a3, SAVED_POINTER(sp)
    sd      s0, 0(a3)
    sd      s1, 8(a3)
    sd      s2, 16(a3)
    sd      s3, 24(a3)
    sd      s4, 32(a3)
    sd      s5, 40(a3)
    sd      s6, 48(a3)
    sd      s7, 56(a3)
    sd      s8, 64(a3)
    sd      s9, 72(a3)
    sd      s10, 80(a3)
    sd      s11, 88(a3)
    fsd     fs0, 96(a3)
    fsd     fs1, 104(a3)
    fsd     fs2, 112(a3)
    fsd     fs3, 120(a3)
    fsd     fs4, 128(a3)
    fsd     fs5, 136(a3)
    fsd     fs6, 144(a3)
    fsd     fs7, 152(a3)
    fsd     fs8, 160(a3)
    fsd     fs9, 168(a3)
    fsd     fs10, 176(a3)
    fsd     fs11, 184(a3)

    ld      s0, 0(sp)
    .cfi_restore s0
    ld      s1, 8(sp)
    .cfi_restore s1
    ld      s2, 16(sp)
    .cfi_restore s2
    ld      s3, 24(sp)
    .cfi_restore s3
    ld      s4, 32(sp)
    .cfi_restore s4
    ld      s5, 40(sp)
    .cfi_restore s5
    ld      s6, 48(sp)
    .cfi_restore s6
    ld      s7, 56(sp)
    .cfi_restore s7
    ld      s8, 64(sp)
    .cfi_restore s8
    ld      s9, 72(sp)
    .cfi_restore s9
    ld      s10, 80(sp)
    .cfi_restore s10
    ld      s11, 88(sp)
    .cfi_restore s11
    fld     fs0, 96(sp)
    .cfi_restore fs0
    fld     fs1, 104(sp)
    .cfi_restore fs1
    fld     fs2, 112(sp)
    .cfi_restore fs2
    fld     fs3, 120(sp)
    .cfi_restore fs3
    fld     fs4, 128(sp)
    .cfi_restore fs4
    fld     fs5, 136(sp)
    .cfi_restore fs5
    fld     fs6, 144(sp)
    .cfi_restore fs6
    fld     fs7, 152(sp)
    .cfi_restore fs7
    fld     fs8, 160(sp)
    .cfi_restore fs8
    fld     fs9, 168(sp)
    .cfi_restore fs9
    fld     fs10, 176(sp)
    .cfi_restore fs10
    fld     fs11, 184(sp)
    .cfi_restore fs11
    ld      ra, SAVED_RA(sp)
    .cfi_restore ra
    addi    sp, sp, FRAME_BYTES
    .cfi_adjust_cfa_offset -FRAME_BYTES
    ret
HEDDLE_FUNCTION_END(heddle_test_switch)

// void heddle_test_entry(entry_facts* (a0)): at a function's first instruction sp is a multiple of
// 16. There are no flags.
HEDDLE_FUNCTION(heddle_test_entry)
    .cfi_same_value ra
    andi    t1, sp, 15
    sd      t1, 0(a0)
    sd      zero, 8(a0)
    sd      s0, 16(a0)
    ld      t1, 24(a0)
    jr      t1
HEDDLE_FUNCTION_END(heddle_test_entry)

    .section .rodata
    .globl  heddle_test_register_names
    .hidden heddle_test_register_names
    .type   heddle_test_register_names, %object
heddle_test_register_names:
    .ascii  "s0 s1 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 "
    .asciz  "fs0 fs1 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11"
    .size   heddle_test_register_names, . - heddle_test_register_names

HEDDLE_END
