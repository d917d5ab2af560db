// The question (semaphore.hpp): what does it cost to hand on from one fiber to another by a
// semaphore? This is the answer of threads of the system, all on one CPU, with POSIX semaphores.
#include "../semaphore.hpp"
#include "system_thread.hpp"

#include <semaphore.h>

namespace {

struct system_semaphores : bench::system_threads {
    class semaphore {
    public:
        explicit semaphore(unsigned permits) { sem_init(&value_, 0, permits); }
        semaphore(const semaphore&) = delete;
        semaphore& operator=(const semaphore&) = delete;
        ~semaphore() { sem_destroy(&value_); }

        void acquire() {
            while (sem_wait(&value_) != 0) {
            }
        }
        void release() { sem_post(&value_); }

    private:
        sem_t value_{};
    };
};

}  // namespace

int main(int argc, char** argv) {
    return bench::semaphore_main<system_semaphores>(argc, argv);
}
