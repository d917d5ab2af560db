// time_limit.hpp where there is no SIGALRM: a timer's own thread ends the process.
#include "tests/support/time_limit.hpp"

#include <windows.h>

#include <cstdio>
#include <cstdlib>

namespace heddle::test {
namespace {

// Of the running test case; written while the timer is not set, read by its thread.
struct {
    const char* name = nullptr;
    const char* file = nullptr;
    unsigned line = 0;
    HANDLE timer = nullptr;
} running;

void CALLBACK out_of_time(void*, BOOLEAN) {
    std::fprintf(stderr, "\nheddle: out of time in test case \"%s\", %s:%u\n", running.name,
                 running.file, running.line);
    std::fflush(stderr);
    constexpr UINT as_abort_does = 3;
    ::TerminateProcess(::GetCurrentProcess(), as_abort_does);
}

}  // namespace

void start_time_limit(const char* name, const char* file, unsigned line) {
    const char* const text = std::getenv("HEDDLE_TEST_SECONDS");
    const long seconds = text == nullptr ? 30 : std::strtol(text, nullptr, 0);
    running = {name, file, line, nullptr};
    if (seconds > 0) {
        ::CreateTimerQueueTimer(&running.timer, nullptr, out_of_time, nullptr,
                                static_cast<DWORD>(seconds) * 1000, 0, WT_EXECUTEONLYONCE);
    }
}

void stop_time_limit() {
    if (running.timer != nullptr) {
        ::DeleteTimerQueueTimer(nullptr, running.timer, INVALID_HANDLE_VALUE);
        running.timer = nullptr;
    }
}

}  // namespace heddle::test
