// The question (condition_variable.hpp): what does it cost to wait for a condition, and to wake
// those who do? This is the answer of threads of the system, all on one CPU, with what the C++
// library makes of pthread_mutex_t and pthread_cond_t.
#include "../condition_variable.hpp"
#include "system_thread.hpp"

#include <condition_variable>

namespace {

struct system_conditions : bench::system_threads {
    using mutex = std::mutex;
    using condition_variable = std::condition_variable;
};

}  // namespace

int main(int argc, char** argv) {
    return bench::condition_variable_main<system_conditions>(argc, argv);
}
