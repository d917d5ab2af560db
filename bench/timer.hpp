// The question: what does a wait with a deadline cost that ends before the deadline, when N other
// timers are armed?
//
//     timer_<contender> TIMERS
//
// This is the usual fate of a timeout: armed, and cancelled because what was waited for has come.
// A fiber spawns another, which only counts, and waits for its end, with a deadline. All deadlines
// lie one to two hours ahead and are drawn from a seeded generator, so that one belongs anywhere
// among the others. They are points in time where a library takes such, which spares it a look at
// the clock. `wait` is the CPU time of all that: spawn, start, arm, wait, cancel, end. How it
// grows with the timers is what they cost.
//
// A contender is a struct with run(f), arm(deadlines), which returns when there is a timer for each
// of them, and wait(ran, deadline), which is one such wait for a fiber that adds one to `ran`; it
// gives up when the deadline comes first. Stacks are 64 KiB for everybody.
#pragma once

#include "answer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

namespace bench {

inline constexpr std::size_t stack_bytes = 64 * 1024;

/// A deadline as a point in time, and as what was left until it when the program began.
struct deadline {
    std::chrono::steady_clock::time_point due;
    std::chrono::microseconds length;
};

class deadlines {
public:
    deadline draw() {
        constexpr std::uint32_t hour_us = 3'600'000'000;
        const std::chrono::microseconds length(std::uint64_t{hour_us} + random_() % hour_us);
        return {began_ + length, length};
    }
    std::vector<deadline> draw(std::size_t count) {
        std::vector<deadline> drawn(count);
        for (deadline& one : drawn)
            one = draw();
        return drawn;
    }

private:
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    std::mt19937 random_{20'240'229};
};

/// The main function of a contender. The process ends while the timers are armed.
template <class Library>
int timer_main(int argc, char** argv) {
    constexpr std::size_t batch = 1000;
    constexpr double least_ns = 5e7;
    const std::size_t count = count_argument(argc, argv, 1);
    Library::run([&] {
        deadlines source;
        Library::arm(source.draw(count));
        const std::vector<deadline> some = source.draw(batch);
        std::int64_t ran = 0;
        const auto wait_for_each = [&] {
            for (const deadline& one : some)
                Library::wait(ran, one);
        };
        wait_for_each();  // what is had from the system once
        std::int64_t waits = 0;
        double took = 0;
        for (const double before = cpu_ns(); took < least_ns; took = cpu_ns() - before) {
            wait_for_each();
            waits += batch;
        }
        if (ran != waits + static_cast<std::int64_t>(batch))
            give_up("a wait ended before what it waited for");
        print_answer({{"wait", took / static_cast<double>(waits)}});
        std::fflush(stdout);
        std::_Exit(0);
    });
    return 0;
}

}  // namespace bench
