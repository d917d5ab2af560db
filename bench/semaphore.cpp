// The question (semaphore.hpp): what does it cost to hand on from one fiber to another by a
// semaphore? This is heddle's answer.
#include "semaphore.hpp"
#include "heddle_fibers.hpp"

namespace {

struct heddle_semaphores : bench::heddle_fibers {
    using semaphore = heddle::counting_semaphore<>;
};

}  // namespace

int main(int argc, char** argv) {
    return bench::semaphore_main<heddle_semaphores>(argc, argv);
}
