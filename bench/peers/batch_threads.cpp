// The question (batch.hpp): what does a fiber cost when N are spawned first, and then all are
// joined? This is the answer of threads of the system.
#include "../batch.hpp"
#include "system_thread.hpp"

int main(int argc, char** argv) {
    return bench::batch_main<bench::system_threads>(argc, argv);
}
