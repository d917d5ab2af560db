// The question (spawn.hpp): what does it cost to spawn a fiber and to join it, one after the other?
// This is the answer of threads of the system.
#include "../spawn.hpp"
#include "system_thread.hpp"

int main(int argc, char** argv) {
    return bench::spawn_main<bench::system_threads>(argc, argv);
}
