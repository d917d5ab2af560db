// The question (memory.hpp): what does a fiber cost in memory that waits for something and does
// nothing else? This is the answer of State Threads, which keeps the stacks of ended threads for
// ever.
#include "../memory.hpp"
#include "state_threads.hpp"

namespace {

st_cond_t opened = nullptr;

struct state_threads {
    using handle = bench::state_thread;

    template <class F>
    static void run(F main_fiber) {
        bench::begin_state_threads();
        opened = st_cond_new();
        main_fiber();
    }
    static handle spawn(void (*body)(bench::parked&), bench::parked& one) {
        return handle::spawn(body, one, bench::stack_bytes);
    }
    /// Threads that are runnable go first.
    static void yield() { st_usleep(0); }
    static void park() { st_cond_wait(opened); }
    static void let_go(std::vector<handle>&) { st_cond_broadcast(opened); }
    static void give_back() {}
};

}  // namespace

int main(int argc, char** argv) {
    return bench::memory_main<state_threads>(argc, argv);
}
