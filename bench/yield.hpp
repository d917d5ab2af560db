// The question: what does a yield cost when N fibers on one thread yield in turn?
//
// The same shape for every contender. One fiber is the clock: between two of its own yields every
// other fiber has yielded once, so one iteration is N yields. What the others counted is checked
// against that afterwards, because a library that skips a fiber would look fast.
//
// The number of call sites matters: a processor predicts where a switch will continue from where
// it continued before, which is easy while all fibers wait at one place in the program and is not
// in real programs. The clock has a site of its own; the others share one, or eight.
//
// A contender is a struct with `handle` (something with join()), run(f), spawn(f, argument) and
// yield(). Stacks are 64 KiB for everybody.
#pragma once

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace bench {

inline constexpr std::size_t stack_bytes = 64 * 1024;
inline constexpr std::size_t sites_max = 8;

/// What the fibers of one ring share. One thread, so plain fields.
struct ring {
    bool running = true;                            ///< cleared by the clock to end the others
    std::array<std::uint64_t, sites_max> yields{};  ///< done by all fibers of each call site
};

/// One call site: the body of every fiber but the clock. `Site` is used, so that the compiler
/// cannot fold the eight functions into one.
template <class Library, std::size_t Site>
[[gnu::noinline]] void yield_while_running(ring& shared) {
    std::uint64_t yields = 0;
    while (shared.running) {
        Library::yield();
        ++yields;
    }
    shared.yields[Site] += yields;
}

template <class Library, std::size_t... Site>
constexpr auto call_sites(std::index_sequence<Site...>) {
    return std::array<void (*)(ring&), sizeof...(Site)>{yield_while_running<Library, Site>...};
}

template <class Library>
void yield_in_turn(benchmark::State& state, std::size_t fibers, std::size_t sites) {
    constexpr auto bodies = call_sites<Library>(std::make_index_sequence<sites_max>{});
    constexpr int warm_up_rounds = 3;  // the first starts every fiber
    Library::run([&] {
        ring shared;
        std::vector<typename Library::handle> others;
        others.reserve(fibers - 1);
        for (std::size_t i = 0; i + 1 < fibers; ++i)
            others.push_back(Library::spawn(bodies[i % sites], shared));
        for (int round = 0; round < warm_up_rounds; ++round)
            Library::yield();
        for (auto _ : state)
            Library::yield();
        shared.running = false;
        for (auto& other : others)
            other.join();

        const auto rounds = static_cast<std::uint64_t>(state.iterations()) + warm_up_rounds;
        const auto counted =
            std::accumulate(shared.yields.begin(), shared.yields.end(), std::uint64_t{0});
        if (counted != rounds * (fibers - 1))
            state.SkipWithError("the fibers did not yield in turn");
        state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(fibers));
    });
}

/// The main function of a contender: the same cases under the same names for all of them, up to
/// `most` fibers.
template <class Library>
int yield_main(int argc, char** argv, std::size_t most = SIZE_MAX) {
    const auto ask = [&](const char* name, std::size_t fibers, std::size_t sites) {
        if (fibers > most)
            return;
        auto* const made =
            benchmark::RegisterBenchmark(name, yield_in_turn<Library>, fibers, sites);
        made->MeasureProcessCPUTime();
        // Many fibers take long to spawn, which is done anew for each trial of how many iterations
        // make the time. Few are enough: they are millions of yields.
        if (fibers >= 100'000)
            made->Iterations(4'000'000 / static_cast<std::int64_t>(fibers));
    };
    ask("yield/2_fibers", 2, 1);
    ask("yield/100_fibers", 100, 1);
    ask("yield/1000_fibers_1_site", 1000, 1);
    ask("yield/1000_fibers_8_sites", 1000, 8);
    ask("yield/10000_fibers", 10'000, 1);
    ask("yield/100000_fibers", 100'000, 1);
    ask("yield/1000000_fibers", 1'000'000, 1);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

}  // namespace bench
