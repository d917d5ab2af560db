// Runs the echo program again and again, each time with one call that fails, and looks at how that
// ended. The runs happen in child processes: one that dies is a finding like any other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace heddle::test {

enum class fault_mode {
    once,             ///< the n-th call fails
    for_good,         ///< so do all that follow
    interrupted,      ///< signals come before the n-th call does anything, three in a row
    cut_short,        ///< the n-th call moves one byte
    cut_interrupted,  ///< a signal comes when the n-th call has moved one byte, and one after it
};

/// What goes wrong in one run.
struct fault {
    std::size_t kind;  ///< of call_kinds(); its size stands for operator new
    fault_mode mode;
    int error;  ///< 0 where the mode says all
    int nth;    ///< from 1
};

std::string describe(const fault& one);

/// How often each kind is called in a run in which nothing fails, operator new last. `cold`: in
/// the first run of a process.
std::vector<int> count_calls(bool cold);

/// All faults for so many calls.
std::vector<fault> all_faults(const std::vector<int>& calls);

struct sweep_result {
    std::size_t runs = 0;
    std::size_t fired = 0;     ///< in which the n-th call was made
    std::size_t reported = 0;  ///< in which some caller heard of it
    std::size_t absorbed = 0;  ///< in which the program did what it was to do
    std::vector<std::string> problems;
};

/// Runs the faults in one process, after it has warmed up; in another one when one dies.
sweep_result sweep(const std::vector<fault>& faults);

/// Runs each in a process that has not run heddle before.
sweep_result sweep_cold(const std::vector<fault>& faults);

}  // namespace heddle::test
