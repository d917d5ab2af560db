// The question (memory.hpp): what does a fiber cost in memory that waits for something and does
// nothing else? This is heddle's answer: its fibers sleep without a deadline until they are asked
// to stop.
#include "memory.hpp"

#include <heddle/heddle.hpp>

#include <system_error>

namespace {

struct heddle_fibers {
    using handle = heddle::fiber<>;

    template <class F>
    static void run(F main_fiber) {
        heddle::run(main_fiber, {.stack_bytes = bench::stack_bytes});
    }
    static handle spawn(void (*body)(bench::parked&), bench::parked& one) {
        return heddle::spawn([body, &one] { body(one); });
    }
    static void yield() { heddle::this_fiber::yield(); }
    static void park() {
        std::error_code stopped;
        heddle::this_fiber::sleep_until(heddle::deadline::never(), stopped);
    }
    static void let_go(std::vector<handle>& all) {
        for (handle& one : all)
            one.request_stop();
    }
    static void give_back() { heddle::trim(); }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::memory_main<heddle_fibers>(argc, argv);
}
