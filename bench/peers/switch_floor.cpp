// The question (switch.cpp): what does one switch from a stack to another cost, one way?
// This is the floor: a switch in inline assembly, as inline_switch.hpp describes it.
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

void answer(void* argument) {
    auto& both = *static_cast<pair*>(argument);
    for (;;) {
        ++both.count;
        bench::inline_switch(&both.partner, &both.clock);
    }
}

void two_call_sites(benchmark::State& state) {
    constexpr std::size_t stack_bytes = 64 * 1024;
    const std::unique_ptr<void, void (*)(void*)> stack(std::aligned_alloc(4096, stack_bytes),
                                                       std::free);
    pair both;
    bench::make_flow(both.partner, static_cast<char*>(stack.get()) + stack_bytes, answer, &both);
    for (auto _ : state)
        bench::inline_switch(&both.clock, &both.partner);
    if (both.count != state.iterations())
        state.SkipWithError("a switch did not arrive");
    state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(two_call_sites)->Name("switch/two_call_sites")->MeasureProcessCPUTime();

}  // namespace

BENCHMARK_MAIN();
