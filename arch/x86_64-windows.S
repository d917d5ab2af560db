// The context switch for x86-64 Windows. x86_64-sysv.S is the reference and explains the rest.
//
// (a) ABI: Microsoft Learn, "x64 software conventions": "x64 calling convention" (registers, home
//     space), "x64 stack usage", "x64 exception handling" (unwind codes); read in 2026.
//
// (b) Preserved: rsp; the nonvolatile rbx, rbp, rdi, rsi and r12 to r15; the low 128 bits of xmm6
//     to xmm15; with HEDDLE_FP_PRESERVED the x87 control word and the control bits of MXCSR, which
//     are nonvolatile too. And what the thread's block says of the stack that it runs on, because
//     the system acts upon it: ExceptionList, which Wine walks along with the stack; StackBase and
//     StackLimit, between which alone an exception finds frames, and down to which __chkstk counts
//     on pages; DeallocationStack and GuaranteedStackBytes, by which guard pages are recognised and
//     GetCurrentThreadStackLimits answers; FiberData, for code that makes Windows fibers.
//
// (c) Not preserved: every other register, the upper halves of xmm6 to xmm15 included, and the
//     control words by default. FlsData, the fiber-local storage, remains the thread's: heddle's
//     contexts are no Windows fibers, FLS is where the C runtime keeps errno, which the contract
//     leaves to the thread, and nothing would free what a context had allocated there. The C++
//     runtime of MSVC keeps its exceptions in flight there as well; exchanging those is core's.
//
// (d) The frame of a suspended context, highest address first. S is the saved stack pointer:
//
//         S + 288         the caller's frame, which begins with this function's home space
//         S + 280         return address of the call to heddle_switch
//         S + 268         MXCSR, x87 control word: only with HEDDLE_FP_PRESERVED
//         S + 224         ExceptionList, StackBase, StackLimit, FiberData, DeallocationStack,
//                         GuaranteedStackBytes
//         S +  64         xmm6 to xmm15
//         S               rbx, rbp, rdi, rsi, r12 to r15
//
//     There is no red zone: the stack pointer moves before anything is stored. A debugger that
//     walks a suspended context starts at its resume address with rsp = S + 288.
//
// (e) At heddle_fresh: rbx holds the entry function, r12 its argument, rbp zero; rsp is 16 below
//     the top of the stack and points at a zero, the return address that ends every walk.

#include "asm.h"
#include "x86_64-windows.h"

// intptr_t heddle_switch(heddle_context* from (rcx), const heddle_context* to (rdx), value (r8))
//
// Unwind codes describe the prologue once and for all. So r9, and not rsp, is the frame register:
// it leads to one flow's frame until it is exchanged, to the other's from there on, and the codes
// fit both, because the frames are alike and saved values stay put until the jump. (A frame
// register is nonvolatile only lest calls destroy it, and here are none.) At the last instruction
// the frame lies below rsp: right for a debugger or a profiler, which push nothing there.
HEDDLE_FUNCTION(heddle_switch)
    movq    HEDDLE_CONTEXT_PC(%rdx), %r11
    movq    HEDDLE_CONTEXT_SP(%rdx), %r10
    movq    (%rsp), %rax
    subq    $HEDDLE_SAVED_BYTES, %rsp
    .seh_stackalloc HEDDLE_SAVED_BYTES
    movq    %rsp, %r9
    .seh_setframe %r9, 0
    movq    %rbx, HEDDLE_SAVE_RBX(%r9)
    .seh_savereg %rbx, HEDDLE_SAVE_RBX
    movq    %rbp, HEDDLE_SAVE_RBP(%r9)
    .seh_savereg %rbp, HEDDLE_SAVE_RBP
    movq    %rdi, HEDDLE_SAVE_RDI(%r9)
    .seh_savereg %rdi, HEDDLE_SAVE_RDI
    movq    %rsi, HEDDLE_SAVE_RSI(%r9)
    .seh_savereg %rsi, HEDDLE_SAVE_RSI
    movq    %r12, HEDDLE_SAVE_R12(%r9)
    .seh_savereg %r12, HEDDLE_SAVE_R12
    movq    %r13, HEDDLE_SAVE_R13(%r9)
    .seh_savereg %r13, HEDDLE_SAVE_R13
    movq    %r14, HEDDLE_SAVE_R14(%r9)
    .seh_savereg %r14, HEDDLE_SAVE_R14
    movq    %r15, HEDDLE_SAVE_R15(%r9)
    .seh_savereg %r15, HEDDLE_SAVE_R15
    movaps  %xmm6, HEDDLE_SAVE_XMM6(%r9)
    .seh_savexmm %xmm6, HEDDLE_SAVE_XMM6
    movaps  %xmm7, HEDDLE_SAVE_XMM7(%r9)
    .seh_savexmm %xmm7, HEDDLE_SAVE_XMM7
    movaps  %xmm8, HEDDLE_SAVE_XMM8(%r9)
    .seh_savexmm %xmm8, HEDDLE_SAVE_XMM8
    movaps  %xmm9, HEDDLE_SAVE_XMM9(%r9)
    .seh_savexmm %xmm9, HEDDLE_SAVE_XMM9
    movaps  %xmm10, HEDDLE_SAVE_XMM10(%r9)
    .seh_savexmm %xmm10, HEDDLE_SAVE_XMM10
    movaps  %xmm11, HEDDLE_SAVE_XMM11(%r9)
    .seh_savexmm %xmm11, HEDDLE_SAVE_XMM11
    movaps  %xmm12, HEDDLE_SAVE_XMM12(%r9)
    .seh_savexmm %xmm12, HEDDLE_SAVE_XMM12
    movaps  %xmm13, HEDDLE_SAVE_XMM13(%r9)
    .seh_savexmm %xmm13, HEDDLE_SAVE_XMM13
    movaps  %xmm14, HEDDLE_SAVE_XMM14(%r9)
    .seh_savexmm %xmm14, HEDDLE_SAVE_XMM14
    movaps  %xmm15, HEDDLE_SAVE_XMM15(%r9)
    .seh_savexmm %xmm15, HEDDLE_SAVE_XMM15
    .seh_endprologue
    movq    %r9, HEDDLE_CONTEXT_SP(%rcx)
    movq    %rax, HEDDLE_CONTEXT_PC(%rcx)
    movq    %gs:HEDDLE_TIB_EXCEPTION_LIST, %rax
    movq    %rax, HEDDLE_SAVE_EXCEPTION_LIST(%r9)
    movq    %gs:HEDDLE_TIB_STACK_BASE, %rax
    movq    %rax, HEDDLE_SAVE_STACK_BASE(%r9)
    movq    %gs:HEDDLE_TIB_STACK_LIMIT, %rax
    movq    %rax, HEDDLE_SAVE_STACK_LIMIT(%r9)
    movq    %gs:HEDDLE_TIB_FIBER_DATA, %rax
    movq    %rax, HEDDLE_SAVE_FIBER_DATA(%r9)
    movq    %gs:HEDDLE_TIB_DEALLOCATION_STACK, %rax
    movq    %rax, HEDDLE_SAVE_DEALLOCATION_STACK(%r9)
    movl    %gs:HEDDLE_TIB_GUARANTEED_BYTES, %eax
    movl    %eax, HEDDLE_SAVE_GUARANTEED_BYTES(%r9)
#ifdef HEDDLE_FP_PRESERVED
    stmxcsr HEDDLE_SAVE_MXCSR(%r9)
    fnstcw  HEDDLE_SAVE_X87CW(%r9)
#endif

    // From here on the unwinder sees the other flow.
    movq    %r10, %r9
    movq    HEDDLE_SAVE_RBX(%r9), %rbx
    movq    HEDDLE_SAVE_RBP(%r9), %rbp
    movq    HEDDLE_SAVE_RDI(%r9), %rdi
    movq    HEDDLE_SAVE_RSI(%r9), %rsi
    movq    HEDDLE_SAVE_R12(%r9), %r12
    movq    HEDDLE_SAVE_R13(%r9), %r13
    movq    HEDDLE_SAVE_R14(%r9), %r14
    movq    HEDDLE_SAVE_R15(%r9), %r15
    movaps  HEDDLE_SAVE_XMM6(%r9), %xmm6
    movaps  HEDDLE_SAVE_XMM7(%r9), %xmm7
    movaps  HEDDLE_SAVE_XMM8(%r9), %xmm8
    movaps  HEDDLE_SAVE_XMM9(%r9), %xmm9
    movaps  HEDDLE_SAVE_XMM10(%r9), %xmm10
    movaps  HEDDLE_SAVE_XMM11(%r9), %xmm11
    movaps  HEDDLE_SAVE_XMM12(%r9), %xmm12
    movaps  HEDDLE_SAVE_XMM13(%r9), %xmm13
    movaps  HEDDLE_SAVE_XMM14(%r9), %xmm14
    movaps  HEDDLE_SAVE_XMM15(%r9), %xmm15
#ifdef HEDDLE_FP_PRESERVED
    ldmxcsr HEDDLE_SAVE_MXCSR(%r9)
    fldcw   HEDDLE_SAVE_X87CW(%r9)
#endif
    // The block and the stack pointer change together, as nearly as they can.
    movq    HEDDLE_SAVE_EXCEPTION_LIST(%r9), %rax
    movq    %rax, %gs:HEDDLE_TIB_EXCEPTION_LIST
    movq    HEDDLE_SAVE_FIBER_DATA(%r9), %rax
    movq    %rax, %gs:HEDDLE_TIB_FIBER_DATA
    movl    HEDDLE_SAVE_GUARANTEED_BYTES(%r9), %eax
    movl    %eax, %gs:HEDDLE_TIB_GUARANTEED_BYTES
    movq    HEDDLE_SAVE_DEALLOCATION_STACK(%r9), %rax
    movq    %rax, %gs:HEDDLE_TIB_DEALLOCATION_STACK
    movq    HEDDLE_SAVE_STACK_LIMIT(%r9), %rax
    movq    %rax, %gs:HEDDLE_TIB_STACK_LIMIT
    movq    HEDDLE_SAVE_STACK_BASE(%r9), %rax
    movq    %rax, %gs:HEDDLE_TIB_STACK_BASE
    movq    %r8, %rax
    leaq    HEDDLE_RETURNED_BYTES(%r9), %rsp
    jmp     *%r11
HEDDLE_FUNCTION_END(heddle_switch)

// The first instructions of a fresh context: step over the frame that context_make wrote, so that a
// finished flow can make its successor on this stack, and end the chain of frames anew below it.
// Then on to the next function, through the padding, where a walk finds the zero at rsp as well.
HEDDLE_FUNCTION(heddle_fresh)
    subq    $HEDDLE_RETURNED_BYTES, %rsp
    .seh_stackalloc HEDDLE_RETURNED_BYTES
    .seh_endprologue
    pushq   $0
HEDDLE_FUNCTION_END(heddle_fresh)

// The frame at which every walk ends, with the system's answer to what no frame handles.
HEDDLE_FUNCTION(heddle_entry)
    .seh_handler heddle_unhandled, @except
    subq    $HEDDLE_CALL_BYTES, %rsp
    .seh_stackalloc HEDDLE_CALL_BYTES
    .seh_endprologue
    movq    %r12, %rcx
    call    *%rbx
    ud2
HEDDLE_FUNCTION_END(heddle_entry)

// EXCEPTION_DISPOSITION heddle_unhandled(EXCEPTION_RECORD* (rcx), frame (rdx), CONTEXT* (r8), …)
//
// A thread's first frame asks UnhandledExceptionFilter, and so does a context's. It knows the crash
// handler of the program, and that of the C++ runtime: for an exception of GCC's it continues the
// throw, which then calls std::terminate with every frame still there, as context_entry says.
HEDDLE_FUNCTION(heddle_unhandled)
    subq    $HEDDLE_HANDLER_BYTES, %rsp
    .seh_stackalloc HEDDLE_HANDLER_BYTES
    .seh_endprologue
    movq    %rcx, HEDDLE_POINTERS_RECORD(%rsp)
    movq    %r8, HEDDLE_POINTERS_CONTEXT(%rsp)
    leaq    HEDDLE_POINTERS_RECORD(%rsp), %rcx
    call    *__imp_UnhandledExceptionFilter(%rip)
    // EXCEPTION_CONTINUE_EXECUTION (-1) becomes ExceptionContinueExecution (0), and all else
    // ExceptionContinueSearch (1), which ends the process: there is nothing left to search.
    cmpl    $-1, %eax
    setne   %al
    movzbl  %al, %eax
    addq    $HEDDLE_HANDLER_BYTES, %rsp
    ret
HEDDLE_FUNCTION_END(heddle_unhandled)

HEDDLE_END
