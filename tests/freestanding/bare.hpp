// What a program needs that has nothing: a way to end, and flows to switch between.
#pragma once

#include "arch/context.h"

namespace heddle::test {

/// Ends the process by the system call of the CPU.
[[noreturn]] inline void end(long status) {
#if defined(__aarch64__)
    register long number __asm__("x8") = 94;  // exit_group
    register long first __asm__("x0") = status;
    __asm__ volatile("svc 0" : : "r"(number), "r"(first) : "memory");
#else
#error "say here how a program ends on this CPU"
#endif
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
