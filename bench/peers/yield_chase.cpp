// The question (yield.hpp): what does a yield cost when N fibers on one thread yield in turn?
// This is what the machine's memory takes to visit each of them: one cache line for each fiber, in
// random order, and the address of the next is read from the one before. It is the floor for a
// scheduler that finds the next fiber in the last one; one that knows early who comes next has the
// processor fetch several lines at once, and may be faster. The lines are in huge pages where the
// system has them, which is the best setting. There are no call sites.
#include <benchmark/benchmark.h>

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <utility>

namespace {

struct alignas(64) line {
    line* next;
};

/// Lines in one circle, whose order is random.
class circle {
public:
    explicit circle(std::size_t count) {
        constexpr std::size_t huge_page = 2 * 1024 * 1024;
        const std::size_t bytes = (count * sizeof(line) / huge_page + 1) * huge_page;
        lines_ = static_cast<line*>(std::aligned_alloc(huge_page, bytes));
        madvise(lines_, bytes, MADV_HUGEPAGE);
        for (std::size_t i = 0; i < count; ++i)
            lines_[i].next = &lines_[i];
        // Exchanging with an earlier one only makes a single circle of all (Sattolo, 1986).
        std::mt19937 random(20'240'229);
        for (std::size_t i = count - 1; i > 0; --i)
            std::swap(lines_[i].next, lines_[random() % i].next);
    }
    circle(const circle&) = delete;
    circle& operator=(const circle&) = delete;
    ~circle() { std::free(lines_); }

    const line* first() const { return lines_; }

private:
    line* lines_ = nullptr;
};

void chase(benchmark::State& state, std::size_t count) {
    const circle lines(count);
    const line* here = lines.first();
    bool early = false;
    for (auto _ : state) {
        for (std::size_t i = 0; i < count; ++i) {
            here = here->next;
            // The load takes place even where its result could be foretold.
            asm volatile("" : "+r"(here));
        }
        early = early || here != lines.first();
    }
    if (early)
        state.SkipWithError("the circle is not one of all lines");
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}

void ask(const char* name, std::size_t count) {
    benchmark::RegisterBenchmark(name, chase, count)->MeasureProcessCPUTime();
}

}  // namespace

int main(int argc, char** argv) {
    ask("yield/2_fibers", 2);
    ask("yield/100_fibers", 100);
    ask("yield/1000_fibers_1_site", 1000);
    ask("yield/1000_fibers_8_sites", 1000);
    ask("yield/10000_fibers", 10'000);
    ask("yield/100000_fibers", 100'000);
    ask("yield/1000000_fibers", 1'000'000);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
