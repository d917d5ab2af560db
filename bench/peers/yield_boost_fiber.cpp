// The question (yield.hpp): what does a yield cost when N fibers on one thread yield in turn?
// This is the answer of Boost.Fiber at its best: boost_stacks.hpp, launch::post, its round-robin
// scheduler. Its dispatcher stands in the ready queue like a fiber and is passed in every round,
// which is why two fibers cost it more per yield than a thousand.
#include "../yield.hpp"
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
    static handle spawn(void (*body)(bench::ring&), bench::ring& shared) {
        return handle(boost::fibers::launch::post, std::allocator_arg, bench::boost_stacks, body,
                      std::ref(shared));
    }
    static void yield() { boost::this_fiber::yield(); }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::yield_main<boost_fibers>(argc, argv);
}
