// The question (skynet.hpp): how long does a tree of fibers take to grow and to be joined, and how
// much memory? This is heddle's answer.
#include "skynet.hpp"
#include "heddle_fibers.hpp"

int main(int argc, char** argv) {
    return bench::skynet_main<bench::heddle_fibers>(argc, argv);
}
