// The question (switch.cpp): what does one switch from a stack to another cost, one way?
// This is the floor: a switch in inline assembly, as inline_switch.hpp describes it; alone, and
// between saving and loading the floating-point control words.
#include "inline_switch.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace {

struct pair {
    bench::flow clock;
    bench::flow partner;
    std::int64_t count = 0;
};

[[gnu::always_inline]] inline void plain_switch(bench::flow* from, const bench::flow* to) {
    bench::inline_switch(from, to);
}

[[gnu::always_inline]] inline void preserving_switch(bench::flow* from, const bench::flow* to) {
    std::uint32_t mxcsr = 0;
    std::uint16_t x87_control = 0;
    asm volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87_control));
    bench::inline_switch(from, to);
    asm volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87_control));
}

template <void (*Switch)(bench::flow*, const bench::flow*)>
void answer(void* argument) {
    auto& both = *static_cast<pair*>(argument);
    for (;;) {
        ++both.count;
        Switch(&both.partner, &both.clock);
    }
}

template <void (*Switch)(bench::flow*, const bench::flow*)>
void two_call_sites(benchmark::State& state) {
    constexpr std::size_t stack_bytes = 64 * 1024;
    const std::unique_ptr<void, void (*)(void*)> stack(std::aligned_alloc(4096, stack_bytes),
                                                       std::free);
    pair both;
    bench::make_flow(both.partner, static_cast<char*>(stack.get()) + stack_bytes, answer<Switch>,
                     &both);
    for (auto _ : state)
        Switch(&both.clock, &both.partner);
    if (both.count != state.iterations())
        state.SkipWithError("a switch did not arrive");
    state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(two_call_sites<plain_switch>)->Name("switch/two_call_sites")->MeasureProcessCPUTime();
BENCHMARK(two_call_sites<preserving_switch>)
    ->Name("switch_preserved/two_call_sites")
    ->MeasureProcessCPUTime();

}  // namespace

BENCHMARK_MAIN();
