// The checker of the AArch64 port: see checker.h.

#include "arch/asm.h"

#define FRAME_BYTES 176

// intptr_t heddle_test_switch(from (x0), to (x1), value (x2), uint64_t* registers (x3))
HEDDLE_FUNCTION(heddle_test_switch)
    paciasp
    .cfi_negate_ra_state
    sub     sp, sp, FRAME_BYTES
    .cfi_def_cfa_offset FRAME_BYTES
    stp     x29, x30, [sp]
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp     x19, x20, [sp, 16]
    .cfi_rel_offset x19, 16
    .cfi_rel_offset x20, 24
    stp     x21, x22, [sp, 32]
    .cfi_rel_offset x21, 32
    .cfi_rel_offset x22, 40
    stp     x23, x24, [sp, 48]
    .cfi_rel_offset x23, 48
    .cfi_rel_offset x24, 56
    stp     x25, x26, [sp, 64]
    .cfi_rel_offset x25, 64
    .cfi_rel_offset x26, 72
    stp     x27, x28, [sp, 80]
    .cfi_rel_offset x27, 80
    .cfi_rel_offset x28, 88
    stp     d8, d9, [sp, 96]
    .cfi_rel_offset d8, 96
    .cfi_rel_offset d9, 104
    stp     d10, d11, [sp, 112]
    .cfi_rel_offset d10, 112
    .cfi_rel_offset d11, 120
    stp     d12, d13, [sp, 128]
    .cfi_rel_offset d12, 128
    .cfi_rel_offset d13, 136
    stp     d14, d15, [sp, 144]
    .cfi_rel_offset d14, 144
    .cfi_rel_offset d15, 152
    str     x3, [sp, 160]

    ldp     x19, x20, [x3]
    ldp     x21, x22, [x3, 16]
    ldp     x23, x24, [x3, 32]
    ldp     x25, x26, [x3, 48]
    ldp     x27, x28, [x3, 64]
    ldr     x29, [x3, 80]
    ldp     d8, d9, [x3, 88]
    ldp     d10, d11, [x3, 104]
    ldp     d12, d13, [x3, 120]
    ldp     d14, d15, [x3, 136]
    bl      heddle_switch
    ldr     x3, [sp, 160]
    stp     x19, x20, [x3]
    stp     x21, x22, [x3, 16]
    stp     x23, x24, [x3, 32]
    stp     x25, x26, [x3, 48]
    stp     x27, x28, [x3, 64]
    str     x29, [x3, 80]
    stp     d8, d9, [x3, 88]
    stp     d10, d11, [x3, 104]
    stp     d12, d13, [x3, 120]
    stp     d14, d15, [x3, 136]

    ldp     d14, d15, [sp, 144]
    .cfi_restore d14
    .cfi_restore d15
    ldp     d12, d13, [sp, 128]
    .cfi_restore d12
    .cfi_restore d13
    ldp     d10, d11, [sp, 112]
    .cfi_restore d10
    .cfi_restore d11
    ldp     d8, d9, [sp, 96]
    .cfi_restore d8
    .cfi_restore d9
    ldp     x27, x28, [sp, 80]
    .cfi_restore x27
    .cfi_restore x28
    ldp     x25, x26, [sp, 64]
    .cfi_restore x25
    .cfi_restore x26
    ldp     x23, x24, [sp, 48]
    .cfi_restore x23
    .cfi_restore x24
    ldp     x21, x22, [sp, 32]
    .cfi_restore x21
    .cfi_restore x22
    ldp     x19, x20, [sp, 16]
    .cfi_restore x19
    .cfi_restore x20
    ldp     x29, x30, [sp]
    .cfi_restore x29
    .cfi_restore x30
    add     sp, sp, FRAME_BYTES
    .cfi_def_cfa_offset 0
    autiasp
    .cfi_negate_ra_state
    ret
HEDDLE_FUNCTION_END(heddle_test_switch)

// void heddle_test_entry(entry_facts* (x0)): sp is a multiple of 16 wherever memory is accessed
// through it. The ABI fixes no flag that a program can read here.
HEDDLE_FUNCTION(heddle_test_entry)
    .cfi_def_cfa_offset 0
    bti     c
    mov     x9, sp
    and     x9, x9, 15
    stp     x9, xzr, [x0]
    str     x29, [x0, 16]
    ldr     x16, [x0, 24]
    br      x16
HEDDLE_FUNCTION_END(heddle_test_entry)

    .section .rodata
    .globl  heddle_test_register_names
    .hidden heddle_test_register_names
    .type   heddle_test_register_names, %object
heddle_test_register_names:
    .asciz  "x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 x29 d8 d9 d10 d11 d12 d13 d14 d15"
    .size   heddle_test_register_names, . - heddle_test_register_names

HEDDLE_PROPERTY(0xc0000000, 3)
HEDDLE_END
