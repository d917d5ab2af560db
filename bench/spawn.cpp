// The question (spawn.hpp): what does it cost to spawn a fiber and to join it, one after the other?
// This is heddle's answer.
#include "spawn.hpp"
#include "heddle_fibers.hpp"

int main(int argc, char** argv) {
    return bench::spawn_main<bench::heddle_fibers>(argc, argv);
}
