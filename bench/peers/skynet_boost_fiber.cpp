// The question (skynet.hpp): how long does a tree of fibers take to grow and to be joined, and how
// much memory? This is the answer of Boost.Fiber: of `post`, where all are alive at once, and of
// `dispatch`, where those of one branch are.
#include "../skynet.hpp"
#include "boost_fibers.hpp"

int main(int argc, char** argv) {
    return bench::skynet_main<bench::boost_fibers>(argc, argv);
}
