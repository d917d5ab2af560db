// The question (skynet.hpp): how long does a tree of fibers take to grow and to be joined, and how
// much memory? This is the answer of State Threads as state_threads.hpp sets it up. All its
// threads are alive at once.
#include "../skynet.hpp"
#include "state_threads.hpp"

int main(int argc, char** argv) {
    return bench::skynet_main<bench::state_threads>(argc, argv);
}
