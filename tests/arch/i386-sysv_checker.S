// The checker of the i386 System V port: see checker.h. Each register takes the lower half of its
// 64 bits.

#include "arch/asm.h"

// intptr_t heddle_test_switch(from, to, value, uint64_t* registers): on the stack
HEDDLE_FUNCTION(heddle_test_switch)
    endbr32
    pushl   %ebx
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %ebx, 0
    pushl   %ebp
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %ebp, 0
    pushl   %esi
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %esi, 0
    pushl   %edi
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %edi, 0
    // Three arguments; esp is then a multiple of 16 before the call, as the ABI wants it.
    subl    $12, %esp
    .cfi_adjust_cfa_offset 12
    movl    32(%esp), %eax
    movl    %eax, 0(%esp)
    movl    36(%esp), %eax
    movl    %eax, 4(%esp)
    movl    40(%esp), %eax
    movl    %eax, 8(%esp)

    movl    44(%esp), %ecx
    movl    0(%ecx), %ebx
    movl    8(%ecx), %ebp
    movl    16(%ecx), %esi
    movl    24(%ecx), %edi
    call    heddle_switch
    movl    44(%esp), %ecx
    movl    %ebx, 0(%ecx)
    movl    %ebp, 8(%ecx)
    movl    %esi, 16(%ecx)
    movl    %edi, 24(%ecx)

    addl    $12, %esp
    .cfi_adjust_cfa_offset -12
    popl    %edi
    .cfi_adjust_cfa_offset -4
    .cfi_restore %edi
    popl    %esi
    .cfi_adjust_cfa_offset -4
    .cfi_restore %esi
    popl    %ebp
    .cfi_adjust_cfa_offset -4
    .cfi_restore %ebp
    popl    %ebx
    .cfi_adjust_cfa_offset -4
    .cfi_restore %ebx
    ret
HEDDLE_FUNCTION_END(heddle_test_switch)

// void heddle_test_entry(entry_facts*): at a function's first instruction esp + 4 is a multiple of
// 16, and the direction flag (bit 10) is clear.
HEDDLE_FUNCTION(heddle_test_entry)
    endbr32
    movl    4(%esp), %ecx
    leal    4(%esp), %eax
    andl    $15, %eax
    movl    %eax, 0(%ecx)
    movl    $0, 4(%ecx)
    pushfl
    .cfi_adjust_cfa_offset 4
    popl    %eax
    .cfi_adjust_cfa_offset -4
    andl    $0x400, %eax
    movl    %eax, 8(%ecx)
    movl    $0, 12(%ecx)
    movl    %ebp, 16(%ecx)
    movl    $0, 20(%ecx)
    notrack jmp *24(%ecx)
HEDDLE_FUNCTION_END(heddle_test_entry)

    .section .rodata
    .globl  heddle_test_register_names
    .hidden heddle_test_register_names
    .type   heddle_test_register_names, %object
heddle_test_register_names:
    .asciz  "ebx ebp esi edi"
    .size   heddle_test_register_names, . - heddle_test_register_names

HEDDLE_PROPERTY(0xc0000002, 1)
HEDDLE_END
