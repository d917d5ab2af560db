// The question (batch.hpp): what does a fiber cost when N are spawned first, and then all are
// joined? This is heddle's answer.
#include "batch.hpp"
#include "heddle_fibers.hpp"

int main(int argc, char** argv) {
    return bench::batch_main<bench::heddle_fibers>(argc, argv);
}
