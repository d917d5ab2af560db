// The question (switch.cpp): what does one switch from a stack to another cost, one way?
// This is the answer of Boost.Context's fcontext, the layer below its classes, which preserves the
// floating-point control words, so that the two questions are one to it. Its one
// setting (BOOST_USE_TSX) drops that and is for those who build Boost themselves. Distributions
// build it without, and so it is asked here.
#include <benchmark/benchmark.h>

#include <boost/context/detail/fcontext.hpp>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

void answer(transfer_t from) {
    for (std::intptr_t count = 1;; ++count)
        from = jump_fcontext(from.fctx, reinterpret_cast<void*>(count));
}

void two_call_sites(benchmark::State& state) {
    constexpr std::size_t stack_bytes = 64 * 1024;
    const std::unique_ptr<void, void (*)(void*)> stack(std::aligned_alloc(4096, stack_bytes),
                                                       std::free);
    transfer_t from{
        make_fcontext(static_cast<char*>(stack.get()) + stack_bytes, stack_bytes, answer), nullptr};
    for (auto _ : state)
        from = jump_fcontext(from.fctx, nullptr);
    if (reinterpret_cast<std::intptr_t>(from.data) != state.iterations())
        state.SkipWithError("a switch did not arrive");
    state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(two_call_sites)->Name("switch/two_call_sites")->MeasureProcessCPUTime();
BENCHMARK(two_call_sites)->Name("switch_preserved/two_call_sites")->MeasureProcessCPUTime();

}  // namespace

BENCHMARK_MAIN();
