// Unwinds at every instruction of a switch, as a profiler or a debugger would that happened to
// stop there: the processor traps after each instruction, and the handler walks the stack.
//
// Needs a processor that a program can step by itself, so it is for x86-64 and i386 alone. It knows
// their ports: the registers, the entry stub, and that a saved stack pointer points at a return
// address.
#include "flow.h"

#include <doctest/doctest.h>

#if (defined(__x86_64__) || defined(__i386__)) && defined(__linux__)

#include "checker.h"
#include "tests/support/report.hpp"

#include <signal.h>
#include <ucontext.h>

#include <array>
#include <vector>

#include <unwind.h>

using heddle::test::stack;

extern "C" [[gnu::weak]] void heddle_entry();
extern "C" [[gnu::weak]] int unw_step(void*);  // there with LLVM's libunwind

namespace {

// The numbers of the preserved registers in DWARF (System V ABI: AMD64 supplement, table 3.36;
// Intel386 supplement, section 2.4), in the checker's order, and what a signal handler and the
// compiler call the program counter and the flags.
#ifdef __x86_64__
constexpr int register_numbers[] = {3, 6, 12, 13, 14, 15};
constexpr auto program_counter = REG_RIP;
#define read_flags __builtin_ia32_readeflags_u64
#define write_flags __builtin_ia32_writeeflags_u64
#else
constexpr int register_numbers[] = {3, 5, 6, 7};
constexpr auto program_counter = REG_EIP;
#define read_flags __builtin_ia32_readeflags_u32
#define write_flags __builtin_ia32_writeeflags_u32
#endif
using registers = std::array<std::uint64_t, std::size(register_numbers)>;

/// One flow as the unwinder should describe it while heddle_switch runs on its behalf.
struct caller {
    const void* function = nullptr;    ///< that called heddle_switch
    std::uintptr_t stack_pointer = 0;  ///< after heddle_switch will have returned there
    registers values = {};
    bool operator==(const caller&) const = default;
};

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
    if (it.depth < 0 && address != it.interrupted) {
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
            it.into->found.values[i] = _Unwind_GetGR(frame, register_numbers[i]);
        }
    }
    return it.depth < 100 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

std::vector<step> steps;  // has room for all before the stepping begins
std::size_t switch_under_way = 0;

void on_step(int, siginfo_t*, void* interrupted_context) {
    const auto* const saved = static_cast<ucontext_t*>(interrupted_context);
    const auto address = static_cast<std::uintptr_t>(saved->uc_mcontext.gregs[program_counter]);
    const void* const function =
        _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(address + 1));
    if (function != reinterpret_cast<void*>(heddle_switch) &&
        function != reinterpret_cast<void*>(heddle_entry)) {
        return;
    }
    if (steps.size() == steps.capacity()) {
        return;
    }
    step& now = steps.emplace_back();
    now.number = switch_under_way;
    now.function = function;
    now.offset = static_cast<std::ptrdiff_t>(address - reinterpret_cast<std::uintptr_t>(function));
    walk it{.interrupted = address, .into = &now};
    now.ended = _Unwind_Backtrace(visit, &it) == _URC_END_OF_STACK;
}

constexpr unsigned trap_flag = 0x100;

void begin_stepping() {
    write_flags(read_flags() | trap_flag);
}
void end_stepping() {
    write_flags(read_flags() & ~decltype(read_flags()){trap_flag});
}

// Two flows take turns: four switches, of which the first starts the second flow. Switch n leaves
// the flow that callers[n] describes, and resumes the one that callers[n - 1] describes.
constexpr std::size_t switches = 4;
std::array<caller, switches> callers;
heddle_context contexts[2];  // the test's own flow, and the other

void do_switch(std::size_t number) {
    heddle_context& from = contexts[number % 2];
    heddle_context& to = contexts[1 - number % 2];
    std::uint64_t values[checked_registers_max] = {};
    for (std::size_t i = 0; i < std::size(register_numbers); ++i) {
        callers[number].values[i] = values[i] = 1000 * (number + 1) + i;
    }
    callers[number].function = reinterpret_cast<void*>(heddle_test_switch);
    switch_under_way = number;
    heddle_test_switch(&from, &to, 0, values);
}

std::uintptr_t above_return_address(const heddle_context& suspended) {
    return reinterpret_cast<std::uintptr_t>(suspended.stack_pointer) + sizeof(void*);
}

// Whoever resumes after switch `number` notes where it left its flow suspended.
void note_stack_pointer(std::size_t number) {
    callers[number].stack_pointer = above_return_address(contexts[number % 2]);
}

void other_flow(void*) {
    note_stack_pointer(0);
    do_switch(1);
    note_stack_pointer(2);
    do_switch(3);
}

[[gnu::noinline]] void step_through() {
    begin_stepping();
    do_switch(0);
    note_stack_pointer(1);
    do_switch(2);
    note_stack_pointer(3);
    end_stepping();
}

/// While it lives, on_step handles the traps, on a stack of its own.
class handler {
public:
    handler() {
        stack_t own = {};
        own.ss_sp = memory_.bottom();
        own.ss_size = memory_.size();
        sigaltstack(&own, &previous_stack_);
        struct sigaction action = {};
        action.sa_sigaction = on_step;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(SIGTRAP, &action, &previous_action_);
    }
    handler(const handler&) = delete;
    handler& operator=(const handler&) = delete;
    ~handler() {
        sigaction(SIGTRAP, &previous_action_, nullptr);
        sigaltstack(&previous_stack_, nullptr);
    }

private:
    stack memory_;
    stack_t previous_stack_ = {};
    struct sigaction previous_action_ = {};
};

}  // namespace

TEST_CASE("at every instruction of a switch the unwinder finds the flow that it belongs to") {
    if (!heddle::test::needs_port("its switch has no unwind information") ||
        !heddle::test::needs_processor("it does not know the trap flag")) {
        return;
    }
    if (unw_step != nullptr) {
        // It takes the address that a signal interrupted for a return address, and so reads the
        // row before wherever a row begins.
        return heddle::test::skip("LLVM's libunwind looks one byte too low below a signal frame");
    }
    const stack memory;
    int argument = 0;
    heddle::detail::context_make(contexts[1], memory.top(), other_flow, &argument);
    const auto top = reinterpret_cast<std::uintptr_t>(memory.top());
    const caller fresh = {.function = reinterpret_cast<void*>(heddle_entry),
                          .stack_pointer = above_return_address(contexts[1]),
                          .values = {reinterpret_cast<std::uintptr_t>(other_flow), 0,
                                     reinterpret_cast<std::uintptr_t>(&argument)}};
    steps.clear();
    steps.reserve(1000);
    {
        const handler installed;
        step_through();
    }
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
        const bool still_left = entering[now.number] == 0 && now.found == left;
        if (still_left) {
            ++leaving[now.number];
        } else {
            ++entering[now.number];
            CHECK(now.found.function == resumed.function);
            CHECK(now.found.stack_pointer == resumed.stack_pointer);
            for (std::size_t i = 0; i < resumed.values.size(); ++i) {
                CHECK(now.found.values[i] == resumed.values[i]);
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

#endif
