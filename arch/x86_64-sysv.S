// The context switch for x86-64 under the System V ABI: the reference port.
//
// (a) ABI: System V ABI, AMD64 Architecture Processor Supplement, version 1.0; sections 3.2.1
//     (registers and their owners), 3.2.2 (stack frame, red zone), 6.2 (unwind information).
//
// (b) Preserved: rsp and rbp, which describe the frame, and rbx, r12, r13, r14, r15, which 3.2.1
//     gives to the caller. With HEDDLE_FP_PRESERVED also the x87 control word and the control
//     bits of MXCSR, which 3.2.1 makes callee-saved too.
//
// (c) Not preserved: every other register is the callee's to destroy, the vector registers with
//     all their extensions included. The control words are left alone by default: they belong to
//     the thread, storing them costs more than the rest of this file, and a fiber that changes
//     them declares it (arch/context.h). The direction flag is clear at every call and return.
//
// (d) The frame of a suspended context, highest address first. S is the saved stack pointer:
//
//         S + 8    the caller's frame, as the call to heddle_switch left it; the CFA
//         S        return address of that call
//         S -  8   rbx
//         S - 16   r12
//         S - 24   r13
//         S - 32   r14
//         S - 40   r15
//         S - 44   x87 control word  } only with
//         S - 48   MXCSR             } HEDDLE_FP_PRESERVED
//
//     What lies below S is in the red zone: 128 bytes that 3.2.2 keeps signal handlers out of
//     while S is the stack pointer, and that nothing writes while the context is suspended. So
//     the stack pointer never moves before it is exchanged, and one CFA rule serves throughout.
//     The return address is kept in the context as well (HEDDLE_CONTEXT_PC): the jump then waits
//     for the hot block only, never for a cold stack.
//
//     Resuming is a jump and not a `ret`, because the processor predicts a `ret` from the calls
//     that this thread made last, which are another fiber's: each would be mispredicted.
//
// (e) At the entry stub: rbx holds the entry function, r12 its argument, rbp zero; rsp is the top
//     of the stack and a multiple of 16.

#include "asm.h"
#include "x86_64-sysv.h"

// intptr_t heddle_switch(heddle_context* from (rdi), const heddle_context* to (rsi), value (rdx))
HEDDLE_FUNCTION(heddle_switch)
    endbr64
    movq    (%rsp), %rcx
    movq    %rbx, HEDDLE_SAVE_RBX(%rsp)
    movq    %r12, HEDDLE_SAVE_R12(%rsp)
    movq    %r13, HEDDLE_SAVE_R13(%rsp)
    movq    %r14, HEDDLE_SAVE_R14(%rsp)
    movq    %r15, HEDDLE_SAVE_R15(%rsp)
#ifdef HEDDLE_FP_PRESERVED
    stmxcsr HEDDLE_SAVE_MXCSR(%rsp)
    fnstcw  HEDDLE_SAVE_X87CW(%rsp)
#endif
    movq    %rbp, HEDDLE_CONTEXT_FP(%rdi)
    movq    %rsp, HEDDLE_CONTEXT_SP(%rdi)
    movq    %rcx, HEDDLE_CONTEXT_PC(%rdi)

    // From here on the unwinder sees the other flow. Its CFA is again rsp + 8; its registers are
    // where its own switch stored them until each has been loaded.
    movq    HEDDLE_CONTEXT_PC(%rsi), %rcx
    movq    HEDDLE_CONTEXT_SP(%rsi), %rsp
    .cfi_offset %rbx, HEDDLE_SAVE_RBX - 8
    .cfi_offset %r12, HEDDLE_SAVE_R12 - 8
    .cfi_offset %r13, HEDDLE_SAVE_R13 - 8
    .cfi_offset %r14, HEDDLE_SAVE_R14 - 8
    .cfi_offset %r15, HEDDLE_SAVE_R15 - 8
    // rbp is at HEDDLE_CONTEXT_FP(%rsi): DW_CFA_expression (0x10), register 6 (rbp), 2 bytes:
    // DW_OP_breg4 (0x74, rsi plus a signed LEB128 number), the number.
    .cfi_escape 0x10, 6, 2, 0x74, HEDDLE_CONTEXT_FP
    movq    HEDDLE_CONTEXT_FP(%rsi), %rbp
    .cfi_restore %rbp
    movq    HEDDLE_SAVE_RBX(%rsp), %rbx
    .cfi_restore %rbx
    movq    HEDDLE_SAVE_R12(%rsp), %r12
    .cfi_restore %r12
    movq    HEDDLE_SAVE_R13(%rsp), %r13
    .cfi_restore %r13
    movq    HEDDLE_SAVE_R14(%rsp), %r14
    .cfi_restore %r14
    movq    HEDDLE_SAVE_R15(%rsp), %r15
    .cfi_restore %r15
#ifdef HEDDLE_FP_PRESERVED
    ldmxcsr HEDDLE_SAVE_MXCSR(%rsp)
    fldcw   HEDDLE_SAVE_X87CW(%rsp)
#endif
    movq    %rdx, %rax
    addq    $8, %rsp
    // The return address has been popped: the CFA is rsp, and the address to return to in rcx.
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rcx
    // Compilers put no landing pad after a call, so the jump is exempted from tracking.
    notrack jmp *%rcx
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context. Nothing called it, so the return address is
// undefined, which ends every backtrace here; frame-pointer walkers stop at the zero in rbp.
HEDDLE_FUNCTION(heddle_entry)
    .cfi_undefined %rip
    endbr64
    // Step over the frame that context_make wrote, so that a finished flow can make its successor
    // on this stack.
    subq    $HEDDLE_FRAME_BYTES, %rsp
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    movq    %r12, %rdi
    notrack call *%rbx
    // The entry function must not return. One instruction has to follow the call in any case, so
    // that the unwinder, which looks up the return address less one, stays in this function.
    ud2
HEDDLE_FUNCTION_END(heddle_entry)

// GNU_PROPERTY_X86_FEATURE_1_AND (0xc0000002): bit 0, indirect branch tracking, is honoured. Bit 1,
// the shadow stack, is not claimed, because the switch does not exchange it.
HEDDLE_PROPERTY(0xc0000002, 1)
HEDDLE_END
