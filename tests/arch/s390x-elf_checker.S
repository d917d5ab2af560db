// The checker of the s390x port: see checker.h.

#include "arch/asm.h"

// intptr_t heddle_test_switch(from (r2), to (r3), value (r4), uint64_t* registers (r5))
//
// The general registers go into the caller's save area; the frame below it has a save area for
// heddle_switch, 8 words for the floating-point registers, and one for `registers`.
HEDDLE_FUNCTION(heddle_test_switch)
    stmg    %r6, %r15, 48(%r15)
    .cfi_offset %r6, 48 - 160
    .cfi_offset %r7, 56 - 160
    .cfi_offset %r8, 64 - 160
    .cfi_offset %r9, 72 - 160
    .cfi_offset %r10, 80 - 160
    .cfi_offset %r11, 88 - 160
    .cfi_offset %r12, 96 - 160
    .cfi_offset %r13, 104 - 160
    .cfi_offset %r14, 112 - 160
    .cfi_offset %r15, 120 - 160
    aghi    %r15, -232
    .cfi_adjust_cfa_offset 232
    std     %f8, 160(%r15)
    .cfi_rel_offset 24, 160
    std     %f9, 168(%r15)
    .cfi_rel_offset 28, 168
    std     %f10, 176(%r15)
    .cfi_rel_offset 25, 176
    std     %f11, 184(%r15)
    .cfi_rel_offset 29, 184
    std     %f12, 192(%r15)
    .cfi_rel_offset 26, 192
    std     %f13, 200(%r15)
    .cfi_rel_offset 30, 200
    std     %f14, 208(%r15)
    .cfi_rel_offset 27, 208
    std     %f15, 216(%r15)
    .cfi_rel_offset 31, 216
    stg     %r5, 224(%r15)

    lmg     %r6, %r13, 0(%r5)
    ld      %f8, 64(%r5)
    ld      %f9, 72(%r5)
    ld      %f10, 80(%r5)
    ld      %f11, 88(%r5)
    ld      %f12, 96(%r5)
    ld      %f13, 104(%r5)
    ld      %f14, 112(%r5)
    ld      %f15, 120(%r5)
    brasl   %r14, heddle_switch
    lg      %r5, 224(%r15)
    stmg    %r6, %r13, 0(%r5)
    std     %f8, 64(%r5)
    std     %f9, 72(%r5)
    std     %f10, 80(%r5)
    std     %f11, 88(%r5)
    std     %f12, 96(%r5)
    std     %f13, 104(%r5)
    std     %f14, 112(%r5)
    std     %f15, 120(%r5)

    ld      %f8, 160(%r15)
    .cfi_restore 24
    ld      %f9, 168(%r15)
    .cfi_restore 28
    ld      %f10, 176(%r15)
    .cfi_restore 25
    ld      %f11, 184(%r15)
    .cfi_restore 29
    ld      %f12, 192(%r15)
    .cfi_restore 26
    ld      %f13, 200(%r15)
    .cfi_restore 30
    ld      %f14, 208(%r15)
    .cfi_restore 27
    ld      %f15, 216(%r15)
    .cfi_restore 31
    aghi    %r15, 232
    .cfi_adjust_cfa_offset -232
    lmg     %r6, %r14, 48(%r15)
    br      %r14
HEDDLE_FUNCTION_END(heddle_test_switch)

// void heddle_test_entry(entry_facts* (r2)): at a function's first instruction r15 is a multiple
// of 8, the program mask is zero, and the back chain lies where r15 points.
HEDDLE_FUNCTION(heddle_test_entry)
    .cfi_def_cfa_offset 160
    lghi    %r1, 7
    ngr     %r1, %r15
    stg     %r1, 0(%r2)
    // The program mask arrives in the bits of weight 2^24 to 2^27.
    lghi    %r1, 0
    ipm     %r1
    srlg    %r1, %r1, 24
    lghi    %r0, 15
    ngr     %r1, %r0
    stg     %r1, 8(%r2)
    lg      %r1, 0(%r15)
    stg     %r1, 16(%r2)
    lg      %r1, 24(%r2)
    br      %r1
HEDDLE_FUNCTION_END(heddle_test_entry)

    .section .rodata
    .globl  heddle_test_register_names
    .hidden heddle_test_register_names
    .type   heddle_test_register_names, %object
heddle_test_register_names:
    .ascii  "r6 r7 r8 r9 r10 r11 r12 r13 "
    .asciz  "f8 f9 f10 f11 f12 f13 f14 f15"
    .size   heddle_test_register_names, . - heddle_test_register_names

HEDDLE_END
