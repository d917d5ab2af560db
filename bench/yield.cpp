// The question (yield.hpp): what does a yield cost when N fibers on one thread yield in turn?
// This is heddle's answer.
#include "yield.hpp"

#include <heddle/heddle.hpp>

namespace {

struct heddle_fibers {
    using handle = heddle::fiber<>;

    template <class F>
    static void run(F main_fiber) {
        heddle::run(main_fiber, {.stack_bytes = bench::stack_bytes});
    }
    static handle spawn(void (*body)(bench::ring&), bench::ring& shared) {
        return heddle::spawn([body, &shared] { body(shared); });
    }
    static void yield() { heddle::this_fiber::yield(); }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::yield_main<heddle_fibers>(argc, argv);
}
