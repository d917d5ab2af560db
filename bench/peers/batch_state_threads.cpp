// The question (batch.hpp): what does a fiber cost when N are spawned first, and then all are
// joined? This is the answer of State Threads; state_threads.hpp says how they yield.
#include "../batch.hpp"
#include "state_threads.hpp"

namespace {

struct yielding_state_threads : bench::state_thread_yields {
    using handle = bench::yielding_state_thread;

    template <class F>
    static void run(F main_fiber) {
        bench::state_threads::run(main_fiber);
    }
    template <auto Body, class Argument>
    static handle spawn(Argument& argument) {
        return {bench::state_threads::spawn<Body>(argument)};
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::batch_main<bench::state_threads, yielding_state_threads>(argc, argv);
}
