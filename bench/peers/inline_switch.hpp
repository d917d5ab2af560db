// The floor: the cheapest switch that a compiler can be told about, for x86-64.
//
// Inline assembly that declares everything destroyed, so that the compiler saves only what is live
// at that place; the stack pointer, the frame pointer and the address to continue at are kept in
// a small block, and the stacks are not touched at all. No library can be built like this, because
// it must stand in the caller itself, where every compiler flag of the user matters (AVX-512 and
// x87 registers would have to be listed too). It is here to show what the machine allows.
#pragma once

#include <cstddef>

namespace bench {

/// A suspended flow. Small, so that many stay in the cache.
struct flow {
    void* stack_pointer = nullptr;
    const void* resume_address = nullptr;
    void* frame_pointer = nullptr;
};
static_assert(offsetof(flow, stack_pointer) == 0 && offsetof(flow, resume_address) == 8 &&
              offsetof(flow, frame_pointer) == 16);

/// What a fresh flow finds at its stack pointer.
struct first_call {
    void (*entry)(void*);  ///< never returns
    void* argument;
};
static_assert(offsetof(first_call, entry) == 0 && offsetof(first_call, argument) == 8);

/// The first instructions of a flow: makes the first call.
[[gnu::naked]] inline void begin_flow() {
    asm("xorl %ebp, %ebp\n\t"
        "movq 8(%rsp), %rdi\n\t"
        "call *(%rsp)\n\t"
        "ud2");
}

/// Prepares a flow that begins with entry(argument); `stack_top` is a multiple of 16.
inline void make_flow(flow& made, void* stack_top, void (*entry)(void*), void* argument) {
    auto* const first = static_cast<first_call*>(stack_top) - 1;
    *first = {entry, argument};
    made = {first, reinterpret_cast<const void*>(&begin_flow), nullptr};
}

/// Suspends the caller into `from` and continues `to`. rbp cannot be in the list of destroyed
/// registers, so it is exchanged by hand; nothing is pushed, so the red zone stays whole.
[[gnu::always_inline]] inline void inline_switch(flow* from, const flow* to) {
    asm volatile("leaq 1f(%%rip), %%rax\n\t"
                 "movq %%rsp, 0(%%rdi)\n\t"
                 "movq %%rax, 8(%%rdi)\n\t"
                 "movq %%rbp, 16(%%rdi)\n\t"
                 "movq 0(%%rsi), %%rsp\n\t"
                 "movq 16(%%rsi), %%rbp\n\t"
                 "jmp *8(%%rsi)\n"
                 "1:"
                 : "+D"(from), "+S"(to)
                 :
                 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                   "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                   "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
}

}  // namespace bench
