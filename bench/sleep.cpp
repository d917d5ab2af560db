// The question (sleep.hpp): what does a sleep cost when N fibers on one thread sleep, each for a
// time of its own, and how late do they wake? This is heddle's answer.
#include "sleep.hpp"

#include <heddle/heddle.hpp>

namespace {

struct heddle_fibers {
    using handle = heddle::fiber<>;

    template <class F>
    static void run(F main_fiber) {
        heddle::run(main_fiber, {.stack_bytes = bench::stack_bytes});
    }
    static handle spawn(void (*body)(bench::sleeper&), bench::sleeper& one) {
        return heddle::spawn([body, &one] { body(one); });
    }
    static void sleep(std::chrono::microseconds length) { heddle::this_fiber::sleep_for(length); }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::sleep_main<heddle_fibers>(argc, argv);
}
