// stepping_test.cpp for Windows: unwinds at every instruction of a switch, by the same unwind codes
// and with the same function as the system's own walks, from a handler of single steps.
#include "flow.h"

#include <doctest/doctest.h>

#if defined(_WIN64) && defined(__x86_64__)

#include "checker.h"

#include <windows.h>

#include <array>
#include <cstring>
#include <vector>

using heddle::test::stack;

extern "C" void heddle_fresh();
extern "C" void heddle_entry();

namespace {

// The preserved registers, as the checker counts them; behind them the thread block's fields.
constexpr std::size_t general_count = 8;
constexpr std::size_t vector_count = 10;
using registers = std::array<std::uint64_t, general_count + 2 * vector_count>;

/// One flow as the unwinder should describe it while heddle_switch runs on its behalf.
struct caller {
    std::uint64_t function = 0;       ///< that called heddle_switch
    std::uint64_t stack_pointer = 0;  ///< after heddle_switch will have returned there
    registers values = {};
    bool operator==(const caller&) const = default;
};

/// What the unwinder said at one instruction.
struct step {
    std::size_t number;      ///< of the switch under way
    std::uint64_t function;  ///< that the instruction belongs to; 0 between two functions
    std::uint64_t address;   ///< of the instruction
    caller found;            ///< the next frame
    std::uint64_t last_function;
    std::uint64_t last_stack_pointer;
    bool passes_test;  ///< through the test's own function, further out
};

void step_through();

std::uint64_t address_of(void (*function)()) {
    return reinterpret_cast<std::uint64_t>(function);
}

std::uint64_t function_at(std::uint64_t address) {
    DWORD64 image = 0;
    const auto* const found = ::RtlLookupFunctionEntry(address, &image, nullptr);
    return found == nullptr ? 0 : image + found->BeginAddress;
}

void unwind(CONTEXT& at) {
    DWORD64 image = 0;
    auto* const function = ::RtlLookupFunctionEntry(at.Rip, &image, nullptr);
    if (function == nullptr) {
        std::memcpy(&at.Rip, reinterpret_cast<const void*>(at.Rsp), sizeof at.Rip);
        at.Rsp += sizeof at.Rip;
        return;
    }
    void* data = nullptr;
    DWORD64 frame = 0;
    ::RtlVirtualUnwind(UNW_FLAG_NHANDLER, image, at.Rip, function, &at, &data, &frame, nullptr);
}

registers registers_of(const CONTEXT& at) {
    registers found = {at.Rbx, at.Rbp, at.Rdi, at.Rsi, at.R12, at.R13, at.R14, at.R15};
    std::memcpy(&found[general_count], &at.Xmm6, vector_count * sizeof at.Xmm6);
    return found;
}

std::vector<step> steps;  // has room for all before the stepping begins
std::size_t switch_under_way = 0;
bool stepping = false;

void record(CONTEXT at) {
    if (steps.size() == steps.capacity()) {
        return;
    }
    step& now = steps.emplace_back();
    now.number = switch_under_way;
    now.address = at.Rip;
    now.function = now.last_function = function_at(at.Rip);
    unwind(at);
    now.found = {function_at(at.Rip), at.Rsp, registers_of(at)};
    for (int depth = 0; depth < 100 && at.Rip != 0; ++depth) {
        now.last_function = function_at(at.Rip);
        now.passes_test |= now.last_function == address_of(step_through);
        if (now.last_function == 0) {
            break;
        }
        unwind(at);
    }
    now.last_stack_pointer = at.Rsp;
}

// The last two instructions of heddle_switch: the jump, and before it the load of rsp from r9.
constexpr unsigned char jump[] = {0x41, 0xff, 0xe3};
constexpr std::uint64_t load_bytes = 7;

LONG CALLBACK on_step(EXCEPTION_POINTERS* exception) {
    if (exception->ExceptionRecord->ExceptionCode != EXCEPTION_SINGLE_STEP) {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    CONTEXT& at = *exception->ContextRecord;
    const auto is_jump = [](std::uint64_t address) {
        return std::memcmp(reinterpret_cast<const void*>(address), jump, sizeof jump) == 0;
    };
    if (function_at(at.Rip) == reinterpret_cast<std::uint64_t>(heddle_switch)) {
        // At the jump the frame is below the stack pointer, where this handler has its own by now.
        // So the jump is looked at one instruction early, as if the load had been done.
        if (!is_jump(at.Rip)) {
            record(at);
        }
        if (is_jump(at.Rip + load_bytes)) {
            CONTEXT loaded = at;
            loaded.Rip += load_bytes;
            loaded.Rsp = at.R9 + HEDDLE_RETURNED_BYTES;
            record(loaded);
        }
    } else if (at.Rip >= address_of(heddle_fresh) &&
               at.Rip < address_of(heddle_entry) + load_bytes) {
        record(at);
    }
    constexpr DWORD trap_flag = 0x100;
    if (stepping) {
        at.EFlags |= trap_flag;  // it has been cleared
    }
    return EXCEPTION_CONTINUE_EXECUTION;
}

// As in stepping_test.cpp: switch n leaves the flow that callers[n] describes, and resumes the one
// that callers[n - 1] describes.
constexpr std::size_t switches = 4;
std::array<caller, switches> callers;
heddle_context contexts[2];  // the test's own flow, and the other

// The fields of the thread's block that the checker counts as registers.
constexpr struct {
    std::size_t offset;
    std::size_t bytes;
} fields[] = {{HEDDLE_TIB_EXCEPTION_LIST, 8},     {HEDDLE_TIB_STACK_BASE, 8},
              {HEDDLE_TIB_STACK_LIMIT, 8},        {HEDDLE_TIB_FIBER_DATA, 8},
              {HEDDLE_TIB_DEALLOCATION_STACK, 8}, {HEDDLE_TIB_GUARANTEED_BYTES, 4}};

void do_switch(std::size_t number) {
    heddle_context& from = contexts[number % 2];
    heddle_context& to = contexts[1 - number % 2];
    std::uint64_t values[checked_registers_max] = {};
    registers& given = callers[number].values;
    for (std::size_t i = 0; i < given.size(); ++i) {
        given[i] = values[i] = 1000 * (number + 1) + i;
    }
    // The handler runs on this stack, which the thread's block had better describe.
    for (std::size_t i = 0; i < std::size(fields); ++i) {
        std::memcpy(&values[given.size() + i],
                    reinterpret_cast<const char*>(::NtCurrentTeb()) + fields[i].offset,
                    fields[i].bytes);
    }
    callers[number].function = reinterpret_cast<std::uint64_t>(heddle_test_switch);
    switch_under_way = number;
    heddle_test_switch(&from, &to, 0, values);
}

// Whoever resumes after switch `number` notes where it left its flow suspended.
void note_stack_pointer(std::size_t number) {
    const auto saved = reinterpret_cast<std::uint64_t>(contexts[number % 2].stack_pointer);
    callers[number].stack_pointer = saved + HEDDLE_RETURNED_BYTES;
}

void other_flow(void*) {
    note_stack_pointer(0);
    do_switch(1);
    note_stack_pointer(2);
    do_switch(3);
}

[[gnu::noinline]] void step_through() {
    constexpr unsigned long long trap_flag = 0x100;
    stepping = true;
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | trap_flag);
    do_switch(0);
    note_stack_pointer(1);
    do_switch(2);
    note_stack_pointer(3);
    stepping = false;
}

}  // namespace

TEST_CASE("at every instruction of a switch unwind codes lead to the flow that it belongs to") {
    const stack memory;
    int argument = 0;
    heddle::detail::context_make(contexts[1], memory.top(), other_flow, &argument, memory.bottom());
    const auto top = reinterpret_cast<std::uint64_t>(memory.top());
    caller fresh = {.function = address_of(heddle_fresh), .stack_pointer = top - 16, .values = {}};
    fresh.values[0] = reinterpret_cast<std::uint64_t>(other_flow);
    fresh.values[4] = reinterpret_cast<std::uint64_t>(&argument);
    steps.clear();
    steps.reserve(2000);
    void* const handler = ::AddVectoredExceptionHandler(1, on_step);
    step_through();
    ::RemoveVectoredExceptionHandler(handler);
    CHECK(steps.size() < steps.capacity());

    // Above the zero that heddle_fresh leaves for a return address.
    const std::uint64_t outermost = top - heddle::detail::context_frame_bytes;
    std::array<int, switches> leaving = {};
    std::array<int, switches> entering = {};
    int in_entry = 0;
    for (const step& now : steps) {
        INFO("switch ", now.number, ", instruction ", reinterpret_cast<void*>(now.address));
        if (now.function != reinterpret_cast<std::uint64_t>(heddle_switch)) {
            ++in_entry;
            CHECK(now.number == 0);
            CHECK(now.last_function == now.function);
            const bool stepped_over = now.function != address_of(heddle_fresh);
            CHECK(now.last_stack_pointer == (stepped_over ? outermost : top - 8));
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
        CHECK(now.passes_test == in_test_flow);
        if (!in_test_flow && now.number > 0) {
            CHECK(now.last_function == address_of(heddle_entry));
            CHECK(now.last_stack_pointer == outermost);
        }
    }
    for (std::size_t number = 0; number < switches; ++number) {
        CHECK(leaving[number] > 0);
        CHECK(entering[number] > 0);
    }
    CHECK(in_entry > 4);
}

#endif
