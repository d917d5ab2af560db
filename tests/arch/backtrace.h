// Backtraces as the C++ runtime's unwinder sees them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <unwind.h>

namespace heddle::test {

/// The functions on the stack, innermost first, and whether the walk came to a proper end.
struct trace {
    std::vector<void*> functions;  ///< their first instructions
    bool ended = false;            ///< the unwinder said "end of stack", not "error"

    bool passes(void* function) const {
        return std::find(functions.begin(), functions.end(), function) != functions.end();
    }
};

/// Walks the running flow's stack.
inline trace backtrace() {
    constexpr std::size_t frames_max = 200;  // a walk that does not end is stopped here
    trace result;
    const auto step = [](_Unwind_Context* frame, void* into) {
        auto& functions = static_cast<trace*>(into)->functions;
        if (const auto address = _Unwind_GetIP(frame); address != 0) {
            // Looks up the address less one, as is right for a return address.
            functions.push_back(_Unwind_FindEnclosingFunction(reinterpret_cast<void*>(address)));
        }
        return functions.size() < frames_max ? _URC_NO_REASON : _URC_NORMAL_STOP;
    };
    result.ended = _Unwind_Backtrace(step, &result) == _URC_END_OF_STACK;
    return result;
}

}  // namespace heddle::test
