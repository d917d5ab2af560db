// Runs a piece of a test in a child process, for everything that must end one: std::terminate, a
// failed HEDDLE_ASSERT, a stack overflow.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace heddle::test {

/// How a child ended and what it printed.
struct child_result {
    int exit_status = -1;    ///< -1 when a signal ended it
    int signal = 0;          ///< 0 when it exited
    bool timed_out = false;  ///< it ran into the limit and was ended
    bool truncated = false;  ///< it printed more than is kept
    std::string output;      ///< standard output and standard error, in the order written
};

/// Forks, calls `body` in the child, and waits for its end. The child exits with status 0 when the
/// body returns; an exception that leaves the body terminates it, as in a thread. It leaves no
/// core behind. doctest's assertions do not work in it: print, and check the output.
///
/// After `limit` the child is sent SIGALRM, which makes it list its fibers and abort, and a little
/// later SIGKILL. The limit is longer where those of test cases are (time_limit.hpp). Call it from
/// a plain stack, before the test starts threads of its own.
child_result run_child(const std::function<void()>& body,
                       std::chrono::milliseconds limit = std::chrono::seconds(20));

}  // namespace heddle::test
