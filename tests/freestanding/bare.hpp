// What a program needs that has nothing: a way to end, and flows to switch between.
#pragma once

#include "arch/context.h"

namespace heddle::test {

/// Calls the kernel. Linux's numbers are the same on all of these CPUs.
inline long system_call(long number, long first = 0, long second = 0, long third = 0,
                        long fourth = 0, long fifth = 0) {
#if defined(__aarch64__)
    register long called __asm__("x8") = number;
    register long a __asm__("x0") = first;
    register long b __asm__("x1") = second;
    register long c __asm__("x2") = third;
    register long d __asm__("x3") = fourth;
    register long e __asm__("x4") = fifth;
    __asm__ volatile("svc 0" : "+r"(a) : "r"(called), "r"(b), "r"(c), "r"(d), "r"(e) : "memory");
#elif defined(__loongarch64)
    register long called __asm__("$a7") = number;
    register long a __asm__("$a0") = first;
    register long b __asm__("$a1") = second;
    register long c __asm__("$a2") = third;
    register long d __asm__("$a3") = fourth;
    register long e __asm__("$a4") = fifth;
    __asm__ volatile("syscall 0"
                     : "+r"(a)
                     : "r"(called), "r"(b), "r"(c), "r"(d), "r"(e)
                     : "$t0", "$t1", "$t2", "$t3", "$t4", "$t5", "$t6", "$t7", "$t8", "memory");
#else
#error "say here how a program calls the kernel on this CPU"
#endif
    return a;
}

/// Ends the process.
[[noreturn]] inline void end(long status) {
    constexpr long exit_group = 94;
    system_call(exit_group, status);
    __builtin_trap();
}

/// Ends the process with `step` for its status, unless `good`.
inline void expect(bool good, int step) {
    if (!good) {
        end(step);
    }
}

/// Memory for one stack.
struct alignas(64) stack {
    char bytes[16 * 1024];
    void* top() { return bytes + sizeof bytes; }
};

}  // namespace heddle::test

/// Where the program begins.
extern "C" [[noreturn]] void _start();
