// The checker of the ARMv7 port: see checker.h. A general register takes the lower half of its 64
// bits.

#include "arch/asm.h"

    .syntax unified
#ifdef __thumb__
    .thumb
#else
    .arm
#endif
    .cfi_sections .debug_frame

// intptr_t heddle_test_switch(from (r0), to (r1), value (r2), uint64_t* registers (r3))
HEDDLE_FUNCTION(heddle_test_switch)
    .fnstart
    // r3 is found again at the lowest address; 10 registers keep sp a multiple of 8.
    push    {r3-r11, lr}
    .save   {r4-r11, lr}
    .pad    #4
    .cfi_adjust_cfa_offset 40
    .cfi_rel_offset lr, 36
    .cfi_rel_offset r11, 32
    .cfi_rel_offset r10, 28
    .cfi_rel_offset r9, 24
    .cfi_rel_offset r8, 20
    .cfi_rel_offset r7, 16
    .cfi_rel_offset r6, 12
    .cfi_rel_offset r5, 8
    .cfi_rel_offset r4, 4
    vpush   {d8-d15}
    .vsave  {d8-d15}
    .cfi_adjust_cfa_offset 64

    ldr     r4, [r3, #0]
    ldr     r5, [r3, #8]
    ldr     r6, [r3, #16]
    ldr     r7, [r3, #24]
    ldr     r8, [r3, #32]
    ldr     r9, [r3, #40]
    ldr     r10, [r3, #48]
    ldr     r11, [r3, #56]
    add     r3, r3, #64
    vldmia  r3, {d8-d15}
    bl      heddle_switch
    ldr     r3, [sp, #64]
    str     r4, [r3, #0]
    str     r5, [r3, #8]
    str     r6, [r3, #16]
    str     r7, [r3, #24]
    str     r8, [r3, #32]
    str     r9, [r3, #40]
    str     r10, [r3, #48]
    str     r11, [r3, #56]
    add     r3, r3, #64
    vstmia  r3, {d8-d15}

    vpop    {d8-d15}
    .cfi_adjust_cfa_offset -64
    pop     {r3-r11, pc}
    .fnend
HEDDLE_FUNCTION_END(heddle_test_switch)

// void heddle_test_entry(entry_facts* (r0)): sp is a multiple of 8 at a function's first
// instruction, and in FPSCR the length (bits 16 to 18) and stride (20, 21) of vectors are zero.
HEDDLE_FUNCTION(heddle_test_entry)
    .fnstart
    .cfi_same_value lr
    mov     r2, #0
    mov     r1, sp
    and     r1, r1, #7
    str     r1, [r0, #0]
    str     r2, [r0, #4]
    vmrs    r1, fpscr
    and     r1, r1, #0x370000
    str     r1, [r0, #8]
    str     r2, [r0, #12]
    // The frame pointers of ARM code and of Thumb code.
    orr     r1, r11, r7
    str     r1, [r0, #16]
    str     r2, [r0, #20]
    ldr     r1, [r0, #24]
    bx      r1
    .cantunwind
    .fnend
HEDDLE_FUNCTION_END(heddle_test_entry)

    .section .rodata
    .globl  heddle_test_register_names
    .hidden heddle_test_register_names
    .type   heddle_test_register_names, %object
heddle_test_register_names:
    .asciz  "r4 r5 r6 r7 r8 r9 r10 r11 d8 d9 d10 d11 d12 d13 d14 d15"
    .size   heddle_test_register_names, . - heddle_test_register_names

HEDDLE_END
