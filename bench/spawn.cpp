// The question: what does it cost to spawn a fiber and to join it, one after the other?
//
// The body counts, so that a fiber that never ran is noticed; it never waits. All contenders use
// stacks of 64 KiB and a body that captures one reference.
#include <benchmark/benchmark.h>

#include <heddle/heddle.hpp>

#include <cstdint>

namespace {

void spawn_and_join(benchmark::State& state) {
    heddle::run(
        [&] {
            std::int64_t ran = 0;
            for (auto _ : state)
                heddle::spawn([&ran] { ++ran; }).join();
            if (ran != state.iterations())
                state.SkipWithError("a fiber did not run");
        },
        {.stack_bytes = 64 * 1024});
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(spawn_and_join)->Name("spawn/join_each")->MeasureProcessCPUTime();

}  // namespace

BENCHMARK_MAIN();
