// The question (cancel.hpp): what does it cost to cancel a fiber that waits? This is heddle's
// answer.
#include "cancel.hpp"
#include "heddle_fibers.hpp"

#include <chrono>
#include <system_error>

namespace {

struct heddle_cancellation : bench::heddle_fibers {
    struct signal {
        heddle::counting_semaphore<> never{0};
    };

    static bool wait(signal& shared) {
        std::error_code error;
        shared.never.acquire(error);
        return error == std::errc::operation_canceled;
    }
    static bool sleep(signal&) {
        std::error_code error;
        heddle::this_fiber::sleep_for(std::chrono::hours(1), error);
        return error == std::errc::operation_canceled;
    }
    static void wait_or_throw(signal& shared) { shared.never.acquire(); }

    static void let_wait(signal&) { yield(); }
    static void cancel_and_join(signal&, handle& fiber) {
        fiber.request_stop();
        std::error_code ignored;  // join() says by an exception that the fiber ended by one
        fiber.join(ignored);
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::cancel_main<heddle_cancellation>(argc, argv);
}
