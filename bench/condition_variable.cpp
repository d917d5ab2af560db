// The question (condition_variable.hpp): what does it cost to wait for a condition, and to wake
// those who do? This is heddle's answer.
#include "condition_variable.hpp"
#include "heddle_fibers.hpp"

namespace {

struct heddle_conditions : bench::heddle_fibers {
    using mutex = heddle::mutex;
    using condition_variable = heddle::condition_variable;
};

}  // namespace

int main(int argc, char** argv) {
    return bench::condition_variable_main<heddle_conditions>(argc, argv);
}
