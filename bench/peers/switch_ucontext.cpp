// The question (switch.cpp): what does one switch from a stack to another cost, one way?
// This is the answer of ucontext, which the C library brings: every switch is also a system call
// for the signal mask, and there is no setting that spares it.
#include <benchmark/benchmark.h>

#include <ucontext.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace {

ucontext_t timekeeper;  // suspended: the benchmark; named apart from clock(3)
ucontext_t partner;
std::int64_t count = 0;

void answer() {
    for (;;) {
        ++count;
        swapcontext(&partner, &timekeeper);
    }
}

void two_call_sites(benchmark::State& state) {
    constexpr std::size_t stack_bytes = 64 * 1024;
    const std::unique_ptr<void, void (*)(void*)> stack(std::aligned_alloc(4096, stack_bytes),
                                                       std::free);
    count = 0;
    getcontext(&partner);
    partner.uc_stack.ss_sp = stack.get();
    partner.uc_stack.ss_size = stack_bytes;
    partner.uc_link = nullptr;
    makecontext(&partner, answer, 0);
    for (auto _ : state)
        swapcontext(&timekeeper, &partner);
    if (count != state.iterations())
        state.SkipWithError("a switch did not arrive");
    state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(two_call_sites)->Name("switch/two_call_sites")->MeasureProcessCPUTime();
// It keeps the floating-point control words, too.
BENCHMARK(two_call_sites)->Name("switch_preserved/two_call_sites")->MeasureProcessCPUTime();

}  // namespace

BENCHMARK_MAIN();
