// The question (timer.hpp): what does a wait with a deadline cost that ends before the deadline,
// when N other timers are armed? This is the answer of Boost.Fiber at its best: the stacks of
// boost_stacks.hpp and launch::post. Its join takes no deadline; the cheapest wait that does is
// that for a condition.
#include "../timer.hpp"
#include "boost_stacks.hpp"

#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/mutex.hpp>
#include <boost/fiber/operations.hpp>

#include <memory>
#include <mutex>

namespace {

boost::fibers::mutex lock;
boost::fibers::condition_variable ended;

template <class F>
boost::fibers::fiber spawn(F body) {
    return boost::fibers::fiber(boost::fibers::launch::post, std::allocator_arg,
                                bench::boost_stacks, body);
}

struct boost_fibers {
    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    static void arm(const std::vector<bench::deadline>& all) {
        std::size_t asleep = 0;
        for (const bench::deadline& one : all) {
            spawn([&asleep, due = one.due] {
                ++asleep;
                boost::this_fiber::sleep_until(due);
            }).detach();
        }
        while (asleep < all.size())
            boost::this_fiber::yield();
    }
    static void wait(std::int64_t& ran, const bench::deadline& until) {
        bool over = false;
        spawn([&] {
            ++ran;
            over = true;
            ended.notify_one();
        }).detach();
        std::unique_lock hold(lock);
        if (!ended.wait_until(hold, until.due, [&] { return over; }))
            bench::give_up("the deadline came");
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::timer_main<boost_fibers>(argc, argv);
}
