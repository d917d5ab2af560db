// The question (cancel.hpp): what does it cost to cancel a fiber that waits? This is the answer of
// State Threads, where any wait can be interrupted: it returns an error.
#include "../cancel.hpp"
#include "state_threads.hpp"

#include <cerrno>

namespace {

struct state_thread_interrupts : bench::state_threads {
    struct signal {
        st_cond_t waits = st_cond_new();
        st_cond_t never = st_cond_new();
    };

    static bool wait(signal& shared) {
        st_cond_signal(shared.waits);
        return st_cond_wait(shared.never) != 0 && errno == EINTR;
    }
    static bool sleep(signal& shared) {
        constexpr st_utime_t hour_us = 3'600'000'000;
        st_cond_signal(shared.waits);
        return st_usleep(hour_us) != 0 && errno == EINTR;
    }
    static void wait_or_throw(signal& shared) {
        if (wait(shared))
            throw bench::stopped();
    }

    static void let_wait(signal& shared) { st_cond_wait(shared.waits); }
    static void cancel_and_join(signal&, const handle& fiber) {
        st_thread_interrupt(fiber.thread);
        fiber.join();
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::cancel_main<state_thread_interrupts>(argc, argv);
}
