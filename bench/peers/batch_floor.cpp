// The question (batch.hpp): what does a fiber cost when N are spawned first, and then all are
// joined? This is the floor: each is noted, and all run one after the other on one warm stack.
// Where they yield each gets a stack of its own, without a guard, runs to its yield when it is
// spawned, and to its end when it is joined.
#include "../batch.hpp"
#include "flows.hpp"

#include <sys/mman.h>

namespace {

struct yielding_flows {
    static constexpr std::size_t fibers_max = 100'000;
    // 17 pages, and colours of one cache line: yield_floor.cpp says why.
    static constexpr std::size_t stride = std::size_t{17} * 4096;
    static constexpr std::size_t colours = 32;

    /// What stands at the top of each stack.
    struct alignas(64) fiber {
        bench::flow rest;
        void* argument = nullptr;
    };

    inline static bench::flow parent;
    inline static fiber* running = nullptr;
    inline static char* stacks = nullptr;
    inline static std::size_t used = 0;  // stacks; they are joined in the order of the spawns

    struct handle {
        fiber* self = nullptr;

        void join() const {
            resume(self);
            --used;
        }
    };

    template <class F>
    static void run(F main_fiber) {
        constexpr std::size_t bytes = fibers_max * stride;
        void* const reserved = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (reserved == MAP_FAILED)
            bench::give_up("no address space for the stacks");
        madvise(reserved, bytes, MADV_NOHUGEPAGE);
        stacks = static_cast<char*>(reserved);
        main_fiber();
        munmap(reserved, bytes);
    }
    template <auto Body, class Argument>
    static handle spawn(Argument& argument) {
        if (used == fibers_max)
            bench::give_up("there are no more stacks");
        char* const end = stacks + (used + 1) * stride - used % colours * 64;
        ++used;
        auto* const made = new (end - sizeof(fiber)) fiber;
        made->argument = &argument;
        const auto begin = [](void* self) {
            Body(*static_cast<Argument*>(static_cast<fiber*>(self)->argument));
            bench::inline_switch(&running->rest, &parent);
        };
        bench::make_flow(made->rest, made, begin, made);
        resume(made);
        return {made};
    }
    static void yield() { bench::inline_switch(&running->rest, &parent); }

private:
    static void resume(fiber* next) {
        running = next;
        bench::inline_switch(&parent, &next->rest);
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::batch_main<bench::flows, yielding_flows>(argc, argv);
}
