// The question (cancel.hpp): what does it cost to cancel a fiber that waits? This is the answer of
// Boost.Fiber, which cannot: there, programs wait for a condition that comes with a flag. At
// its best: boost_stacks.hpp, and launch::dispatch, by which a spawned fiber waits already.
#include "../cancel.hpp"
#include "boost_fibers.hpp"

#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/mutex.hpp>

#include <chrono>
#include <mutex>

namespace {

struct boost_flags : bench::boost_fibers {
    struct signal {
        boost::fibers::mutex lock;
        boost::fibers::condition_variable changed;
        bool stop = false;
    };

    static bool wait(signal& shared) {
        std::unique_lock hold(shared.lock);
        shared.changed.wait(hold, [&] { return shared.stop; });
        return true;
    }
    static bool sleep(signal& shared) {
        std::unique_lock hold(shared.lock);
        return shared.changed.wait_for(hold, std::chrono::hours(1), [&] { return shared.stop; });
    }
    static void wait_or_throw(signal& shared) {
        wait(shared);
        throw bench::stopped();
    }

    static void let_wait(signal&) {}
    static void cancel_and_join(signal& shared, handle& fiber) {
        {
            const std::lock_guard hold(shared.lock);
            shared.stop = true;
        }
        shared.changed.notify_one();
        fiber.join();
        shared.stop = false;
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::cancel_main<boost_flags>(argc, argv);
}
