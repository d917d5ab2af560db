// The question (spawn.hpp): what does it cost to spawn a fiber and to join it, one after the other?
// This is the answer of Boost.Fiber, of `post` and of `dispatch`, which is the faster of the two.
#include "../spawn.hpp"
#include "boost_fibers.hpp"

int main(int argc, char** argv) {
    return bench::spawn_main<bench::boost_fibers>(argc, argv);
}
