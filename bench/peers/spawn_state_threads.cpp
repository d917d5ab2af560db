// The question (spawn.hpp): what does it cost to spawn a fiber and to join it, one after the other?
// This is the answer of State Threads as state_threads.hpp sets it up.
#include "../spawn.hpp"
#include "state_threads.hpp"

int main(int argc, char** argv) {
    return bench::spawn_main<bench::state_threads>(argc, argv);
}
