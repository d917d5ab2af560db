// What the tests need of a port that C++ cannot express. Each port brings it as
// <cpu>-<abi>_checker.S; portable_checker.cpp stands in where there is none, and checks nothing.
#pragma once

#include "arch/context.h"

#include <cstddef>
#include <cstdint>

/// More registers than any procedure call standard preserves, counted in units of 64 bits.
constexpr std::size_t checked_registers_max = 96;

/// What a fresh context found when its first instruction ran.
struct entry_facts {
    std::uint64_t misalignment;       ///< of the stack pointer, against what the ABI wants there
    std::uint64_t wrong_flags;        ///< flags of the processor that the ABI fixes and that differ
    std::uint64_t frame_pointer;      ///< zero, where the port promises that it ends the chain
    void (*next)(entry_facts* self);  ///< where the flow goes on; must not return
};

extern "C" {
/// The names of the registers that a callee preserves, in the order in which the checker takes
/// them, separated by single spaces.
extern const char heddle_test_register_names[];

/// Loads every register that a callee preserves from `registers`, calls heddle_switch, and stores
/// there what came back in them. Nothing stands between this and heddle_switch that could save
/// and restore a register of its own.
std::intptr_t heddle_test_switch(heddle_context* from, const heddle_context* to,
                                 std::intptr_t value, std::uint64_t* registers) noexcept;

/// An entry function for context_make, with entry_facts as its argument: fills them in and jumps
/// to `next`.
void heddle_test_entry(void* facts);
}
