// The question (memory.hpp): what does a fiber cost in memory that waits for something and does
// nothing else? This is the answer of a thread of the system each, with a stack of 64 KiB and its
// guard. Systems rarely allow many more than 10 000. What the kernel keeps for a thread (a stack of
// 16 KiB, and more) is not counted.
#include "../memory.hpp"
#include "system_thread.hpp"

#include <sched.h>

#include <condition_variable>
#include <mutex>

namespace {

std::mutex lock;
std::condition_variable opened;
bool open = false;

struct system_threads {
    using handle = bench::system_thread;

    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    static handle spawn(void (*body)(bench::parked&), bench::parked& one) {
        return handle::spawn(body, one);
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
    return bench::memory_main<system_threads>(argc, argv);
}
