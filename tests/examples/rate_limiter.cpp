// A rate limiter: a bucket of tokens that fills at a steady rate, up to a limit.
//
//     rate_limiter
//
// Each call takes a token, and waits while there is none. After a pause a burst of calls may pass
// at once, as many as the bucket holds; in the long run no more pass than tokens come.
#include <heddle/heddle.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <system_error>
#include <vector>

namespace {

using namespace std::chrono_literals;

class rate_limiter {
public:
    using clock = std::chrono::steady_clock;

    // A token per `interval`; the bucket holds `burst` of them, and is full at first. Made in a
    // fiber.
    rate_limiter(std::chrono::nanoseconds interval, std::ptrdiff_t burst)
        : tokens_(burst),
          filler_({.name = "rate limiter"}, [this, interval] { fill(interval); }) {}

    // Takes a token. Those who wait are served in their order, and may give up by deadline or
    // cancellation: then no token is taken. All of that comes with the semaphore.
    void acquire(heddle::deadline until = heddle::deadline::never()) {
        tokens_.acquire(until);
        room_.release();
    }
    bool try_acquire() {
        if (!tokens_.try_acquire()) {
            return false;
        }
        room_.release();
        return true;
    }

private:
    // While the bucket is full there is no room, and this fiber waits for that: a limiter that
    // nobody uses wakes nobody. While it is not, tokens come by the clock and not by when this
    // fiber gets its turn, so that the rate is kept.
    void fill(std::chrono::nanoseconds interval) {
        for (auto next = clock::now();; tokens_.release()) {
            if (!room_.try_acquire()) {
                room_.acquire();
                next = clock::now();
            }
            next += interval;
            heddle::this_fiber::sleep_until(next);
        }
    }

    heddle::counting_semaphore<> tokens_;
    heddle::counting_semaphore<> room_{0};
    heddle::fiber<> filler_;  // the last member, so that it is stopped and joined first
};

struct call {
    int caller;
    rate_limiter::clock::time_point at;
};

}  // namespace

int main() {
    return heddle::run([] {
        constexpr auto interval = 2ms;
        constexpr int burst = 5;
        constexpr int callers = 3;
        constexpr int calls_each = 10;

        const auto start = rate_limiter::clock::now();
        rate_limiter limit(interval, burst);
        std::vector<call> calls;
        heddle::scope all;
        for (int caller = 0; caller < callers; ++caller) {
            all.spawn([&, caller] {
                for (int i = 0; i < calls_each; ++i) {
                    limit.acquire();
                    calls.push_back({caller, rate_limiter::clock::now()});
                }
            });
        }
        all.join();

        // However fast or slow the machine, no call passed before its token had come.
        bool right = calls.size() == callers * calls_each;
        for (std::size_t i = burst; i < calls.size(); ++i) {
            right &= calls[i].at - start >= interval * static_cast<int>(i + 1 - burst);
        }
        std::printf("%zu calls, none too early: %s\n", calls.size(), right ? "yes" : "no");

        // A bucket of two tokens that fills once an hour.
        rate_limiter slow(1h, 2);
        int passed = 0;
        while (slow.try_acquire()) {
            ++passed;
        }
        std::printf("a burst of %d passed\n", passed);
        right &= passed == 2;
        try {
            slow.acquire(1ms);
            right = false;
        } catch (const std::system_error& error) {
            std::printf("the next one gave up\n");
            right &= error.code() == std::errc::timed_out;
        }
        return right ? 0 : 1;
    });
}
