// The question (timer.hpp): what does a wait with a deadline cost that ends before the deadline,
// when N other timers are armed? This is heddle's answer: a fiber is joined with a deadline.
#include "timer.hpp"

#include <heddle/heddle.hpp>

namespace {

struct heddle_fibers {
    template <class F>
    static void run(F main_fiber) {
        heddle::run(main_fiber, {.stack_bytes = bench::stack_bytes});
    }
    static void arm(const std::vector<bench::deadline>& all) {
        std::size_t asleep = 0;
        for (const bench::deadline& one : all) {
            heddle::spawn_detached([&asleep, due = one.due] {
                ++asleep;
                heddle::this_fiber::sleep_until(due);
            });
        }
        while (asleep < all.size())
            heddle::this_fiber::yield();
    }
    /// Throws when the deadline comes.
    static void wait(std::int64_t& ran, const bench::deadline& until) {
        heddle::spawn([&ran] { ++ran; }).join(until.due);
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::timer_main<heddle_fibers>(argc, argv);
}
