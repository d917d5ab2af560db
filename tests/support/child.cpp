#include "tests/support/child.hpp"

#include "tests/support/time_limit.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <system_error>

namespace heddle::test {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Enough for a list of a thousand fibers or a sanitizer's report; a child that prints for ever is
// read on, so that it is not blocked, and forgotten.
constexpr std::size_t output_bytes_max = 1 << 20;

// How often the end of a child is looked for while somebody else holds its output open.
constexpr milliseconds look_interval{20};

// What a child that ignored SIGALRM, or whose list hangs, is given before SIGKILL. A list may take
// many seconds under valgrind on a busy machine.
constexpr milliseconds grace{30'000};

/// Holds SIGALRM back while it lives: a child that gets it too early would say so elsewhere.
class alarm_held_back {
public:
    alarm_held_back() {
        sigset_t alarm;
        ::sigemptyset(&alarm);
        ::sigaddset(&alarm, SIGALRM);
        ::pthread_sigmask(SIG_BLOCK, &alarm, &before_);
    }
    alarm_held_back(const alarm_held_back&) = delete;
    alarm_held_back& operator=(const alarm_held_back&) = delete;
    ~alarm_held_back() { let_through(); }

    void let_through() const { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_ = {};
};

[[noreturn]] void run_body(const std::function<void()>& body, int output,
                           const alarm_held_back& alarm) noexcept {
    const rlimit none = {0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::close(output);
    alarm.let_through();
    body();
    std::cout.flush();
    std::fflush(nullptr);
    ::_exit(0);
}

// Reads once, waiting for `patience` at most; false at the end of the output.
bool read_some(int input, milliseconds patience, child_result& result) {
    pollfd ready = {input, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(patience.count())) <= 0) {
        return true;
    }
    char bytes[4096];
    const ssize_t count = ::read(input, bytes, sizeof bytes);
    if (count <= 0) {
        return count < 0 && errno == EINTR;
    }
    const std::size_t room = output_bytes_max - result.output.size();
    result.output.append(bytes, std::min(room, static_cast<std::size_t>(count)));
    result.truncated |= static_cast<std::size_t>(count) > room;
    return true;
}

// What is left in the pipe of a child that has ended.
void drain(int input, child_result& result) {
    ::fcntl(input, F_SETFL, O_NONBLOCK);
    pollfd ready = {input, POLLIN, 0};
    while (::poll(&ready, 1, 0) > 0 && (ready.revents & POLLIN) != 0 &&
           read_some(input, milliseconds(0), result)) {
    }
}

// Where test cases are given more time than usual, or any, so are their children.
milliseconds scaled(milliseconds limit) {
    constexpr long usual_seconds = 30;
    const long seconds = limit_seconds();
    return seconds == 0 ? std::chrono::hours(1) : limit * std::max(seconds / usual_seconds, 1L);
}

void collect(pid_t child, int input, milliseconds limit, child_result& result) {
    clock::time_point until = clock::now() + limit;
    int status = 0;
    for (bool open = true;;) {
        if (open) {
            open = read_some(input, look_interval, result);
        } else {
            ::poll(nullptr, 0, 1);
        }
        if (::waitpid(child, &status, WNOHANG) == child) {
            break;
        }
        if (clock::now() >= until) {
            ::kill(child, result.timed_out ? SIGKILL : SIGALRM);
            result.timed_out = true;
            until = clock::now() + grace;
        }
    }
    if (WIFEXITED(status)) {
        result.exit_status = WEXITSTATUS(status);
    } else {
        result.signal = WTERMSIG(status);
    }
    drain(input, result);
}

}  // namespace

child_result run_child(const std::function<void()>& body, milliseconds limit) {
    int ends[2] = {};
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        throw std::system_error(errno, std::generic_category(), "pipe2");
    }
    std::cout.flush();
    std::fflush(nullptr);  // or the child would print it a second time
    pid_t child = -1;
    {
        const alarm_held_back alarm;
        child = ::fork();
        if (child == 0) {
            ::close(ends[0]);
            run_body(body, ends[1], alarm);
        }
    }
    if (child < 0) {
        const int error = errno;
        ::close(ends[0]);
        ::close(ends[1]);
        throw std::system_error(error, std::generic_category(), "fork");
    }
    ::close(ends[1]);
    child_result result;
    collect(child, ends[0], scaled(limit), result);
    ::close(ends[0]);
    return result;
}

}  // namespace heddle::test
