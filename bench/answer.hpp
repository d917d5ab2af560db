// How a program that is no Google Benchmark answers: one line of JSON with a number for each name
// that questions.py lists as a metric. A name that is missing does not apply to the contender.
#pragma once

#include <sys/resource.h>
#include <sys/time.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace bench {

/// The exit status that tells bench/run that this machine does not let the program answer.
inline constexpr int not_allowed = 3;

inline void print_answer(const std::vector<std::pair<const char*, double>>& figures) {
    const char* separator = "{";
    for (const auto& [name, value] : figures) {
        std::printf("%s\"%s\": %.6g", separator, name, value);
        separator = ", ";
    }
    std::puts("}");
}

/// Ends the program: it has no answer, and says why.
[[noreturn]] inline void give_up(const char* why) {
    std::fprintf(stderr, "%s\n", why);
    std::exit(1);
}

/// Nanoseconds of CPU that all threads of this process have taken, in the kernel too.
inline double cpu_ns() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto us = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    };
    return 1e3 * (us(used.ru_utime) + us(used.ru_stime));
}

/// The number in an argument of the command line, at least 1.
inline std::size_t count_argument(int argc, char** argv, int position) {
    const long count = position < argc ? std::atol(argv[position]) : 0;
    if (count < 1)
        give_up("an argument is missing, or is not a number from 1 on");
    return static_cast<std::size_t>(count);
}

}  // namespace bench
