// The question (mutex.hpp): what does a mutex cost to lock and to unlock, free or waited for? This
// is the answer of Boost.Fiber at its best: boost_stacks.hpp and launch::post.
#include "../mutex.hpp"
#include "boost_fibers.hpp"

#include <boost/fiber/mutex.hpp>

namespace {

struct boost_mutexes : bench::boost_fibers {
    using mutex = boost::fibers::mutex;
};

}  // namespace

int main(int argc, char** argv) {
    return bench::mutex_main<boost_mutexes>(argc, argv);
}
