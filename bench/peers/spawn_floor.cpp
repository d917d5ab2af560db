// The question (spawn.cpp): what does it cost to spawn a fiber and to join it, one after the other?
// This is the floor: make a flow on a stack that is already warm, switch to it, let it count and
// switch back for good. Nothing is allocated, and there is no scheduler.
#include "inline_switch.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace {

struct parent_and_child {
    bench::flow parent;
    bench::flow child;
    std::int64_t ran = 0;
};

void count_and_finish(void* argument) {
    auto& both = *static_cast<parent_and_child*>(argument);
    ++both.ran;
    bench::inline_switch(&both.child, &both.parent);
}

void spawn_and_join(benchmark::State& state) {
    constexpr std::size_t stack_bytes = 64 * 1024;
    const std::unique_ptr<void, void (*)(void*)> stack(std::aligned_alloc(4096, stack_bytes),
                                                       std::free);
    parent_and_child both;
    for (auto _ : state) {
        bench::make_flow(both.child, static_cast<char*>(stack.get()) + stack_bytes,
                         count_and_finish, &both);
        bench::inline_switch(&both.parent, &both.child);
    }
    if (both.ran != state.iterations())
        state.SkipWithError("a flow did not run");
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(spawn_and_join)->Name("spawn/join_each")->MeasureProcessCPUTime();

}  // namespace

BENCHMARK_MAIN();
