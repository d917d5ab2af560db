// The question: what does one switch from a stack to another cost, one way?
//
// Two flows of control on one thread, each waiting at a call site of its own, as two parts of a
// real program do: nothing but the switch, no scheduler. One iteration is two switches. The
// partner counts and hands its count back through the switch, so that one that did not happen is
// noticed.
//
// This is heddle's answer: the switch in the archive that users link, reached through the internal
// header, because the public ones do not show it. It is built twice: `switch_preserved` links the
// same sources as they are with fp_environment=preserved, where a switch keeps the floating-point
// control words too. HEDDLE_BENCH_QUESTION says which of the two it is.
#include <benchmark/benchmark.h>

#include "arch/context.h"

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace {

/// The two suspended flows: `clock` runs the benchmark, `partner` only answers.
struct pair {
    heddle_context clock;
    heddle_context partner;
};

void answer(void* argument) {
    auto& both = *static_cast<pair*>(argument);
    for (std::intptr_t count = 1;; ++count)
        heddle_switch(&both.partner, &both.clock, count);
}

void two_call_sites(benchmark::State& state) {
    constexpr std::size_t stack_bytes = 64 * 1024;
    const std::unique_ptr<void, void (*)(void*)> stack(std::aligned_alloc(4096, stack_bytes),
                                                       std::free);
    pair both;
    heddle::detail::context_make(both.partner, static_cast<char*>(stack.get()) + stack_bytes,
                                 answer, &both);
    std::intptr_t count = 0;
    for (auto _ : state)
        count = heddle_switch(&both.clock, &both.partner, 0);
    if (count != state.iterations())
        state.SkipWithError("a switch did not arrive");
    state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(two_call_sites)->Name(HEDDLE_BENCH_QUESTION "/two_call_sites")->MeasureProcessCPUTime();

}  // namespace

BENCHMARK_MAIN();
