// The question (semaphore.hpp): what does it cost to hand on from one fiber to another by a
// semaphore? This is the answer of State Threads, which have none: a number and a condition, which
// needs no lock, because nothing runs between two calls.
#include "../semaphore.hpp"
#include "state_threads.hpp"

namespace {

struct state_thread_semaphores : bench::state_threads {
    class semaphore {
    public:
        explicit semaphore(int permits) : permits_(permits) {}
        semaphore(const semaphore&) = delete;
        semaphore& operator=(const semaphore&) = delete;
        ~semaphore() { st_cond_destroy(released_); }

        void acquire() {
            while (permits_ == 0)
                st_cond_wait(released_);
            --permits_;
        }
        void release() {
            ++permits_;
            st_cond_signal(released_);
        }

    private:
        st_cond_t released_ = st_cond_new();
        int permits_;
    };
};

}  // namespace

int main(int argc, char** argv) {
    return bench::semaphore_main<state_thread_semaphores>(argc, argv);
}
