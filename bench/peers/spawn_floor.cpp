// The question (spawn.hpp): what does it cost to spawn a fiber and to join it, one after the other?
// This is the floor: a flow on a warm stack for each.
#include "../spawn.hpp"
#include "flows.hpp"

int main(int argc, char** argv) {
    return bench::spawn_main<bench::flows>(argc, argv);
}
