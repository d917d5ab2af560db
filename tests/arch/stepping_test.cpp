// Unwinds at every instruction of a switch, as a profiler or a debugger would that happened to
// stop there. How it is stopped there, and what that needs to know of the CPU, is in stepper.h.
#include "flow.h"
#include "stepper.h"

#include <doctest/doctest.h>

#ifdef HEDDLE_TEST_STEPPER

#include "checker.h"
#include "tests/support/report.hpp"

#include <algorithm>
#include <array>
#include <cfenv>
#include <cstring>
#include <vector>

#include <unwind.h>

using heddle::test::stack;
using heddle::test::stepper;
namespace cpu = heddle::test::cpu;

extern "C" [[gnu::weak]] void heddle_entry();
extern "C" [[gnu::weak]] int unw_step(void*);  // there with LLVM's libunwind

namespace {

using registers = std::array<std::uint64_t, std::size(cpu::registers)>;

/// One flow as the unwinder should describe it while heddle_switch runs on its behalf.
struct caller {
    const void* function = nullptr;    ///< that called heddle_switch
    std::uintptr_t stack_pointer = 0;  ///< after heddle_switch will have returned there
    registers values = {};
};

/// Whether `found` is `left`, whose registers the unwinder finds in the frame of the signal.
bool is(const caller& found, const caller& left) {
    return found.function == left.function && found.stack_pointer == left.stack_pointer &&
           std::equal(left.values.begin(), left.values.begin() + cpu::registers_of_signals,
                      found.values.begin());
}

/// What the unwinder said at one instruction.
struct step {
    std::size_t number;         ///< of the switch under way
    const void* function;       ///< that the instruction belongs to
    std::ptrdiff_t offset;      ///< of the instruction in it
    caller found;               ///< the next frame
    const void* last_function;  ///< of the outermost frame
    std::uintptr_t last_cfa;
    bool passes_test;  ///< through the test's own function, further out
    bool ended;
};

void step_through();

// The walk of one handler's call.
struct walk {
    std::uintptr_t interrupted;
    step* into;
    int depth = -1;  ///< of the frame under `interrupted`: 0 is the interrupted function itself
};

_Unwind_Reason_Code visit(_Unwind_Context* frame, void* argument) {
    auto& it = *static_cast<walk*>(argument);
    const auto address = _Unwind_GetIP(frame);
    // s390x stops 2 bytes behind the beginning, and for MIPS libgcc's unwinder adds them.
    if (it.depth < 0 && address != it.interrupted && address != it.interrupted + 2) {
        return _URC_NO_REASON;  // the handler and its trampoline
    }
    ++it.depth;
    it.into->last_cfa = _Unwind_GetCFA(frame);
    if (address == 0) {
        return _URC_NO_REASON;  // beyond the outermost frame
    }
    // A return address is looked up less one, the interrupted instruction as it is.
    const auto looked_up = address + (it.depth == 0 ? 1 : 0);
    const void* const function = _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(looked_up));
    it.into->last_function = function;
    it.into->passes_test |= function == reinterpret_cast<void*>(step_through);
    if (it.depth == 1) {
        it.into->found.function = function;
        it.into->found.stack_pointer = it.into->last_cfa;
        for (std::size_t i = 0; i < it.into->found.values.size(); ++i) {
            it.into->found.values[i] = _Unwind_GetGR(frame, cpu::registers[i]);
        }
    }
    return it.depth < 100 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

std::vector<step> steps;  // has room for all before the stepping begins
std::size_t switch_under_way = 0;

void on_step(std::uintptr_t address) {
    if (steps.size() == steps.capacity()) {
        return;
    }
    const void* const function =
        _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(address + 1));
    step& now = steps.emplace_back();
    now.number = switch_under_way;
    now.function = function;
    now.offset = static_cast<std::ptrdiff_t>(address - reinterpret_cast<std::uintptr_t>(function));
    walk it{.interrupted = address, .into = &now};
    now.ended = _Unwind_Backtrace(visit, &it) == _URC_END_OF_STACK;
}

// Two flows take turns: four switches, of which the first starts the second flow. Switch n leaves
// the flow that callers[n] describes, and resumes the one that callers[n - 1] describes.
constexpr std::size_t switches = 4;
std::array<caller, switches> callers;
heddle_context contexts[2];  // the test's own flow, and the other

/// Its stepping ends where it resumes a flow: after another switch, or at the beginning.
void do_switch(std::size_t number) {
    heddle_context& from = contexts[number % 2];
    heddle_context& to = contexts[1 - number % 2];
    std::uint64_t values[checked_registers_max] = {};
    for (std::size_t i = 0; i < std::size(cpu::registers); ++i) {
        callers[number].values[i] = values[i] = 1000 * (number + 1) + i;
    }
    callers[number].function = reinterpret_cast<void*>(heddle_test_switch);
    switch_under_way = number;
    stepper::begin();
    heddle_test_switch(&from, &to, 0, values);
    stepper::end();
}

// Whoever resumes after switch `number` notes where it left its flow suspended.
void note_stack_pointer(std::size_t number) {
    callers[number].stack_pointer = cpu::stack_pointer_after(contexts[number % 2]);
}

HEDDLE_TEST_UNINSTRUMENTED void other_flow(void*) {
    stepper::end();
    note_stack_pointer(0);
    do_switch(1);
    note_stack_pointer(2);
    do_switch(3);
}

[[gnu::noinline]] void step_through() {
    do_switch(0);
    note_stack_pointer(1);
    do_switch(2);
    note_stack_pointer(3);
}

// Makes the other flow on `memory` and steps through all switches; `steps` has what was seen.
// Returns how the unwinder should describe the other flow before it has run.
caller step_through_all(const stack& memory) {
    static int argument;
    heddle::detail::context_make(contexts[1], memory.top(), other_flow, &argument);
    caller fresh = {.function = reinterpret_cast<void*>(heddle_entry),
                    .stack_pointer = cpu::stack_pointer_after(contexts[1]),
                    .values = {}};
    fresh.values[cpu::entry_place] = reinterpret_cast<std::uintptr_t>(other_flow);
    fresh.values[cpu::argument_place] = reinterpret_cast<std::uintptr_t>(&argument);
    steps.clear();
    steps.reserve(2000);
    const stepper stepping(on_step);
    step_through();
    return fresh;
}

bool can_step() {
    return heddle::test::needs_port("its switch has no unwind information") &&
           heddle::test::needs_processor("it does not know the trap flag");
}

}  // namespace

TEST_CASE("at every instruction of a switch the unwinder finds the flow that it belongs to") {
    if (!can_step()) {
        return;
    }
    if (unw_step != nullptr) {
        // It takes the address that a signal interrupted for a return address, and so reads the
        // row before wherever a row begins.
        return heddle::test::skip("LLVM's libunwind looks one byte too low below a signal frame");
    }
    const stack memory;
    const auto top = reinterpret_cast<std::uintptr_t>(memory.top());
    const caller fresh = step_through_all(memory);
    CHECK(steps.size() < steps.capacity());

    std::array<int, switches> leaving = {};
    std::array<int, switches> entering = {};
    int in_entry = 0;
    for (const step& now : steps) {
        INFO("switch ", now.number, ", function ", now.function, " + ", now.offset);
        CHECK(now.ended);
        const bool of_the_test = now.passes_test;
        if (now.function == reinterpret_cast<void*>(heddle_entry)) {
            ++in_entry;
            CHECK(now.number == 0);
            CHECK(now.last_function == now.function);
            CHECK(now.last_cfa == top);
            continue;
        }
        const caller& left = callers[now.number];
        const caller& resumed = now.number == 0 ? fresh : callers[now.number - 1];
        const bool still_left = entering[now.number] == 0 && is(now.found, left);
        if (still_left) {
            ++leaving[now.number];
        } else {
            ++entering[now.number];
            CHECK(now.found.function == resumed.function);
            CHECK(now.found.stack_pointer == resumed.stack_pointer);
            for (std::size_t i = 0; i < resumed.values.size(); ++i) {
                // A fresh context has but these two of us.
                if (&resumed != &fresh || i == cpu::entry_place || i == cpu::argument_place) {
                    CHECK(now.found.values[i] == resumed.values[i]);
                }
            }
        }
        const bool in_test_flow = (now.number % 2 == 0) == still_left;
        CHECK(of_the_test == in_test_flow);
        if (!in_test_flow) {
            CHECK(now.last_function == reinterpret_cast<void*>(heddle_entry));
            CHECK(now.last_cfa == top);
        }
    }
    for (std::size_t number = 0; number < switches; ++number) {
        CHECK(leaving[number] > 0);
        CHECK(entering[number] > 0);
    }
    CHECK(in_entry > 0);
}

#if (defined(__aarch64__) || defined(__x86_64__) || defined(__i386__)) &&                          \
    defined(HEDDLE_FP_PRESERVED)

namespace {

// How often a switch saves the control words, one by one, and what an instruction does with one.
enum class use { none, save, load };
#ifdef __aarch64__
constexpr int saves_per_switch = 1;
use use_of_control_words(const unsigned char* code) {
    std::uint32_t instruction = 0;
    std::memcpy(&instruction, code, sizeof instruction);
    switch (instruction & ~std::uint32_t{31}) {  // without the register
    case 0xd53b4400:                             // mrs, of FPCR
        return use::save;
    case 0xd51b4400:  // msr, to FPCR
        return use::load;
    default:
        return use::none;
    }
}
#else
constexpr int saves_per_switch = 2;
use use_of_control_words(const unsigned char* code) {
#ifdef __x86_64__
    code += (*code & 0xf0) == 0x40;  // a prefix, REX
#endif
    const bool of_mxcsr = code[0] == 0x0f && code[1] == 0xae;
    const bool of_x87 = code[0] == 0xd9;
    const int operation = code[of_mxcsr ? 2 : 1] >> 3 & 7;
    if (operation == (of_mxcsr ? 3 : 7)) {
        return of_mxcsr || of_x87 ? use::save : use::none;
    }
    return (of_mxcsr && operation == 2) || (of_x87 && operation == 5) ? use::load : use::none;
}
#endif

}  // namespace

TEST_CASE("control words that are the same in both contexts are not written") {
    if (!can_step()) {
        return;
    }
    // Of what the first context has raised, the second knows nothing. That is no difference.
    std::feraiseexcept(FE_ALL_EXCEPT);
#ifndef __aarch64__
    heddle::detail::fp_environment words = heddle::detail::context_save_fp_environment();
    words.mxcsr |= 0x3f;  // that may have been the x87's
    heddle::detail::context_restore_fp_environment(words);
#endif
    const stack memory;
    step_through_all(memory);
    int saves = 0;
    int loads = 0;
    for (const step& now : steps) {
        const use found =
            use_of_control_words(static_cast<const unsigned char*>(now.function) + now.offset);
        saves += found == use::save;
        loads += found == use::load;
    }
    CHECK(saves == switches * saves_per_switch);
    CHECK(loads == 0);
    std::feclearexcept(FE_ALL_EXCEPT);
}

#endif

#endif
