// The question (yield.hpp): what does a yield cost when N fibers on one thread yield in turn?
// This is the answer of State Threads, which has no yield: state_thread_yields says what it does.
#include "../yield.hpp"
#include "state_threads.hpp"

namespace {

struct state_threads : bench::state_thread_yields {
    using handle = bench::yielding_state_thread;

    template <class F>
    static void run(F main_fiber) {
        bench::begin_state_threads();
        main_fiber();
    }
    static handle spawn(void (*body)(bench::ring&), bench::ring& shared) {
        return {bench::state_thread::spawn(body, shared, bench::stack_bytes)};
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::yield_main<state_threads>(argc, argv);
}
