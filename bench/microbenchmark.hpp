// What the questions that are Google Benchmarks share: their main function, and the number of times
// that a body, which does not run in the loop of the benchmark itself, is to do its part.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>

namespace bench {

/// How often the benchmark is asked to do the thing this time, where that is known before: to be
/// used with `while (state.KeepRunningBatch(times(state)))`, whose body is run once.
inline std::int64_t times(const benchmark::State& state) {
    return static_cast<std::int64_t>(state.max_iterations);
}

/// Registers a case, whose time is the CPU time of the whole process.
template <class Body>
void ask(const char* name, Body body) {
    benchmark::RegisterBenchmark(name, body)->MeasureProcessCPUTime();
}

/// Asks what was registered and the command line chooses; the exit status of the program.
inline int answer(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

}  // namespace bench
