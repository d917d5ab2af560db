// Switches to and fro by indirect calls, in a program in which every indirect branch has to find a
// landing pad. aarch64_bti.py builds it with the port as it is, and with ports that lack one.
#include "bare.hpp"

using heddle::detail::context_make;
using heddle::test::end;
using heddle::test::expect;
using heddle::test::stack;

extern "C" void heddle_entry();

namespace {

constexpr int rounds = 100;

stack memory;
heddle_context outside;
heddle_context inside;
heddle_context scratch;

// Hidden from the compiler, so that it calls by `blr`.
decltype(&heddle_switch) volatile indirect = heddle_switch;

void echo(void* argument) {
    std::intptr_t value = *static_cast<const int*>(argument);
    for (int i = 0; i < rounds; ++i) {
        value = indirect(&inside, &outside, value + 1);
    }
    indirect(&scratch, &outside, -1);
    end(10);
}

// What the entry stub calls when the program jumps to it, as it never does otherwise.
[[noreturn]] void at_entry(void* argument) {
    end(argument == &memory ? 0 : 11);
}

// The entry stub as the target of an indirect call, its registers as after a switch.
[[noreturn]] void enter_stub() {
    register auto entry __asm__("x19") = &at_entry;
    register void* argument __asm__("x20") = &memory;
    void (*volatile stub)() = heddle_entry;
    __asm__ volatile("blr %0" : : "r"(stub), "r"(entry), "r"(argument) : "memory");
    __builtin_trap();
}

}  // namespace

extern "C" void _start() {
    int first = 41;
    context_make(inside, memory.top(), echo, &first);
    expect(indirect(&outside, &inside, 0) == 42, 1);
    for (int i = 1; i < rounds; ++i) {
        expect(indirect(&outside, &inside, i) == i + 1, 2);
    }
    expect(indirect(&outside, &inside, 0) == -1, 3);
    enter_stub();
}
