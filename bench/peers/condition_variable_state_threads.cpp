// The question (condition_variable.hpp): what does it cost to wait for a condition, and to wake
// those who do? This is the answer of State Threads, whose conditions take no mutex.
#include "../condition_variable.hpp"
#include "state_thread_condition.hpp"

namespace {

struct state_thread_conditions : bench::state_threads {
    using mutex = bench::no_mutex;
    using condition_variable = bench::state_thread_condition;
};

}  // namespace

int main(int argc, char** argv) {
    return bench::condition_variable_main<state_thread_conditions>(argc, argv);
}
