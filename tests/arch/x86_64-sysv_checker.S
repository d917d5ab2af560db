// The checker of the x86-64 System V port: see checker.h.

#include "arch/asm.h"

// intptr_t heddle_test_switch(from (rdi), to (rsi), value (rdx), uint64_t* registers (rcx))
HEDDLE_FUNCTION(heddle_test_switch)
    endbr64
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    pushq   %rcx
    .cfi_adjust_cfa_offset 8

    movq    0(%rcx), %rbx
    movq    8(%rcx), %rbp
    movq    16(%rcx), %r12
    movq    24(%rcx), %r13
    movq    32(%rcx), %r14
    movq    40(%rcx), %r15
    call    heddle_switch
    movq    (%rsp), %rcx
    movq    %rbx, 0(%rcx)
    movq    %rbp, 8(%rcx)
    movq    %r12, 16(%rcx)
    movq    %r13, 24(%rcx)
    movq    %r14, 32(%rcx)
    movq    %r15, 40(%rcx)

    addq    $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    ret
HEDDLE_FUNCTION_END(heddle_test_switch)

// void heddle_test_entry(entry_facts* (rdi)): at a function's first instruction rsp + 8 is a
// multiple of 16, and the direction flag (bit 10) is clear.
HEDDLE_FUNCTION(heddle_test_entry)
    endbr64
    leaq    8(%rsp), %rax
    andq    $15, %rax
    movq    %rax, 0(%rdi)
    pushfq
    .cfi_adjust_cfa_offset 8
    popq    %rax
    .cfi_adjust_cfa_offset -8
    andq    $0x400, %rax
    movq    %rax, 8(%rdi)
    movq    %rbp, 16(%rdi)
    notrack jmp *24(%rdi)
HEDDLE_FUNCTION_END(heddle_test_entry)

    .section .rodata
    .globl  heddle_test_register_names
    .hidden heddle_test_register_names
    .type   heddle_test_register_names, %object
heddle_test_register_names:
    .asciz  "rbx rbp r12 r13 r14 r15"
    .size   heddle_test_register_names, . - heddle_test_register_names

HEDDLE_PROPERTY(0xc0000002, 1)
HEDDLE_END
