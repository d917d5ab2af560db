// The question (mutex.hpp): what does a mutex cost to lock and to unlock, free or waited for? This
// is the answer of pthread_mutex_t; the fibers are threads of the system, all on one CPU, and their
// yield is sched_yield(2).
#include "../mutex.hpp"
#include "system_thread.hpp"

namespace {

struct system_mutexes : bench::system_threads {
    class mutex {
    public:
        mutex() = default;
        mutex(const mutex&) = delete;
        mutex& operator=(const mutex&) = delete;
        ~mutex() { pthread_mutex_destroy(&value_); }

        void lock() { pthread_mutex_lock(&value_); }
        void unlock() { pthread_mutex_unlock(&value_); }

    private:
        pthread_mutex_t value_ = PTHREAD_MUTEX_INITIALIZER;
    };
};

}  // namespace

int main(int argc, char** argv) {
    return bench::mutex_main<system_mutexes>(argc, argv);
}
