// The question (memory.hpp): what does a fiber cost in memory that waits for something and does
// nothing else? This is the answer of Boost.Fiber with stacks from malloc. Those of its pool take
// two kilobytes more each, because the pool's list of free stacks is written into them.
#include "../memory.hpp"

#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/fixedsize_stack.hpp>
#include <boost/fiber/mutex.hpp>
#include <boost/fiber/operations.hpp>
#include <malloc.h>

#include <functional>
#include <memory>
#include <mutex>

namespace {

boost::fibers::fixedsize_stack stacks(bench::stack_bytes);
boost::fibers::mutex lock;
boost::fibers::condition_variable opened;
bool open = false;

struct boost_fibers {
    using handle = boost::fibers::fiber;

    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    static handle spawn(void (*body)(bench::parked&), bench::parked& one) {
        return handle(boost::fibers::launch::post, std::allocator_arg, stacks, body, std::ref(one));
    }
    static void yield() { boost::this_fiber::yield(); }
    static void park() {
        std::unique_lock hold(lock);
        opened.wait(hold, [] { return open; });
    }
    static void let_go(std::vector<handle>&) {
        const std::lock_guard hold(lock);
        open = true;
        opened.notify_all();
    }
    /// The dispatcher destroys fibers that have ended.
    static void give_back() {
        boost::this_fiber::yield();
        malloc_trim(0);
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::memory_main<boost_fibers>(argc, argv);
}
