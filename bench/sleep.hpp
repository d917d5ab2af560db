// The question: what does a sleep cost when N fibers on one thread sleep, each for a time of its
// own, and how late do they wake?
//
//     sleep_<contender> FIBERS LONGEST_MS
//
// Every fiber draws 1 ms to the longest, in microseconds, from a seeded generator, sleeps once and
// ends. A round spawns them all and joins them all; its cost is the CPU time of the whole process,
// so it holds a spawn, a start, a timer and a join. `first` is the round in a fresh process, where
// every stack is touched for the first time, `warm` the same again. A sleep is late by what lies
// between the end that was asked for and the moment when the fiber runs. Late ones count in both
// rounds from the moment on when all fibers sleep, since before that the thread has a backlog; one
// that ends early is an error.
//
// A contender is a struct with `handle` (something with join()), run(f), spawn(f, argument) and
// sleep(microseconds). Stacks are 64 KiB for everybody.
#pragma once

#include "answer.hpp"
#include "histogram.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace bench {

inline constexpr std::size_t stack_bytes = 64 * 1024;

/// One sleep: how long it is to last, and what came of it.
struct sleeper {
    std::chrono::microseconds length{0};
    std::chrono::steady_clock::time_point due{};  ///< before it has begun: the epoch
    std::chrono::steady_clock::time_point woke{};
};

/// The sleeps of a run, the same for every contender.
inline std::vector<sleeper> make_sleepers(std::size_t count, std::size_t longest_ms) {
    std::mt19937 random(20'240'229);
    std::vector<sleeper> all(count);
    for (sleeper& one : all)
        one.length = std::chrono::microseconds(1000 + random() % (1000 * longest_ms - 999));
    return all;
}

/// What the sleeps of one or more rounds came to.
class lateness {
public:
    void record(const std::vector<sleeper>& all) {
        std::chrono::steady_clock::time_point all_asleep{};
        for (const sleeper& one : all)
            all_asleep = std::max(all_asleep, one.due - one.length);
        for (const sleeper& one : all) {
            if (one.woke < one.due || one.due == std::chrono::steady_clock::time_point{})
                give_up("a fiber woke too early, or did not sleep");
            if (one.due >= all_asleep)
                late_.record(static_cast<std::uint64_t>((one.woke - one.due).count()));
        }
    }
    double us(double part) const { return static_cast<double>(late_.quantile(part)) / 1000; }

private:
    histogram late_;
};

template <class Library>
void sleep_once(sleeper& self) {
    self.due = std::chrono::steady_clock::now() + self.length;
    Library::sleep(self.length);
    self.woke = std::chrono::steady_clock::now();
}

template <class Library>
int sleep_main(int argc, char** argv) {
    const std::size_t count = count_argument(argc, argv, 1);
    const std::vector<sleeper> plan = make_sleepers(count, count_argument(argc, argv, 2));
    double cpu[2] = {};
    lateness late;
    Library::run([&] {
        std::vector<sleeper> all = plan;
        std::vector<typename Library::handle> handles;
        handles.reserve(count);
        for (double& round : cpu) {
            all = plan;
            handles.clear();
            const double before = cpu_ns();
            for (sleeper& one : all)
                handles.push_back(Library::spawn(sleep_once<Library>, one));
            for (auto& handle : handles)
                handle.join();
            round = (cpu_ns() - before) / static_cast<double>(count);
            late.record(all);
        }
    });
    print_answer({{"first", cpu[0]},
                  {"warm", cpu[1]},
                  {"late_p50", late.us(0.5)},
                  {"late_p99", late.us(0.99)}});
    return 0;
}

}  // namespace bench
