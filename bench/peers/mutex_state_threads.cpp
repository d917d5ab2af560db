// The question (mutex.hpp): what does a mutex cost to lock and to unlock, free or waited for? This
// is the answer of State Threads, whose mutex is for the threads of one thread of the system, and
// which have no yield.
#include "../mutex.hpp"
#include "state_threads.hpp"

namespace {

/// The yield of state_threads.hpp waits for the next one to yield, which never comes where all
/// others wait for the mutex. So those that yield wake a thread that does nothing but to wake them
/// again, behind those that are ready: a second switch, but a tenth of a sleep for no time.
class yields {
public:
    static void begin() {
        static bool begun = false;
        if (!std::exchange(begun, true)) {
            yielded = st_cond_new();
            woken = st_cond_new();
            bench::state_thread::spawn<wake_all>(begun, std::size_t{64} * 1024);
        }
    }
    static void yield() {
        st_cond_signal(woken);
        st_cond_wait(yielded);
    }

private:
    static void wake_all(bool& forever) {
        while (forever) {
            st_cond_wait(woken);
            st_cond_broadcast(yielded);
        }
    }

    inline static st_cond_t yielded = nullptr;  // waited for by all that yield
    inline static st_cond_t woken = nullptr;    // waited for by the thread that wakes them
};

struct state_thread_mutexes : bench::state_threads {
    class mutex {
    public:
        mutex() = default;
        mutex(const mutex&) = delete;
        mutex& operator=(const mutex&) = delete;
        ~mutex() { st_mutex_destroy(value_); }

        void lock() { st_mutex_lock(value_); }
        void unlock() { st_mutex_unlock(value_); }

    private:
        st_mutex_t value_ = st_mutex_new();
    };

    template <class F>
    static void run(F main_fiber) {
        bench::begin_state_threads();
        yields::begin();
        main_fiber();
    }
    static void yield() { yields::yield(); }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::mutex_main<state_thread_mutexes>(argc, argv);
}
