// The question (condition_variable.hpp): what does it cost to wait for a condition, and to wake
// those who do? This is the answer of Boost.Fiber at its best: boost_stacks.hpp and launch::post.
#include "../condition_variable.hpp"
#include "boost_fibers.hpp"

#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/mutex.hpp>

namespace {

struct boost_conditions : bench::boost_fibers {
    using mutex = boost::fibers::mutex;
    using condition_variable = boost::fibers::condition_variable;
};

}  // namespace

int main(int argc, char** argv) {
    return bench::condition_variable_main<boost_conditions>(argc, argv);
}
