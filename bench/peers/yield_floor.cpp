// The question (yield.hpp): what does a yield cost when N fibers on one thread yield in turn?
// This is the floor: all flows in one array, and a switch in inline assembly. There is no scheduler
// to enter, nobody can wait, and the stacks have no guards.
#include "../yield.hpp"
#include "inline_switch.hpp"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

/// What a flow runs, and whether it has ended.
struct ring_fiber {
    void (*body)(bench::ring&) = nullptr;
    bench::ring* shared = nullptr;
    bool finished = false;
};

constexpr std::size_t fibers_max = 1'000'000;

// Tops of stacks that lie a power of two apart share a few sets of the cache and of the TLB. A
// stride of 17 pages and 32 colours of one cache line spread them: 4.6 ns became 1.6 with 1 000
// fibers (AMD EPYC "Zen 4", virtual).
constexpr std::size_t stride = bench::stack_bytes + 4096;
constexpr std::size_t colours = 32;
constexpr std::size_t reserved_bytes = fibers_max * stride;

// The flows stand in the order in which they run, so the next one is the next in memory and no
// queue is read. The first is the clock.
std::vector<bench::flow> flows;
std::vector<ring_fiber> fibers;  // what each flow runs, by the same number
bench::flow* running = nullptr;  // the flow that runs now
char* stacks = nullptr;          // of all fibers but the clock

[[gnu::always_inline]] inline void yield_to_next() {
    bench::flow* const from = running;
    bench::flow* const to = from == &flows.back() ? flows.data() : from + 1;
    running = to;
    bench::inline_switch(from, to);
}

void begin(void* argument) {
    auto& self = *static_cast<ring_fiber*>(argument);
    self.body(*self.shared);
    self.finished = true;
    for (;;)
        yield_to_next();
}

struct ring_handle {
    const ring_fiber* fiber;

    void join() {
        while (!fiber->finished)
            yield_to_next();
    }
};

struct ring_of_flows {
    using handle = ring_handle;

    template <class F>
    static void run(F main_fiber) {
        void* const reserved = mmap(nullptr, reserved_bytes, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (reserved == MAP_FAILED) {
            std::perror("mmap of the stacks");
            std::exit(1);
        }
        madvise(reserved, reserved_bytes, MADV_NOHUGEPAGE);
        stacks = static_cast<char*>(reserved);
        flows.reserve(fibers_max);
        fibers.reserve(fibers_max);
        flows.assign(1, {});
        fibers.assign(1, {});
        running = flows.data();
        main_fiber();
        munmap(reserved, reserved_bytes);
    }
    static handle spawn(void (*body)(bench::ring&), bench::ring& shared) {
        const std::size_t number = flows.size();
        if (number == fibers_max)
            std::abort();  // the vectors must not move
        ring_fiber& made = fibers.emplace_back(ring_fiber{body, &shared, false});
        char* const stack_top = stacks + number * stride - number % colours * 64;
        bench::make_flow(flows.emplace_back(), stack_top, begin, &made);
        return {&made};
    }
    [[gnu::always_inline]] static void yield() { yield_to_next(); }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::yield_main<ring_of_flows>(argc, argv);
}
