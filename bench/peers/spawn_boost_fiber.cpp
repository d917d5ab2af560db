// The question (spawn.cpp): what does it cost to spawn a fiber and to join it, one after the other?
// This is the answer of Boost.Fiber with pooled stacks of 64 KiB. It is built twice: with
// HEDDLE_BENCH_LAUNCH as `post`, where the child waits for its turn, and as `dispatch`, where it
// runs inside the spawn before the parent continues, which is the faster of the two here.
#include <benchmark/benchmark.h>

#include <boost/fiber/fiber.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>

#include <cstdint>
#include <memory>

namespace {

void spawn_and_join(benchmark::State& state) {
    boost::fibers::pooled_fixedsize_stack stacks(64 * 1024);
    std::int64_t ran = 0;
    for (auto _ : state)
        boost::fibers::fiber(boost::fibers::launch::HEDDLE_BENCH_LAUNCH, std::allocator_arg, stacks,
                             [&ran] { ++ran; })
            .join();
    if (ran != state.iterations())
        state.SkipWithError("a fiber did not run");
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(spawn_and_join)->Name("spawn/join_each")->MeasureProcessCPUTime();

}  // namespace

BENCHMARK_MAIN();
