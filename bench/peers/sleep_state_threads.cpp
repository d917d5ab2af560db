// The question (sleep.hpp): what does a sleep cost when N fibers on one thread sleep, each for a
// time of its own, and how late do they wake?
// This is the answer of State Threads. It counts a sleep from its scheduler's last look at the
// clock, so that one can end early, and then has to be repeated.
#include "../sleep.hpp"
#include "state_threads.hpp"

namespace {

struct state_threads {
    using handle = bench::state_thread;

    template <class F>
    static void run(F main_fiber) {
        bench::begin_state_threads(true);
        main_fiber();
    }
    static handle spawn(void (*body)(bench::sleeper&), bench::sleeper& one) {
        return handle::spawn(body, one, bench::stack_bytes);
    }
    static void sleep(std::chrono::microseconds length) {
        using std::chrono::steady_clock;
        const auto due = steady_clock::now() + length;
        do {
            st_usleep(static_cast<st_utime_t>(length.count()));
            length = std::chrono::ceil<std::chrono::microseconds>(due - steady_clock::now());
        } while (length.count() > 0);
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::sleep_main<state_threads>(argc, argv);
}
