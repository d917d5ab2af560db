// The question (memory.hpp): what does a fiber cost in memory that waits for something and does
// nothing else? This is the answer of a thread of the system each, with a stack of 64 KiB and its
// guard. At most 10 000 of them, because systems rarely allow many more. What the kernel keeps for
// a thread (a stack of 16 KiB, and more) is not counted.
#include "../memory.hpp"

#include <pthread.h>
#include <sched.h>

#include <condition_variable>
#include <mutex>

namespace {

constexpr std::size_t threads_max = 10'000;

std::mutex lock;
std::condition_variable opened;
bool open = false;

struct system_thread {
    pthread_t thread = 0;

    void join() const { pthread_join(thread, nullptr); }
};

struct call {
    void (*body)(bench::parked&);
    bench::parked* argument;
};

void* enter(void* packed) {
    const call what = *static_cast<call*>(packed);
    delete static_cast<call*>(packed);
    what.body(*what.argument);
    return nullptr;
}

struct system_threads {
    using handle = system_thread;

    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    static handle spawn(void (*body)(bench::parked&), bench::parked& one) {
        system_thread made;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, bench::stack_bytes);
        if (pthread_create(&made.thread, &attributes, enter, new call{body, &one}) != 0) {
            std::fputs("the system refuses 10 000 threads\n", stderr);
            std::_Exit(bench::not_allowed);
        }
        pthread_attr_destroy(&attributes);
        return made;
    }
    static void yield() { sched_yield(); }
    static void park() {
        std::unique_lock hold(lock);
        opened.wait(hold, [] { return open; });
    }
    static void let_go(std::vector<handle>&) {
        const std::lock_guard hold(lock);
        open = true;
        opened.notify_all();
    }
    static void give_back() {}
};

}  // namespace

int main(int argc, char** argv) {
    return bench::memory_main<system_threads>(argc, argv, threads_max);
}
