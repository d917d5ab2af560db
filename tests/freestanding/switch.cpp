// What tests/arch asks of a port, as far as that needs neither a C library nor an unwinder: for a
// CPU for which there is none here. The exit status says what went wrong, see `step`.
#include "bare.hpp"
#include "tests/arch/checker.h"

using heddle::detail::context_frame_bytes;
using heddle::detail::context_make;
using heddle::detail::context_restore_fp_environment;
using heddle::detail::context_save_fp_environment;
using heddle::detail::fp_environment;
using heddle::test::end;
using heddle::test::expect;
using heddle::test::stack;
using heddle::test::system_call;

// Compilers call it wherever memory is filled.
extern "C" void* memset(void* memory, int value, std::size_t count) {
    for (volatile char* byte = static_cast<char*>(memory); count > 0; --count) {
        *byte++ = static_cast<char>(value);
    }
    return memory;
}

namespace {

enum step : long {
    value_lost = 1,
    entry_misaligned,
    entry_flags,
    entry_frame_pointer,
    written_outside_the_frame,
    nothing_written,
    top_of_the_stack_needed,
    successor_lost,
    status_among_the_control_words,
    control_words_not_restored,
    control_words_not_as_promised,
    fresh_control_words,
    wrong_rounding,
    no_trap,
    register_lost = 100,  // plus its place in the checker's list
};

constexpr int rounds = 1000;

stack memory;
heddle_context outside;
heddle_context inside;

// A number that no register held before: the multiplier is D. Knuth's, for MMIX.
std::uint64_t next_pattern() {
    static std::uint64_t state = 0;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state;
}

// heddle_switch, with a new pattern in every register that it must preserve.
std::intptr_t cross(heddle_context& from, heddle_context& to, std::intptr_t value) {
    std::uint64_t given[checked_registers_max];
    std::uint64_t found[checked_registers_max];
    for (std::size_t i = 0; i < checked_registers_max; ++i) {
        given[i] = found[i] = next_pattern();
    }
    const auto result = heddle_test_switch(&from, &to, value, found);
    for (std::size_t i = 0; i < checked_registers_max; ++i) {
        expect(found[i] == given[i], register_lost + static_cast<long>(i));
    }
    return result;
}

[[noreturn]] void leave(heddle_context& to, std::intptr_t value) {
    heddle_context scratch;
    heddle_switch(&scratch, &to, value);
    __builtin_trap();
}

void values_and_registers_pass_in_both_directions() {
    int salt = 0x55;
    const auto echo = [](void* argument) {
        for (std::intptr_t value = 1;;) {
            value = cross(inside, outside, value ^ *static_cast<int*>(argument));
        }
    };
    context_make(inside, memory.top(), echo, &salt);
    expect(cross(outside, inside, 0) == (1 ^ salt), value_lost);
    for (int i = 0; i < rounds; ++i) {
        const auto value = static_cast<std::intptr_t>(next_pattern());
        expect(cross(outside, inside, value) == (value ^ salt), value_lost);
    }
}

void an_entry_function_begins_as_the_abi_says() {
    entry_facts found = {.misalignment = 1, .wrong_flags = 1, .frame_pointer = 1, .next = nullptr};
    found.next = [](entry_facts*) { leave(outside, 7); };
    context_make(inside, memory.top(), heddle_test_entry, &found);
    expect(cross(outside, inside, 0) == 7, value_lost);
    expect(found.misalignment == 0, entry_misaligned);
    expect(found.wrong_flags == 0, entry_flags);
    expect(found.frame_pointer == 0, entry_frame_pointer);
}

// Fills the top of the stack, of which context_make and nobody else may write.
void scribble() {
    memset(static_cast<char*>(memory.top()) - context_frame_bytes, 0x5a, context_frame_bytes);
}

void the_top_of_the_stack_is_context_make_s() {
    memset(memory.bytes, 0x5a, sizeof memory.bytes);
    const auto flow = [](void*) {
        for (std::intptr_t i = 0;; ++i) {
            scribble();
            cross(inside, outside, i);
        }
    };
    context_make(inside, memory.top(), flow, nullptr);
    std::size_t written = 0;
    for (std::size_t i = 0; i < sizeof memory.bytes; ++i) {
        const bool is_top = i >= sizeof memory.bytes - context_frame_bytes;
        const bool is_touched = memory.bytes[i] != 0x5a;
        expect(is_top || !is_touched, written_outside_the_frame);
        written += is_touched ? 1 : 0;
    }
    expect(written > 0, nothing_written);
    for (std::intptr_t i = 0; i < rounds; ++i) {
        expect(cross(outside, inside, 0) == i, top_of_the_stack_needed);
    }
}

void a_finished_flow_makes_its_successor_on_its_own_stack() {
    static std::intptr_t ran;
    static heddle_context next;
    struct chain {
        static void link(void* self) {
            if (++ran == rounds) {
                leave(outside, ran);
            }
            context_make(next, memory.top(), link, self);
            leave(next, 0);
        }
    };
    context_make(next, memory.top(), chain::link, nullptr);
    expect(cross(outside, next, 0) == rounds, successor_lost);
}

// Settings of the control words that change how a third is rounded, and others beside them.
#if defined(__loongarch64)
constexpr fp_environment settings[] = {{0x000}, {0x100}, {0x200}, {0x310}, {0x010}, {0x20c}};
constexpr fp_environment upward = {0x200};
constexpr fp_environment downward = {0x300};
#else
#error "say here what the control words of this CPU can be"
#endif

// Not inline, because compilers move a division to where its result is used, and past the change of
// a control word.
[[gnu::noinline]] double third() {
    volatile double three = 3;
    return 1 / three;
}

void control_words_are_saved_and_restored() {
    for (const fp_environment& words : settings) {
        context_restore_fp_environment(words);
        volatile double inexact = third();
        static_cast<void>(inexact);
        expect(context_save_fp_environment() == words, status_among_the_control_words);
    }
    context_restore_fp_environment(upward);
    const double above = third();
    context_restore_fp_environment(downward);
    expect(third() < above, control_words_not_restored);
    context_restore_fp_environment(settings[0]);
}

// What the words are after a switch from a flow that has `mine` to one that has `theirs`.
const fp_environment& expected(const fp_environment& mine, const fp_environment& theirs) {
#ifdef HEDDLE_FP_PRESERVED
    static_cast<void>(theirs);
    return mine;
#else
    static_cast<void>(mine);
    return theirs;
#endif
}

void control_words_belong_to_whom_the_build_says() {
    static fp_environment outers;
    static fp_environment inners;
    const auto flow = [](void*) {
        for (;;) {
            const fp_environment mine = inners;
            context_restore_fp_environment(mine);
            const double mine_third = third();
            cross(inside, outside, 0);
            const fp_environment& wanted = expected(mine, outers);
            expect(context_save_fp_environment() == wanted, control_words_not_as_promised);
            expect(wanted != mine || third() == mine_third, wrong_rounding);
        }
    };
    context_make(inside, memory.top(), flow, nullptr);
    for (const fp_environment& outer : settings) {
        for (const fp_environment& inner : settings) {
            outers = outer;
            inners = inner;
            context_restore_fp_environment(outer);
            const double outer_third = third();
            cross(outside, inside, 0);
            const fp_environment& wanted = expected(outer, inner);
            expect(context_save_fp_environment() == wanted, control_words_not_as_promised);
            expect(wanted != outer || third() == outer_third, wrong_rounding);
        }
    }
    context_restore_fp_environment(settings[0]);
}

void a_fresh_context_begins_with_the_control_words_of_its_maker_or_its_thread() {
    static fp_environment found;
    const auto flow = [](void*) {
        found = context_save_fp_environment();
        leave(outside, 0);
    };
    for (const fp_environment& maker : settings) {
        for (const fp_environment& runner : settings) {
            context_restore_fp_environment(maker);
            context_make(inside, memory.top(), flow, nullptr);
            context_restore_fp_environment(runner);
            cross(outside, inside, 0);
            expect(found == expected(maker, runner), fresh_control_words);
        }
    }
    context_restore_fp_environment(settings[0]);
}

// Linux's numbers, the same on every CPU that came after 2011.
constexpr long clone_number = 220;
constexpr long wait4_number = 260;
constexpr long sigill = 4;
constexpr long sigtrap = 5;
constexpr long sigchld = 17;

void a_return_from_the_entry_function_traps() {
    const long child = system_call(clone_number, sigchld);
    if (child == 0) {
        context_make(
            inside, memory.top(), [](void*) {}, nullptr);
        cross(outside, inside, 0);
        end(0);
    }
    int status = 0;
    system_call(wait4_number, child, reinterpret_cast<long>(&status));
    const int signal = status & 0x7f;
    expect(signal == sigtrap || signal == sigill, no_trap);
}

}  // namespace

extern "C" void _start() {
    values_and_registers_pass_in_both_directions();
    an_entry_function_begins_as_the_abi_says();
    the_top_of_the_stack_is_context_make_s();
    a_finished_flow_makes_its_successor_on_its_own_stack();
    control_words_are_saved_and_restored();
    control_words_belong_to_whom_the_build_says();
    a_fresh_context_begins_with_the_control_words_of_its_maker_or_its_thread();
    a_return_from_the_entry_function_traps();
    end(0);
}
