// The question (sleep.hpp): what does a sleep cost when N fibers on one thread sleep, each for a
// time of its own, and how late do they wake?
// This is the answer of Boost.Fiber at its best: boost_stacks.hpp, launch::post, its round-robin
// scheduler.
#include "../sleep.hpp"
#include "boost_stacks.hpp"

#include <boost/fiber/fiber.hpp>
#include <boost/fiber/operations.hpp>

#include <functional>
#include <memory>

namespace {

struct boost_fibers {
    using handle = boost::fibers::fiber;

    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    static handle spawn(void (*body)(bench::sleeper&), bench::sleeper& one) {
        return handle(boost::fibers::launch::post, std::allocator_arg, bench::boost_stacks, body,
                      std::ref(one));
    }
    static void sleep(std::chrono::microseconds length) { boost::this_fiber::sleep_for(length); }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::sleep_main<boost_fibers>(argc, argv);
}
