// Backtraces as the C++ runtime's unwinder sees them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <unwind.h>
#ifdef __ARM_EABI_UNWINDER__
// Where the table of exceptions is that knows an address, and how many entries it has. The C
// library has it for libgcc, without a declaration.
extern "C" std::uintptr_t __gnu_Unwind_Find_exidx(std::uintptr_t address, int* count);
#endif

namespace heddle::test {

/// The functions on the stack, innermost first, and whether the walk came to a proper end.
struct trace {
    std::vector<void*> functions;  ///< their first instructions
    bool ended = false;            ///< the unwinder said "end of stack", not "error"

    bool passes(void* function) const {
        return std::find(functions.begin(), functions.end(), function) != functions.end();
    }
};

#ifdef __ARM_EABI_UNWINDER__

// ARM's unwinder goes by a table of exceptions of its own (Exception Handling ABI for the Arm
// Architecture, sections 5 and 6), sorted by where functions begin. Linkers merge the entries of
// neighbours that are equal: a function is told apart by its own entry only if it has something
// to destroy.

/// The end of a walk by libgcc where the table says that nobody unwinds further, for example above
/// main: a failure, like any other.
constexpr _Unwind_Reason_Code end_of_walk = _URC_FAILURE;

/// What a walk stops with before its end; libgcc then calls it a failure too.
constexpr _Unwind_Reason_Code stop_walking = _URC_END_OF_STACK;

/// The first instruction of the function that the frame belongs to, as a pointer to it says.
inline void* function_of(_Unwind_Context* frame) {
    const auto is_thumb = _Unwind_GetGR(frame, 15) & 1;
    return reinterpret_cast<void*>(_Unwind_GetRegionStart(frame) | is_thumb);
}

/// Whether the table says that nobody unwinds through the function at a code address.
inline bool ends_walks(const void* address) {
    struct entry {
        std::uint32_t function;  // a distance of 31 bits from here
        std::uint32_t contents;
    };
    constexpr std::uint32_t cannot_unwind = 1;  // EXIDX_CANTUNWIND
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    int count = 0;
    const auto* const table =
        reinterpret_cast<const entry*>(__gnu_Unwind_Find_exidx(wanted, &count));
    const entry* found = nullptr;
    for (const entry* one = table; one != table + count; ++one) {
        const auto distance = static_cast<std::int32_t>(one->function << 1) >> 1;
        if (reinterpret_cast<std::uintptr_t>(one) + static_cast<std::uint32_t>(distance) > wanted) {
            break;
        }
        found = one;
    }
    return found != nullptr && found->contents == cannot_unwind;
}

#else

constexpr _Unwind_Reason_Code end_of_walk = _URC_END_OF_STACK;
constexpr _Unwind_Reason_Code stop_walking = _URC_NORMAL_STOP;

inline void* function_of(_Unwind_Context* frame) {
    // Looks up the address less one, as is right for a return address.
    return _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(_Unwind_GetIP(frame)));
}

#endif

/// Walks the running flow's stack.
inline trace backtrace() {
    constexpr std::size_t frames_max = 200;  // a walk that does not end is stopped here
    trace result;
    const auto step = [](_Unwind_Context* frame, void* into) {
        auto& functions = static_cast<trace*>(into)->functions;
        if (_Unwind_GetIP(frame) != 0) {
            functions.push_back(function_of(frame));
        }
        return functions.size() < frames_max ? _URC_NO_REASON : stop_walking;
    };
    const bool proper = _Unwind_Backtrace(step, &result) == end_of_walk;
    result.ended = proper && result.functions.size() < frames_max;
    return result;
}

}  // namespace heddle::test
