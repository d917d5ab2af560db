// The context switch for i386 under the System V ABI.
//
// (a) ABI: System V ABI, Intel386 Architecture Processor Supplement, version 1.1; section 2.2
//     (registers, the stack frame, passing of arguments), and its unwind information.
//
// (b) Preserved: esp and ebp, which describe the frame, and ebx, esi, edi, which 2.2 gives to the
//     caller. With HEDDLE_FP_PRESERVED also the x87 control word and the control bits of MXCSR.
//
// (c) Not preserved: eax, ecx, edx and every vector register. The x87 stack is empty and the MMX
//     state clean at every call and return, so that there is nothing in them to keep; the
//     direction flag is clear there too. Of gs, which finds the thread, nothing is touched.
//
// (d) The frame of a suspended context, highest address first. S is the saved stack pointer:
//
//         S + 12   edi } where the caller put the three arguments of heddle_switch
//         S +  8   esi }
//         S +  4   ebx }   the CFA
//         S        return address of that call
//         S -  4   x87 control word  } only with
//         S -  8   MXCSR             } HEDDLE_FP_PRESERVED
//
//     The ABI has no red zone: a signal handler may write right below the stack pointer. But the
//     memory in which arguments are passed belongs to the callee (compilers build the arguments of
//     tail calls there), and three of them leave room for the three registers. So nothing is
//     pushed, and the stack pointer moves for the control words only. They lie below S: while the
//     context is suspended nothing writes there, and they are loaded before S is the stack pointer.
//
//     A debugger that walks a suspended context starts at its resume address with esp = S + 4,
//     ebp from the context (HEDDLE_CONTEXT_FP), and the rest from this frame.
//
// (e) At the entry stub: ebx holds the entry function, esi its argument, ebp zero; esp is
//     HEDDLE_ENTRY_DEPTH below the top of the stack, which is a multiple of 16.

#include "asm.h"
#include "i386-sysv.h"

// intptr_t heddle_switch(heddle_context* from, const heddle_context* to, value): on the stack
HEDDLE_FUNCTION(heddle_switch)
    endbr32
    movl    HEDDLE_ARGUMENT_TO(%esp), %edx
    movl    HEDDLE_ARGUMENT_FROM(%esp), %eax
    movl    HEDDLE_CONTEXT_SP(%edx), %ecx
    // Each rule below holds from here to the jump: for the flow that leaves, and from the change
    // of the stack pointer on for the other, whose registers lie at the same distance from its CFA.
    movl    %ebx, HEDDLE_SAVE_EBX(%esp)
    .cfi_offset %ebx, HEDDLE_SAVE_EBX - 4
    movl    HEDDLE_ARGUMENT_VALUE(%esp), %ebx
    movl    %esi, HEDDLE_SAVE_ESI(%esp)
    .cfi_offset %esi, HEDDLE_SAVE_ESI - 4
    movl    (%esp), %esi
    movl    %edi, HEDDLE_SAVE_EDI(%esp)
    .cfi_offset %edi, HEDDLE_SAVE_EDI - 4
    movl    %esp, %edi
#ifdef HEDDLE_FP_PRESERVED
    subl    $HEDDLE_WORDS_BYTES, %esp
    .cfi_adjust_cfa_offset HEDDLE_WORDS_BYTES
    stmxcsr HEDDLE_SAVE_MXCSR(%edi)
    fnstcw  HEDDLE_SAVE_X87CW(%edi)
#endif
    movl    %ebp, HEDDLE_CONTEXT_FP(%eax)
    movl    %edi, HEDDLE_CONTEXT_SP(%eax)
    movl    %esi, HEDDLE_CONTEXT_PC(%eax)
#ifdef HEDDLE_FP_PRESERVED
    // What is there already is not written, and status flags are not compared: x86_64-sysv.S.
    movl    HEDDLE_SAVE_MXCSR(%edi), %eax
    xorl    HEDDLE_SAVE_MXCSR(%ecx), %eax
    testl   $HEDDLE_MXCSR_CONTROL, %eax
    jz      1f
    ldmxcsr HEDDLE_SAVE_MXCSR(%ecx)
1:
    movw    HEDDLE_SAVE_X87CW(%edi), %ax
    cmpw    HEDDLE_SAVE_X87CW(%ecx), %ax
    je      2f
    fldcw   HEDDLE_SAVE_X87CW(%ecx)
2:
#endif

    movl    %ecx, %esp
#ifdef HEDDLE_FP_PRESERVED
    .cfi_adjust_cfa_offset -HEDDLE_WORDS_BYTES
#endif
    // From here on the unwinder sees the other flow. Its ebp is at HEDDLE_CONTEXT_FP(%edx):
    // DW_CFA_expression (0x10), register 5 (ebp), 2 bytes: DW_OP_breg2 (0x72, edx plus a signed
    // LEB128 number), the number.
    .cfi_escape 0x10, 5, 2, 0x72, HEDDLE_CONTEXT_FP
    movl    %ebx, %eax
    movl    HEDDLE_CONTEXT_FP(%edx), %ebp
    movl    HEDDLE_SAVE_EBX(%ecx), %ebx
    movl    HEDDLE_SAVE_ESI(%ecx), %esi
    movl    HEDDLE_SAVE_EDI(%ecx), %edi
    addl    $4, %esp
    .cfi_adjust_cfa_offset -4
    notrack jmp *HEDDLE_CONTEXT_PC(%edx)
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context. The CFA is the stack's top.
HEDDLE_FUNCTION(heddle_entry)
    .cfi_undefined %eip
    .cfi_def_cfa_offset HEDDLE_ENTRY_DEPTH
    // A fresh context resumes behind this instruction, at HEDDLE_ENTRY_OFFSET.
    nop
    // Step over the frame that context_make wrote. The argument lies where the stack pointer then
    // is, which is a multiple of 16 as at every call.
    subl    $(HEDDLE_FRAME_BYTES + 16 - HEDDLE_ENTRY_DEPTH), %esp
    .cfi_adjust_cfa_offset HEDDLE_FRAME_BYTES + 16 - HEDDLE_ENTRY_DEPTH
    movl    %esi, (%esp)
    notrack call *%ebx
    ud2
HEDDLE_FUNCTION_END(heddle_entry)

// GNU_PROPERTY_X86_FEATURE_1_AND (0xc0000002): bit 0, indirect branch tracking, is honoured; bit 1,
// the shadow stack, is not claimed.
HEDDLE_PROPERTY(0xc0000002, 1)
HEDDLE_END
