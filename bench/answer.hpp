// How a program that is no Google Benchmark answers: one line of JSON with a number for each name
// that questions.py lists as a metric. A name that is missing does not apply to the contender.
#pragma once

#include <time.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

/// Nanoseconds of CPU that all threads of this process have taken, in the kernel too. getrusage
/// would cut them to microseconds, of which a short round takes no more than a few dozen.
inline double cpu_ns() {
    timespec used{};
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
        give_up("the kernel does not say how much CPU the process has taken");
    return static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec);
}

/// The number in an argument of the command line, at least 1.
inline std::size_t count_argument(int argc, char** argv, int position) {
    const long count = position < argc ? std::atol(argv[position]) : 0;
    if (count < 1)
        give_up("an argument is missing, or is not a number from 1 on");
    return static_cast<std::size_t>(count);
}

/// The figure in a line `name: 123 kB` of a file in /proc, in bytes.
inline double bytes_in(const char* path, const char* name) {
    const std::size_t length = std::strlen(name);
    char line[256];
    std::FILE* const file = std::fopen(path, "re");
    while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
        if (std::strncmp(line, name, length) == 0) {
            std::fclose(file);
            return 1024 * std::atof(line + length);
        }
    }
    give_up("the kernel does not say how much memory there is");
}

}  // namespace bench
