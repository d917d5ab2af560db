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
//     the stack pointer never moves before it is exchanged. The return address is kept in the
//     context as well (HEDDLE_CONTEXT_PC): the jump then waits for the hot block only, never for
//     a cold stack.
//
//     A debugger that walks a suspended context starts at its resume address with rsp = S + 8,
//     rbp from the context (HEDDLE_CONTEXT_FP), and the rest from this frame.
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
    // Where to go is loaded before anything is stored: behind the stores the load of the stack
    // pointer is what everything waits for (bench/switch.cpp, Zen 4, g++ 12: 4.2 ns, so 2.7).
    movq    HEDDLE_CONTEXT_PC(%rsi), %r8
    movq    HEDDLE_CONTEXT_SP(%rsi), %r9
    movq    (%rsp), %rcx
    movq    %rbx, HEDDLE_SAVE_RBX(%rsp)
    movq    %r12, HEDDLE_SAVE_R12(%rsp)
    movq    %r13, HEDDLE_SAVE_R13(%rsp)
    movq    %r14, HEDDLE_SAVE_R14(%rsp)
    movq    %r15, HEDDLE_SAVE_R15(%rsp)
#ifdef HEDDLE_FP_PRESERVED
    stmxcsr HEDDLE_SAVE_MXCSR(%rsp)
    fnstcw  HEDDLE_SAVE_X87CW(%rsp)
    movl    HEDDLE_SAVE_MXCSR(%rsp), %r10d
    movw    HEDDLE_SAVE_X87CW(%rsp), %r11w
#endif
    movq    %rbp, HEDDLE_CONTEXT_FP(%rdi)
    movq    %rsp, HEDDLE_CONTEXT_SP(%rdi)
    movq    %rcx, HEDDLE_CONTEXT_PC(%rdi)

    movq    %r9, %rsp
    // From here on the unwinder sees the other flow. Its CFA is again rsp + 8, its return address
    // just below that, and its registers are where its own switch stored them. They stay there
    // until the jump, so that one rule for each holds before and after it has been loaded.
    .cfi_offset %rbx, HEDDLE_SAVE_RBX - 8
    .cfi_offset %r12, HEDDLE_SAVE_R12 - 8
    .cfi_offset %r13, HEDDLE_SAVE_R13 - 8
    .cfi_offset %r14, HEDDLE_SAVE_R14 - 8
    .cfi_offset %r15, HEDDLE_SAVE_R15 - 8
    // rbp is at HEDDLE_CONTEXT_FP(%rsi): DW_CFA_expression (0x10), register 6 (rbp), 2 bytes:
    // DW_OP_breg4 (0x74, rsi plus a signed LEB128 number), the number.
    .cfi_escape 0x10, 6, 2, 0x74, HEDDLE_CONTEXT_FP
    // The loads go through r9, although rsp holds the same: relative to rsp they are slower, as if
    // the processor guessed that they find what was last stored at the same distance from rsp,
    // which was the other flow's (yield of 100 000 fibers, Zen 4: 80 ns, so 44; of 2: 7.1, so 5).
    movq    HEDDLE_CONTEXT_FP(%rsi), %rbp
    movq    HEDDLE_SAVE_RBX(%r9), %rbx
    movq    HEDDLE_SAVE_R12(%r9), %r12
    movq    HEDDLE_SAVE_R13(%r9), %r13
    movq    HEDDLE_SAVE_R14(%r9), %r14
    movq    HEDDLE_SAVE_R15(%r9), %r15
#ifdef HEDDLE_FP_PRESERVED
    // What is there already is not written. The status flags, which nobody owns, are not compared:
    // writing MXCSR when but one of them differs takes 70 ns on Intel's Ice Lake, else 3.
    xorl    HEDDLE_SAVE_MXCSR(%r9), %r10d
    testl   $HEDDLE_MXCSR_CONTROL, %r10d
    jz      1f
    ldmxcsr HEDDLE_SAVE_MXCSR(%r9)
1:
    cmpw    HEDDLE_SAVE_X87CW(%r9), %r11w
    je      2f
    fldcw   HEDDLE_SAVE_X87CW(%r9)
2:
#endif
    movq    %rdx, %rax
    addq    $8, %rsp
    // What `ret` would do has been done, but for the jump: the CFA is rsp.
    .cfi_adjust_cfa_offset -8
    // Compilers put no landing pad after a call, so the jump is exempted from tracking.
    notrack jmp *%r8
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context. Nothing called it, so the CFA is the stack's top and
// the return address undefined, which ends every backtrace here; frame-pointer walkers stop at the
// zero in rbp.
HEDDLE_FUNCTION(heddle_entry)
    .cfi_undefined %rip
    .cfi_def_cfa_offset 0
    // A fresh context resumes behind this instruction, at HEDDLE_ENTRY_OFFSET. The unwinder looks
    // up a return address less one, and in a suspended context this is one.
    nop
    // Step over the frame that context_make wrote, so that a finished flow can make its successor
    // on this stack.
    subq    $HEDDLE_FRAME_BYTES, %rsp
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES
    movq    %r12, %rdi
    notrack call *%rbx
    // The entry function must not return. One instruction has to follow the call in any case: tools
    // that look up a return address itself, not the byte before it, then still find this function.
    ud2
HEDDLE_FUNCTION_END(heddle_entry)

// GNU_PROPERTY_X86_FEATURE_1_AND (0xc0000002): bit 0, indirect branch tracking, is honoured. Bit 1,
// the shadow stack, is not claimed, because the switch does not exchange it.
HEDDLE_PROPERTY(0xc0000002, 1)
HEDDLE_END
