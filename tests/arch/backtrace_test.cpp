// Where a backtrace from inside a context ends. stepping_test.cpp asks at every instruction.
#include "backtrace.h"

#include "flow.h"

#include <doctest/doctest.h>

#include <algorithm>

using heddle::detail::context_frame_bytes;
using heddle::test::side;
using heddle::test::stack;

extern "C" [[gnu::weak]] void heddle_entry();  // the port's entry stub; null with Boost.Context

namespace {

struct traced {
    stack memory;
    side outside;
    side inside;
    heddle::test::trace before;
    heddle::test::trace after;
    heddle::test::trace overwritten;
    const void* caller = nullptr;  ///< where the entry function would return to
};

struct destroyed {
    ~destroyed() { asm volatile(""); }
};

[[gnu::noinline]] heddle::test::trace trace_below(int frames) {
    auto result = frames == 0 ? heddle::test::backtrace() : trace_below(frames - 1);
    asm volatile("");
    return result;
}

void enter(void* argument) {
    const destroyed for_an_entry_of_its_own;
    heddle::test::arrive();
    auto& it = *static_cast<traced*>(argument);
    it.caller = __builtin_return_address(0);
    it.before = trace_below(10);
    heddle::test::make(
        it.inside, it.memory, [](void*) {}, nullptr);
    it.after = trace_below(10);
    // What lies there belongs to nobody now: a zero must not be what ends the walk.
    std::fill(it.memory.top() - context_frame_bytes, it.memory.top(), '\x5a');
    it.overwritten = trace_below(10);
    heddle::test::leave(it.outside, 0);
}

}  // namespace

TEST_CASE("a backtrace from inside a context ends with the entry") {
    traced one;
    heddle::test::make(one.inside, one.memory, enter, &one);
    heddle::test::cross(one.outside, one.inside, 0);
    for (const auto* const trace : {&one.before, &one.after, &one.overwritten}) {
        INFO("with a successor made on this stack: ", trace == &one.after);
        INFO("with the stack's top overwritten: ", trace == &one.overwritten);
        CHECK(trace->ended);
        CHECK(trace->passes(reinterpret_cast<void*>(enter)));
        CHECK(trace->functions.size() < 20);
        if (heddle_entry != nullptr) {
#ifdef __ARM_EABI_UNWINDER__
            // It does not show the function that ends the walk.
            CHECK(trace->functions.back() == reinterpret_cast<void*>(enter));
            CHECK(heddle::test::ends_walks(one.caller));
#else
            CHECK(trace->functions.back() == reinterpret_cast<void*>(heddle_entry));
#endif
        }
    }
    CHECK(one.after.functions == one.before.functions);
    CHECK(one.overwritten.functions == one.before.functions);
}
