// The question (batch.hpp): what does a fiber cost when N are spawned first, and then all are
// joined? This is the answer of Boost.Fiber: of `post`, and of `dispatch`, where each has ended
// before the next is spawned or, where bodies yield, before the one after that.
#include "../batch.hpp"
#include "boost_fibers.hpp"

int main(int argc, char** argv) {
    return bench::batch_main<bench::boost_fibers>(argc, argv);
}
