// The checker of the 64-bit LoongArch port: see checker.h.

#include "arch/asm.h"
#include "arch/loongarch64-lp64d.h"

// The frame of heddle_test_switch: the return address, the pointer to the registers, and what its
// own caller had in them.
#define FRAME_BYTES 160
#define SAVED_RA 152
#define SAVED_POINTER 144

// intptr_t heddle_test_switch(from (a0), to (a1), value (a2), uint64_t* registers (a3))
HEDDLE_FUNCTION(heddle_test_switch)
    addi.d  $sp, $sp, -FRAME_BYTES
    .cfi_adjust_cfa_offset FRAME_BYTES
    st.d    $ra, $sp, SAVED_RA
    .cfi_rel_offset HEDDLE_DWARF_RA, SAVED_RA
    st.d    $a3, $sp, SAVED_POINTER
    st.d    $fp, $sp, 0
    .cfi_rel_offset HEDDLE_DWARF_FP, 0
    st.d    $s0, $sp, 8
    .cfi_rel_offset HEDDLE_DWARF_S0, 8
    st.d    $s1, $sp, 16
    .cfi_rel_offset HEDDLE_DWARF_S1, 16
    st.d    $s2, $sp, 24
    .cfi_rel_offset HEDDLE_DWARF_S2, 24
    st.d    $s3, $sp, 32
    .cfi_rel_offset HEDDLE_DWARF_S3, 32
    st.d    $s4, $sp, 40
    .cfi_rel_offset HEDDLE_DWARF_S4, 40
    st.d    $s5, $sp, 48
    .cfi_rel_offset HEDDLE_DWARF_S5, 48
    st.d    $s6, $sp, 56
    .cfi_rel_offset HEDDLE_DWARF_S6, 56
    st.d    $s7, $sp, 64
    .cfi_rel_offset HEDDLE_DWARF_S7, 64
    st.d    $s8, $sp, 72
    .cfi_rel_offset HEDDLE_DWARF_S8, 72
    fst.d   $fs0, $sp, 80
    .cfi_rel_offset HEDDLE_DWARF_FS0, 80
    fst.d   $fs1, $sp, 88
    .cfi_rel_offset HEDDLE_DWARF_FS1, 88
    fst.d   $fs2, $sp, 96
    .cfi_rel_offset HEDDLE_DWARF_FS2, 96
    fst.d   $fs3, $sp, 104
    .cfi_rel_offset HEDDLE_DWARF_FS3, 104
    fst.d   $fs4, $sp, 112
    .cfi_rel_offset HEDDLE_DWARF_FS4, 112
    fst.d   $fs5, $sp, 120
    .cfi_rel_offset HEDDLE_DWARF_FS5, 120
    fst.d   $fs6, $sp, 128
    .cfi_rel_offset HEDDLE_DWARF_FS6, 128
    fst.d   $fs7, $sp, 136
    .cfi_rel_offset HEDDLE_DWARF_FS7, 136

    ld.d    $fp, $a3, 0
    ld.d    $s0, $a3, 8
    ld.d    $s1, $a3, 16
    ld.d    $s2, $a3, 24
    ld.d    $s3, $a3, 32
    ld.d    $s4, $a3, 40
    ld.d    $s5, $a3, 48
    ld.d    $s6, $a3, 56
    ld.d    $s7, $a3, 64
    ld.d    $s8, $a3, 72
    fld.d   $fs0, $a3, 80
    fld.d   $fs1, $a3, 88
    fld.d   $fs2, $a3, 96
    fld.d   $fs3, $a3, 104
    fld.d   $fs4, $a3, 112
    fld.d   $fs5, $a3, 120
    fld.d   $fs6, $a3, 128
    fld.d   $fs7, $a3, 136
    bl      heddle_switch
    ld.d    $a3, $sp, SAVED_POINTER
    st.d    $fp, $a3, 0
    st.d    $s0, $a3, 8
    st.d    $s1, $a3, 16
    st.d    $s2, $a3, 24
    st.d    $s3, $a3, 32
    st.d    $s4, $a3, 40
    st.d    $s5, $a3, 48
    st.d    $s6, $a3, 56
    st.d    $s7, $a3, 64
    st.d    $s8, $a3, 72
    fst.d   $fs0, $a3, 80
    fst.d   $fs1, $a3, 88
    fst.d   $fs2, $a3, 96
    fst.d   $fs3, $a3, 104
    fst.d   $fs4, $a3, 112
    fst.d   $fs5, $a3, 120
    fst.d   $fs6, $a3, 128
    fst.d   $fs7, $a3, 136

    ld.d    $fp, $sp, 0
    .cfi_restore HEDDLE_DWARF_FP
    ld.d    $s0, $sp, 8
    .cfi_restore HEDDLE_DWARF_S0
    ld.d    $s1, $sp, 16
    .cfi_restore HEDDLE_DWARF_S1
    ld.d    $s2, $sp, 24
    .cfi_restore HEDDLE_DWARF_S2
    ld.d    $s3, $sp, 32
    .cfi_restore HEDDLE_DWARF_S3
    ld.d    $s4, $sp, 40
    .cfi_restore HEDDLE_DWARF_S4
    ld.d    $s5, $sp, 48
    .cfi_restore HEDDLE_DWARF_S5
    ld.d    $s6, $sp, 56
    .cfi_restore HEDDLE_DWARF_S6
    ld.d    $s7, $sp, 64
    .cfi_restore HEDDLE_DWARF_S7
    ld.d    $s8, $sp, 72
    .cfi_restore HEDDLE_DWARF_S8
    fld.d   $fs0, $sp, 80
    .cfi_restore HEDDLE_DWARF_FS0
    fld.d   $fs1, $sp, 88
    .cfi_restore HEDDLE_DWARF_FS1
    fld.d   $fs2, $sp, 96
    .cfi_restore HEDDLE_DWARF_FS2
    fld.d   $fs3, $sp, 104
    .cfi_restore HEDDLE_DWARF_FS3
    fld.d   $fs4, $sp, 112
    .cfi_restore HEDDLE_DWARF_FS4
    fld.d   $fs5, $sp, 120
    .cfi_restore HEDDLE_DWARF_FS5
    fld.d   $fs6, $sp, 128
    .cfi_restore HEDDLE_DWARF_FS6
    fld.d   $fs7, $sp, 136
    .cfi_restore HEDDLE_DWARF_FS7
    ld.d    $ra, $sp, SAVED_RA
    .cfi_restore HEDDLE_DWARF_RA
    addi.d  $sp, $sp, FRAME_BYTES
    .cfi_adjust_cfa_offset -FRAME_BYTES
    jr      $ra
HEDDLE_FUNCTION_END(heddle_test_switch)

// void heddle_test_entry(entry_facts* (a0)): at a function's first instruction sp is a multiple of
// 16. There are no flags.
HEDDLE_FUNCTION(heddle_test_entry)
    .cfi_same_value HEDDLE_DWARF_RA
    andi    $t0, $sp, 15
    st.d    $t0, $a0, 0
    st.d    $zero, $a0, 8
    st.d    $fp, $a0, 16
    ld.d    $t0, $a0, 24
    jr      $t0
HEDDLE_FUNCTION_END(heddle_test_entry)

    .section .rodata
    .globl  heddle_test_register_names
    .hidden heddle_test_register_names
    .type   heddle_test_register_names, %object
heddle_test_register_names:
    .asciz  "fp s0 s1 s2 s3 s4 s5 s6 s7 s8 fs0 fs1 fs2 fs3 fs4 fs5 fs6 fs7"
    .size   heddle_test_register_names, . - heddle_test_register_names

HEDDLE_END
