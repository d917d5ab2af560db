// The question: what does it cost to spawn a fiber and to join it, one after the other?
//
// The body counts, so that a fiber that never ran is noticed; it never waits.
//
// A contender is a struct with `handle` (something with join()), run(f) and spawn<body>(argument),
// which makes a fiber that runs body(argument). It knows the body when it is compiled, as it does
// where a program spawns a function of its own. Stacks are 64 KiB for everybody.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>

namespace bench {

inline void count_up(std::int64_t& ran) {
    ++ran;
}

template <class Library>
void spawn_and_join(benchmark::State& state) {
    Library::run([&] {
        std::int64_t ran = 0;
        for (auto _ : state)
            Library::template spawn<count_up>(ran).join();
        if (ran != state.iterations())
            state.SkipWithError("a fiber did not run");
    });
    state.SetItemsProcessed(state.iterations());
}

/// The main function of a contender.
template <class Library>
int spawn_main(int argc, char** argv) {
    benchmark::RegisterBenchmark("spawn/join_each", spawn_and_join<Library>)
        ->MeasureProcessCPUTime();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

}  // namespace bench
