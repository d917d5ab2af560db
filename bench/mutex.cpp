// The question (mutex.hpp): what does a mutex cost to lock and to unlock, free or waited for? This
// is heddle's answer.
#include "mutex.hpp"
#include "heddle_fibers.hpp"

namespace {

struct heddle_mutexes : bench::heddle_fibers {
    using mutex = heddle::mutex;
};

}  // namespace

int main(int argc, char** argv) {
    return bench::mutex_main<heddle_mutexes>(argc, argv);
}
