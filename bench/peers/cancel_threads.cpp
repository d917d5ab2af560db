// The question (cancel.hpp): what does it cost to cancel a fiber that waits? This is the answer of
// threads of the system, all on one CPU, with pthread_cancel(3), which always unwinds the stack, as
// an exception does.
#include "../cancel.hpp"
#include "system_thread.hpp"

#include <semaphore.h>
#include <time.h>

namespace {

struct thread_cancellation : bench::system_threads {
    struct signal {
        sem_t waits{};
        sem_t never{};

        signal() {
            sem_init(&waits, 0, 0);
            sem_init(&never, 0, 0);
        }
    };

    static bool wait(signal& shared) {
        sem_post(&shared.waits);
        sem_wait(&shared.never);
        return false;
    }
    static bool sleep(signal& shared) {
        const timespec hour{3600, 0};
        sem_post(&shared.waits);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &hour, nullptr);
        return false;
    }
    static void wait_or_throw(signal& shared) { wait(shared); }

    static void let_wait(signal& shared) {
        while (sem_wait(&shared.waits) != 0) {
        }
    }
    static void cancel_and_join(signal&, const handle& thread) {
        pthread_cancel(thread.thread);
        thread.join();
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::cancel_main<thread_cancellation>(argc, argv);
}
