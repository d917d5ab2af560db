// The question (semaphore.hpp): what does it cost to hand on from one fiber to another by a
// semaphore? This is the answer of Boost.Fiber, which has none: a channel with room for one is the
// cheapest that may be used by several threads too, 119 ns where a number, a mutex and a condition
// take 166.
#include "../semaphore.hpp"
#include "boost_fibers.hpp"

#include <boost/fiber/buffered_channel.hpp>

namespace {

struct boost_semaphores : bench::boost_fibers {
    class semaphore {
    public:
        explicit semaphore(int permits) {
            for (; permits > 0; --permits)
                release();
        }
        void acquire() {
            char permit = 0;
            permits_.pop(permit);
        }
        void release() { permits_.push(0); }

    private:
        boost::fibers::buffered_channel<char> permits_{2};  // one place stays empty
    };
};

}  // namespace

int main(int argc, char** argv) {
    return bench::semaphore_main<boost_semaphores>(argc, argv);
}
