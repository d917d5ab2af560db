// Only async-signal-safe calls from the handler on: it interrupts whatever hangs, wherever it is.
#include "tests/support/time_limit.hpp"

#include "runtime/core/dump.hpp"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace heddle::detail {
// The list of fibers. Weak, because the tests of arch/ and runtime/base/ link no runtime.
[[gnu::weak]] void dump_to(int fd, code_names::form names) noexcept;
}  // namespace heddle::detail

namespace heddle::test {
namespace {

// Of the running test case; written by the thread that runs it, read by the handler.
const char* volatile case_name = nullptr;
const char* volatile case_file = nullptr;
volatile unsigned case_line = 0;

void write_error(const char* text) {
    if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) {
        return;  // nowhere left to say it
    }
}

void out_of_time(int) {
    // Should the list itself hang, the second alarm finds the default action and ends the process.
    // A list may take many seconds under valgrind on a busy machine.
    ::alarm(30);
    if (case_name == nullptr) {
        write_error("\nheddle: out of time between test cases\n");
    } else {
        char line[16] = {};
        std::to_chars(line, line + sizeof line - 1, unsigned{case_line});
        write_error("\nheddle: out of time in test case \"");
        write_error(case_name);
        write_error("\", ");
        write_error(case_file);
        write_error(":");
        write_error(line);
        write_error("\n");
    }
    if (heddle::detail::dump_to != nullptr) {
        heddle::detail::dump_to(STDERR_FILENO);
    }
    ::signal(SIGABRT, SIG_DFL);
    std::abort();
}

void arm(long seconds) {
    itimerval timer = {};
    timer.it_value.tv_sec = seconds;
    ::setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

long limit_seconds() {
    static const long seconds = [] {
        const char* text = std::getenv("HEDDLE_TEST_SECONDS");
        if (text == nullptr) {
            return 30L;
        }
        char* end = nullptr;
        const long value = std::strtol(text, &end, 10);
        if (end == text || *end != '\0' || value < 0) {
            std::fprintf(stderr, "HEDDLE_TEST_SECONDS is not a number of seconds: %s\n", text);
            std::abort();
        }
        return value;
    }();
    return seconds;
}

void start_time_limit(const char* name, const char* file, unsigned line) {
    case_file = file;
    case_line = line;
    case_name = name;
    struct sigaction action = {};
    action.sa_handler = out_of_time;
    // SA_ONSTACK: the fiber that hangs may have little stack left.
    action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND | SA_NODEFER);
    ::sigaction(SIGALRM, &action, nullptr);
    arm(limit_seconds());
}

void stop_time_limit() {
    arm(0);
    case_name = nullptr;
}

}  // namespace heddle::test
