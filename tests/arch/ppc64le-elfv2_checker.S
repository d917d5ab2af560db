// The checker of the ppc64le port: see checker.h.
//
// Of 49 registers each is treated as its neighbours are, so the assembler's loops write them out.
// A name that begins with \ is the number of a register, an absolute expression its place.

#include "arch/asm.h"

// What the loops count through.
#define GENERAL n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
#define VECTOR n, 20,21,22,23,24,25,26,27,28,29,30,31

// The frame: header, vectors, floating-point and general registers, r2's slot in the header, and
// `registers`.
#define FRAME 528
#define FRAME_V 32
#define FRAME_F 224
#define FRAME_R 368
#define FRAME_REGISTERS 512

// Places in `registers`: r2, r14 to r31, f14 to f31, v20 to v31 in two words each, CR2 to CR4 in
// the lowest four bits of one each.
#define GIVEN_R 8
#define GIVEN_F 152
#define GIVEN_V 296
#define GIVEN_CR 488

    .abiversion 2

// intptr_t heddle_test_switch(from (r3), to (r4), value (r5), uint64_t* registers (r6))
HEDDLE_FUNCTION(heddle_test_switch)
    mflr    %r0
    std     %r0, 16(%r1)
    .cfi_offset lr, 16
    mfcr    %r0
    stw     %r0, 8(%r1)
    .cfi_offset cr2, 8
    .cfi_offset cr3, 8
    .cfi_offset cr4, 8
    stdu    %r1, -FRAME(%r1)
    .cfi_adjust_cfa_offset FRAME
    std     %r2, 24(%r1)
    .cfi_rel_offset %r2, 24
    std     %r6, FRAME_REGISTERS(%r1)
    .irp GENERAL
    std     \n, FRAME_R + 8 * (\n - 14)(%r1)
    .cfi_rel_offset \n, FRAME_R + 8 * (\n - 14)
    stfd    \n, FRAME_F + 8 * (\n - 14)(%r1)
    .cfi_rel_offset \n + 32, FRAME_F + 8 * (\n - 14)
    .endr
    .irp VECTOR
    li      %r7, FRAME_V + 16 * (\n - 20)
    stvx    \n, %r1, %r7
    .cfi_rel_offset \n + 77, FRAME_V + 16 * (\n - 20)
    .endr

    // Each field of CR takes four bits: rotated to its place, counted from the highest bit.
    ld      %r7, GIVEN_CR(%r6)
    rlwinm  %r8, %r7, 20, 8, 11
    ld      %r7, GIVEN_CR + 8(%r6)
    rlwimi  %r8, %r7, 16, 12, 15
    ld      %r7, GIVEN_CR + 16(%r6)
    rlwimi  %r8, %r7, 12, 16, 19
    mtcrf   0x38, %r8
    .irp VECTOR
    li      %r7, GIVEN_V + 16 * (\n - 20)
    lxvd2x  \n + 32, %r6, %r7
    .endr
    .irp GENERAL
    ld      \n, GIVEN_R + 8 * (\n - 14)(%r6)
    lfd     \n, GIVEN_F + 8 * (\n - 14)(%r6)
    .endr
    ld      %r2, 0(%r6)
    bl      heddle_switch
    ld      %r6, FRAME_REGISTERS(%r1)
    std     %r2, 0(%r6)
    .irp GENERAL
    std     \n, GIVEN_R + 8 * (\n - 14)(%r6)
    stfd    \n, GIVEN_F + 8 * (\n - 14)(%r6)
    .endr
    .irp VECTOR
    li      %r7, GIVEN_V + 16 * (\n - 20)
    stxvd2x \n + 32, %r6, %r7
    .endr
    // The bits that the fields have no room for stay as they were given.
    mfcr    %r8
    ld      %r7, GIVEN_CR(%r6)
    rlwimi  %r7, %r8, 12, 28, 31
    std     %r7, GIVEN_CR(%r6)
    ld      %r7, GIVEN_CR + 8(%r6)
    rlwimi  %r7, %r8, 16, 28, 31
    std     %r7, GIVEN_CR + 8(%r6)
    ld      %r7, GIVEN_CR + 16(%r6)
    rlwimi  %r7, %r8, 20, 28, 31
    std     %r7, GIVEN_CR + 16(%r6)

    .irp VECTOR
    li      %r7, FRAME_V + 16 * (\n - 20)
    lvx     \n, %r1, %r7
    .cfi_restore \n + 77
    .endr
    .irp GENERAL
    ld      \n, FRAME_R + 8 * (\n - 14)(%r1)
    .cfi_restore \n
    lfd     \n, FRAME_F + 8 * (\n - 14)(%r1)
    .cfi_restore \n + 32
    .endr
    ld      %r2, 24(%r1)
    .cfi_restore %r2
    addi    %r1, %r1, FRAME
    .cfi_adjust_cfa_offset -FRAME
    lwz     %r0, 8(%r1)
    mtcrf   0x38, %r0
    ld      %r0, 16(%r1)
    mtlr    %r0
    blr
HEDDLE_FUNCTION_END(heddle_test_switch)

// void heddle_test_entry(entry_facts* (r3)): at a function's first instruction r1 is a multiple of
// 16, and points to its caller's frame, which begins with the back chain. There are no flags. The
// address of a function that is called by its address must be in r12, this one's too.
HEDDLE_FUNCTION(heddle_test_entry)
    .cfi_def_cfa_offset 0
    andi.   %r4, %r1, 15
    std     %r4, 0(%r3)
    li      %r4, 0
    std     %r4, 8(%r3)
    ld      %r4, 0(%r1)
    std     %r4, 16(%r3)
    ld      %r12, 24(%r3)
    mtctr   %r12
    bctr
HEDDLE_FUNCTION_END(heddle_test_entry)

    .section .rodata
    .globl  heddle_test_register_names
    .hidden heddle_test_register_names
    .type   heddle_test_register_names, %object
heddle_test_register_names:
    .ascii  "r2 r14 r15 r16 r17 r18 r19 r20 r21 r22 r23 r24 r25 r26 r27 r28 r29 r30 r31 "
    .ascii  "f14 f15 f16 f17 f18 f19 f20 f21 f22 f23 f24 f25 f26 f27 f28 f29 f30 f31 "
    .ascii  "v20(0) v20(1) v21(0) v21(1) v22(0) v22(1) v23(0) v23(1) v24(0) v24(1) "
    .ascii  "v25(0) v25(1) v26(0) v26(1) v27(0) v27(1) v28(0) v28(1) v29(0) v29(1) "
    .ascii  "v30(0) v30(1) v31(0) v31(1) "
    .asciz  "CR2 CR3 CR4"
    .size   heddle_test_register_names, . - heddle_test_register_names

HEDDLE_END
