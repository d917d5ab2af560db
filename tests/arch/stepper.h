// Stops at every instruction of the switch, on each CPU by the means that it has.
//
// An x86 processor traps after every instruction while its trap flag is set. Elsewhere a program
// cannot step itself, so every instruction of heddle_switch and heddle_entry is replaced by one
// that traps; the one that is due is put back before it runs. Where the unwinder does not serve
// signal handlers (EHABI), there is no stepper.
#pragma once

#include "arch/context.h"

#include <cstddef>
#include <cstdint>

#if defined(__linux__)

#include <signal.h>
#include <ucontext.h>

#include <iterator>

// Of each CPU: the numbers of the preserved registers in DWARF, in the checker's order, and the
// places there of those in which a fresh context has its entry function and its argument; where a
// signal handler finds the program counter; the stack pointer after the return from heddle_switch.
// And either the trap flag, or an instruction that traps, no longer than any other, how far behind
// its beginning the program counter then is, and the length of an instruction.
namespace heddle::test::cpu {

#if defined(__x86_64__) || defined(__i386__)

#define HEDDLE_TEST_STEPPER
#define HEDDLE_TEST_TRAP_FLAG 0x100
// System V ABI: AMD64 supplement, table 3.36; Intel386 supplement, section 2.4. The saved stack
// pointer points at the return address.
#ifdef __x86_64__
constexpr int registers[] = {3, 6, 12, 13, 14, 15};
constexpr std::size_t entry_place = 0;
constexpr std::size_t argument_place = 2;
constexpr auto program_counter_place = REG_RIP;
#else
constexpr int registers[] = {3, 5, 6, 7};
constexpr std::size_t entry_place = 0;
constexpr std::size_t argument_place = 2;
constexpr auto program_counter_place = REG_EIP;
#endif
inline auto& program_counter(ucontext_t& saved) {
    return saved.uc_mcontext.gregs[program_counter_place];
}
inline std::uintptr_t stack_pointer_after(const heddle_context& suspended) {
    return reinterpret_cast<std::uintptr_t>(suspended.stack_pointer) + sizeof(void*);
}

#elif defined(__aarch64__)

#define HEDDLE_TEST_STEPPER
// DWARF for the Arm 64-bit Architecture, section 4.1: x0 is 0, v0 is 64.
constexpr int registers[] = {19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
                             29, 72, 73, 74, 75, 76, 77, 78, 79};
constexpr std::size_t entry_place = 0;
constexpr std::size_t argument_place = 1;
inline auto& program_counter(ucontext_t& saved) {
    return saved.uc_mcontext.pc;
}
inline std::uintptr_t stack_pointer_after(const heddle_context& suspended) {
    return reinterpret_cast<std::uintptr_t>(suspended.stack_pointer) + HEDDLE_FRAME_BYTES;
}
constexpr unsigned char trap[] = {0x00, 0x00, 0x20, 0xd4};  // brk #0
constexpr std::uintptr_t stops_behind = 0;
inline std::size_t instruction_bytes(const unsigned char*) {
    return 4;
}

#elif defined(__riscv)

#define HEDDLE_TEST_STEPPER
// RISC-V ELF psABI, "DWARF Register Numbers": x0 is 0, f0 is 32.
constexpr int registers[] = {8,  9,  18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
                             40, 41, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59};
constexpr std::size_t entry_place = 1;
constexpr std::size_t argument_place = 2;
inline auto& program_counter(ucontext_t& saved) {
    return saved.uc_mcontext.__gregs[REG_PC];
}
inline std::uintptr_t stack_pointer_after(const heddle_context& suspended) {
    return reinterpret_cast<std::uintptr_t>(suspended.stack_pointer) + HEDDLE_FRAME_BYTES;
}
constexpr unsigned char trap[] = {0x02, 0x90};  // c.ebreak
constexpr std::uintptr_t stops_behind = 0;
inline std::size_t instruction_bytes(const unsigned char* code) {
    return (*code & 3) == 3 ? 4 : 2;
}

#elif defined(__s390x__)

#define HEDDLE_TEST_STEPPER
// ELF Application Binary Interface, s390x Supplement, "DWARF": r0 is 0; f8, f10, f12, f14 are 24
// to 27, and f9, f11, f13, f15 are 28 to 31.
constexpr int registers[] = {6, 7, 8, 9, 10, 11, 12, 13, 24, 28, 25, 29, 26, 30, 27, 31};
constexpr std::size_t entry_place = 0;
constexpr std::size_t argument_place = 1;
inline auto& program_counter(ucontext_t& saved) {
    return saved.uc_mcontext.psw.addr;
}
// The CFA, which is beyond the save area that the caller leaves free.
inline std::uintptr_t stack_pointer_after(const heddle_context& suspended) {
    return reinterpret_cast<std::uintptr_t>(suspended.stack_pointer) + HEDDLE_SAVE_AREA_BYTES;
}
constexpr unsigned char trap[] = {0x00, 0x01};  // no instruction: what debuggers plant
constexpr std::uintptr_t stops_behind = 2;
inline std::size_t instruction_bytes(const unsigned char* code) {
    return *code < 0x40 ? 2 : *code < 0xc0 ? 4 : 6;
}

#elif defined(__mips64)

#define HEDDLE_TEST_STEPPER
constexpr int registers[] = {16, 17, 18, 19, 20, 21, 22, 23, 28,
                             30, 56, 57, 58, 59, 60, 61, 62, 63};
constexpr std::size_t entry_place = 1;
constexpr std::size_t argument_place = 0;
inline auto& program_counter(ucontext_t& saved) {
    return saved.uc_mcontext.pc;
}
inline std::uintptr_t stack_pointer_after(const heddle_context& suspended) {
    return reinterpret_cast<std::uintptr_t>(suspended.stack_pointer) + HEDDLE_FRAME_BYTES;
}
constexpr unsigned char trap[] = {0x0d, 0x00, 0x00, 0x00};  // break
constexpr std::uintptr_t stops_behind = 0;
// A jump and its delay slot count as one: between them nothing can stop.
inline std::size_t instruction_bytes(const unsigned char* code) {
    const bool jumps = code[3] < 0x04 && (code[0] & 0x3e) == 0x08;  // jr, jalr
    return jumps ? 8 : 4;
}

#endif

#if defined(__s390x__)
// libgcc's unwinder takes the rest out of a signal's frame as if f8 to f15 had numbers in order.
constexpr std::ptrdiff_t registers_of_signals = 8;
#elif defined(HEDDLE_TEST_STEPPER)
constexpr std::ptrdiff_t registers_of_signals = std::size(registers);
#endif

}  // namespace heddle::test::cpu
#endif

#ifdef HEDDLE_TEST_STEPPER

// Of a function: no sanitizer adds calls to it. clang has TSan note functions without it, g++ here
// never compiles for TSan.
#if defined(__clang__)
#define HEDDLE_TEST_UNINSTRUMENTED [[clang::disable_sanitizer_instrumentation]]
#else
#define HEDDLE_TEST_UNINSTRUMENTED
#endif

namespace heddle::test {

/// While it lives, `observe` is called in a signal handler, on the stack of the flow that was
/// interrupted, before each instruction of heddle_switch and heddle_entry that runs between
/// begin() and end(). On x86 the handler runs at everything else in between too: there must be no
/// function of a sanitizer, which may hold a lock that the handler's own instrumentation takes.
class stepper {
public:
    using observer = void (*)(std::uintptr_t address);

    explicit stepper(observer observe);
    stepper(const stepper&) = delete;
    stepper& operator=(const stepper&) = delete;
    ~stepper();

    HEDDLE_TEST_UNINSTRUMENTED static void begin();
    HEDDLE_TEST_UNINSTRUMENTED static void end();

private:
    struct sigaction previous_[2] = {};
};

}  // namespace heddle::test

#endif
