// The question (sleep.hpp): what does a sleep cost when N fibers on one thread sleep, each for a
// time of its own, and how late do they wake?
// This is the floor: no fibers, only a heap of callbacks and one clock_nanosleep for the earliest.
// Callbacks that are due are called in one go, with one look at the clock for each, as all
// contenders do.
#include "../sleep.hpp"

#include <time.h>

#include <algorithm>
#include <functional>

namespace {

using std::chrono::steady_clock;

/// A callback and when to call it.
struct timer {
    steady_clock::time_point due;
    void (*callback)(bench::sleeper&);
    bench::sleeper* argument;

    friend bool operator>(const timer& left, const timer& right) { return left.due > right.due; }
};

void note_waking(bench::sleeper& one) {
    one.woke = steady_clock::now();
}

void sleep_until(steady_clock::time_point due) {
    const auto ns = due.time_since_epoch().count();
    const timespec until{static_cast<time_t>(ns / 1'000'000'000), ns % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

void sleep_all(std::vector<bench::sleeper>& all, std::vector<timer>& heap) {
    for (bench::sleeper& one : all) {
        one.due = steady_clock::now() + one.length;
        heap.push_back({one.due, note_waking, &one});
        std::push_heap(heap.begin(), heap.end(), std::greater<>());
    }
    while (!heap.empty()) {
        sleep_until(heap.front().due);
        const auto now = steady_clock::now();
        while (!heap.empty() && heap.front().due <= now) {
            std::pop_heap(heap.begin(), heap.end(), std::greater<>());
            heap.back().callback(*heap.back().argument);
            heap.pop_back();
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t count = bench::count_argument(argc, argv, 1);
    const auto plan = bench::make_sleepers(count, bench::count_argument(argc, argv, 2));
    std::vector<bench::sleeper> all = plan;
    double cpu[2] = {};
    bench::lateness late;
    std::vector<timer> heap;
    heap.reserve(count);
    for (double& round : cpu) {
        all = plan;
        const double before = bench::cpu_ns();
        sleep_all(all, heap);
        round = (bench::cpu_ns() - before) / static_cast<double>(count);
        late.record(all);
    }
    bench::print_answer({{"first", cpu[0]},
                         {"warm", cpu[1]},
                         {"late_p50", late.us(0.5)},
                         {"late_p99", late.us(0.99)}});
}
