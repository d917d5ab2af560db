// The checker of the x86-64 Windows port: see checker.h. The fields of the thread's block count as
// registers, since heddle_switch has to exchange them like those.

#include "arch/asm.h"
#include "arch/x86_64-windows.h"

// The frame below the pushed registers: home space, the argument `registers`, the caller's fields
// of the thread's block and its xmm6 to xmm15.
#define REGISTERS 32
#define FIELDS 40
#define VECTORS 96
#define FRAME_BYTES 264

// intptr_t heddle_test_switch(from (rcx), to (rdx), value (r8), uint64_t* registers (r9))
HEDDLE_FUNCTION(heddle_test_switch)
    pushq   %rbx
    .seh_pushreg %rbx
    pushq   %rbp
    .seh_pushreg %rbp
    pushq   %rdi
    .seh_pushreg %rdi
    pushq   %rsi
    .seh_pushreg %rsi
    pushq   %r12
    .seh_pushreg %r12
    pushq   %r13
    .seh_pushreg %r13
    pushq   %r14
    .seh_pushreg %r14
    pushq   %r15
    .seh_pushreg %r15
    subq    $FRAME_BYTES, %rsp
    .seh_stackalloc FRAME_BYTES
    movaps  %xmm6, VECTORS(%rsp)
    .seh_savexmm %xmm6, VECTORS
    movaps  %xmm7, VECTORS+16(%rsp)
    .seh_savexmm %xmm7, VECTORS+16
    movaps  %xmm8, VECTORS+32(%rsp)
    .seh_savexmm %xmm8, VECTORS+32
    movaps  %xmm9, VECTORS+48(%rsp)
    .seh_savexmm %xmm9, VECTORS+48
    movaps  %xmm10, VECTORS+64(%rsp)
    .seh_savexmm %xmm10, VECTORS+64
    movaps  %xmm11, VECTORS+80(%rsp)
    .seh_savexmm %xmm11, VECTORS+80
    movaps  %xmm12, VECTORS+96(%rsp)
    .seh_savexmm %xmm12, VECTORS+96
    movaps  %xmm13, VECTORS+112(%rsp)
    .seh_savexmm %xmm13, VECTORS+112
    movaps  %xmm14, VECTORS+128(%rsp)
    .seh_savexmm %xmm14, VECTORS+128
    movaps  %xmm15, VECTORS+144(%rsp)
    .seh_savexmm %xmm15, VECTORS+144
    .seh_endprologue
    movq    %r9, REGISTERS(%rsp)
    movq    %gs:HEDDLE_TIB_EXCEPTION_LIST, %rax
    movq    %rax, FIELDS(%rsp)
    movq    %gs:HEDDLE_TIB_STACK_BASE, %rax
    movq    %rax, FIELDS+8(%rsp)
    movq    %gs:HEDDLE_TIB_STACK_LIMIT, %rax
    movq    %rax, FIELDS+16(%rsp)
    movq    %gs:HEDDLE_TIB_FIBER_DATA, %rax
    movq    %rax, FIELDS+24(%rsp)
    movq    %gs:HEDDLE_TIB_DEALLOCATION_STACK, %rax
    movq    %rax, FIELDS+32(%rsp)
    movl    %gs:HEDDLE_TIB_GUARANTEED_BYTES, %eax
    movl    %eax, FIELDS+40(%rsp)

    movq    0(%r9), %rbx
    movq    8(%r9), %rbp
    movq    16(%r9), %rdi
    movq    24(%r9), %rsi
    movq    32(%r9), %r12
    movq    40(%r9), %r13
    movq    48(%r9), %r14
    movq    56(%r9), %r15
    movups  64(%r9), %xmm6
    movups  80(%r9), %xmm7
    movups  96(%r9), %xmm8
    movups  112(%r9), %xmm9
    movups  128(%r9), %xmm10
    movups  144(%r9), %xmm11
    movups  160(%r9), %xmm12
    movups  176(%r9), %xmm13
    movups  192(%r9), %xmm14
    movups  208(%r9), %xmm15
    movq    224(%r9), %rax
    movq    %rax, %gs:HEDDLE_TIB_EXCEPTION_LIST
    movq    232(%r9), %rax
    movq    %rax, %gs:HEDDLE_TIB_STACK_BASE
    movq    240(%r9), %rax
    movq    %rax, %gs:HEDDLE_TIB_STACK_LIMIT
    movq    248(%r9), %rax
    movq    %rax, %gs:HEDDLE_TIB_FIBER_DATA
    movq    256(%r9), %rax
    movq    %rax, %gs:HEDDLE_TIB_DEALLOCATION_STACK
    movl    264(%r9), %eax
    movl    %eax, %gs:HEDDLE_TIB_GUARANTEED_BYTES
    call    heddle_switch
    movq    %rax, %r10
    movq    REGISTERS(%rsp), %r9
    movq    %rbx, 0(%r9)
    movq    %rbp, 8(%r9)
    movq    %rdi, 16(%r9)
    movq    %rsi, 24(%r9)
    movq    %r12, 32(%r9)
    movq    %r13, 40(%r9)
    movq    %r14, 48(%r9)
    movq    %r15, 56(%r9)
    movups  %xmm6, 64(%r9)
    movups  %xmm7, 80(%r9)
    movups  %xmm8, 96(%r9)
    movups  %xmm9, 112(%r9)
    movups  %xmm10, 128(%r9)
    movups  %xmm11, 144(%r9)
    movups  %xmm12, 160(%r9)
    movups  %xmm13, 176(%r9)
    movups  %xmm14, 192(%r9)
    movups  %xmm15, 208(%r9)
    movq    %gs:HEDDLE_TIB_EXCEPTION_LIST, %rax
    movq    %rax, 224(%r9)
    movq    %gs:HEDDLE_TIB_STACK_BASE, %rax
    movq    %rax, 232(%r9)
    movq    %gs:HEDDLE_TIB_STACK_LIMIT, %rax
    movq    %rax, 240(%r9)
    movq    %gs:HEDDLE_TIB_FIBER_DATA, %rax
    movq    %rax, 248(%r9)
    movq    %gs:HEDDLE_TIB_DEALLOCATION_STACK, %rax
    movq    %rax, 256(%r9)
    movl    %gs:HEDDLE_TIB_GUARANTEED_BYTES, %eax
    movl    %eax, 264(%r9)

    movq    FIELDS(%rsp), %rax
    movq    %rax, %gs:HEDDLE_TIB_EXCEPTION_LIST
    movq    FIELDS+8(%rsp), %rax
    movq    %rax, %gs:HEDDLE_TIB_STACK_BASE
    movq    FIELDS+16(%rsp), %rax
    movq    %rax, %gs:HEDDLE_TIB_STACK_LIMIT
    movq    FIELDS+24(%rsp), %rax
    movq    %rax, %gs:HEDDLE_TIB_FIBER_DATA
    movq    FIELDS+32(%rsp), %rax
    movq    %rax, %gs:HEDDLE_TIB_DEALLOCATION_STACK
    movl    FIELDS+40(%rsp), %eax
    movl    %eax, %gs:HEDDLE_TIB_GUARANTEED_BYTES
    movq    %r10, %rax
    movaps  VECTORS(%rsp), %xmm6
    movaps  VECTORS+16(%rsp), %xmm7
    movaps  VECTORS+32(%rsp), %xmm8
    movaps  VECTORS+48(%rsp), %xmm9
    movaps  VECTORS+64(%rsp), %xmm10
    movaps  VECTORS+80(%rsp), %xmm11
    movaps  VECTORS+96(%rsp), %xmm12
    movaps  VECTORS+112(%rsp), %xmm13
    movaps  VECTORS+128(%rsp), %xmm14
    movaps  VECTORS+144(%rsp), %xmm15
    addq    $FRAME_BYTES, %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rsi
    popq    %rdi
    popq    %rbp
    popq    %rbx
    ret
HEDDLE_FUNCTION_END(heddle_test_switch)

// void heddle_test_entry(entry_facts* (rcx)): at a function's first instruction rsp + 8 is a
// multiple of 16, and the direction flag (bit 10) is clear.
HEDDLE_FUNCTION(heddle_test_entry)
    pushfq
    .seh_stackalloc 8
    .seh_endprologue
    leaq    16(%rsp), %rax
    andq    $15, %rax
    movq    %rax, 0(%rcx)
    movq    (%rsp), %rax
    andq    $0x400, %rax
    movq    %rax, 8(%rcx)
    movq    %rbp, 16(%rcx)
    addq    $8, %rsp
    jmp     *24(%rcx)
HEDDLE_FUNCTION_END(heddle_test_entry)

    .section .rdata, "dr"
    .globl  heddle_test_register_names
heddle_test_register_names:
    .ascii  "rbx rbp rdi rsi r12 r13 r14 r15 "
    .ascii  "xmm6.low xmm6.high xmm7.low xmm7.high xmm8.low xmm8.high xmm9.low xmm9.high "
    .ascii  "xmm10.low xmm10.high xmm11.low xmm11.high xmm12.low xmm12.high "
    .ascii  "xmm13.low xmm13.high xmm14.low xmm14.high xmm15.low xmm15.high "
    .asciz  "ExceptionList StackBase StackLimit FiberData DeallocationStack GuaranteedStackBytes"

HEDDLE_END
