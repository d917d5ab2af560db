// The question (timer.hpp): what does a wait with a deadline cost that ends before the deadline,
// when N other timers are armed? This is the answer of threads of the system: the others sleep, and
// one is joined with a deadline, as the GNU C library can.
#include "../timer.hpp"
#include "system_thread.hpp"

#include <sched.h>
#include <time.h>

#include <atomic>

namespace {

std::atomic<std::size_t> asleep = 0;

timespec as_timespec(std::chrono::steady_clock::time_point due) {
    const std::chrono::nanoseconds::rep ns = due.time_since_epoch().count();
    return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

void sleep_until(bench::deadline& until) {
    const timespec due = as_timespec(until.due);
    ++asleep;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
}

void count_up(std::int64_t& ran) {
    ++ran;
}

struct system_threads {
    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    static void arm(const std::vector<bench::deadline>& all) {
        static std::vector<bench::deadline> kept;
        kept = all;
        for (bench::deadline& one : kept)
            bench::system_thread::spawn<sleep_until>(one);
        while (asleep < kept.size())
            sched_yield();
    }
    static void wait(std::int64_t& ran, const bench::deadline& until) {
        const timespec due = as_timespec(until.due);
        const pthread_t child = bench::system_thread::spawn<count_up>(ran).thread;
        if (pthread_clockjoin_np(child, nullptr, CLOCK_MONOTONIC, &due) != 0)
            bench::give_up("the deadline came");
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::timer_main<system_threads>(argc, argv);
}
