// child.hpp where there is no fork: the child is this program once more. It is told to run the
// same test case up to the same call of run_child, and there it calls the body and exits.
#include "tests/support/child.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <io.h>
#include <windows.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>

namespace heddle::test {
namespace {

using std::chrono::milliseconds;

// As on other systems: a child that prints for ever is read on, so that it is not blocked.
constexpr std::size_t output_bytes_max = 1 << 20;

// How often the pipe is emptied while the child runs: it cannot be waited for together with it.
constexpr DWORD look_interval_ms = 20;

// In the child: the number, counted from 1 in each test case, of the call whose body it runs.
constexpr const char* call_variable = "HEDDLE_TEST_CHILD";

// What abort() exits with.
constexpr DWORD abort_status = 3;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(static_cast<int>(::GetLastError()), std::system_category(), what);
}

// Closed at the end of the scope, or before.
class handle {
public:
    handle() = default;
    explicit handle(HANDLE given) : value_(given) {}
    handle(const handle&) = delete;
    handle& operator=(const handle&) = delete;
    ~handle() { close(); }
    void close() {
        if (value_ != nullptr) {
            ::CloseHandle(std::exchange(value_, nullptr));
        }
    }
    HANDLE get() const { return value_; }
    HANDLE* into() { return &value_; }

private:
    HANDLE value_ = nullptr;
};

// The number of this call of run_child in the running test case.
int count_call() {
    static const void* test_case = nullptr;
    static int calls = 0;
    const void* const running = doctest::getContextOptions()->currentTest;
    calls = running == test_case ? calls + 1 : 1;
    test_case = running;
    return calls;
}

[[noreturn]] void run_body(const std::function<void()>& body) noexcept {
    // Line ends as they were written.
    ::_setmode(1, _O_BINARY);
    ::_setmode(2, _O_BINARY);
    body();
    std::cout.flush();
    std::fflush(nullptr);
    ::_exit(0);
}

// This program, for the running test case alone. What means something to doctest's filter or to
// the command line becomes a wildcard.
std::string command_line() {
    std::string name = doctest::getContextOptions()->currentTest->m_name;
    std::replace_if(
        name.begin(), name.end(),
        [](unsigned char letter) { return letter != ' ' && std::isalnum(letter) == 0; }, '?');
    char program[MAX_PATH] = {};
    if (::GetModuleFileNameA(nullptr, program, MAX_PATH) == 0) {
        fail("GetModuleFileName");
    }
    return '"' + std::string(program) + "\" --no-intro --no-version \"--test-case=" + name + '"';
}

// The child must neither write the test log nor be a parent itself.
HANDLE start(int call, HANDLE output) {
    const char* const log = std::getenv("HEDDLE_TEST_LOG");
    ::SetEnvironmentVariableA("HEDDLE_TEST_LOG", nullptr);
    ::SetEnvironmentVariableA(call_variable, std::to_string(call).c_str());
    STARTUPINFOA startup = {};
    startup.cb = sizeof startup;
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdOutput = startup.hStdError = output;
    PROCESS_INFORMATION started = {};
    const BOOL done = ::CreateProcessA(nullptr, command_line().data(), nullptr, nullptr, TRUE, 0,
                                       nullptr, nullptr, &startup, &started);
    ::SetEnvironmentVariableA(call_variable, nullptr);
    ::SetEnvironmentVariableA("HEDDLE_TEST_LOG", log);
    if (done == 0) {
        fail("CreateProcess");
    }
    ::CloseHandle(started.hThread);
    return started.hProcess;
}

void read_what_is_there(HANDLE input, child_result& result) {
    char bytes[4096];
    DWORD there = 0;
    while (::PeekNamedPipe(input, nullptr, 0, nullptr, &there, nullptr) != 0 && there > 0) {
        DWORD count = 0;
        if (::ReadFile(input, bytes, sizeof bytes, &count, nullptr) == 0) {
            return;
        }
        const std::size_t room = output_bytes_max - result.output.size();
        result.output.append(bytes, std::min(room, std::size_t{count}));
        result.truncated |= count > room;
    }
}

void set_end(DWORD status, child_result& result) {
    switch (status) {
    case abort_status:
        result.signal = SIGABRT;
        break;
    case EXCEPTION_ILLEGAL_INSTRUCTION:
        result.signal = SIGILL;
        break;
    case EXCEPTION_ACCESS_VIOLATION:
    case EXCEPTION_STACK_OVERFLOW:
        result.signal = SIGSEGV;
        break;
    default:
        result.exit_status = static_cast<int>(status);
    }
}

}  // namespace

child_result run_child(const std::function<void()>& body, milliseconds limit) {
    const int call = count_call();
    if (const char* const wanted = std::getenv(call_variable); wanted != nullptr) {
        if (call == std::atoi(wanted)) {
            run_body(body);
        }
        return {};
    }
    handle input;
    handle output;
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, nullptr, TRUE};
    if (::CreatePipe(input.into(), output.into(), &inherited, 0) == 0) {
        fail("CreatePipe");
    }
    ::SetHandleInformation(input.get(), HANDLE_FLAG_INHERIT, 0);
    const handle child(start(call, output.get()));
    output.close();
    const auto until = std::chrono::steady_clock::now() + limit;
    child_result result;
    while (::WaitForSingleObject(child.get(), look_interval_ms) == WAIT_TIMEOUT) {
        read_what_is_there(input.get(), result);
        if (!result.timed_out && std::chrono::steady_clock::now() >= until) {
            result.timed_out = true;
            ::TerminateProcess(child.get(), abort_status);
        }
    }
    read_what_is_there(input.get(), result);
    DWORD status = 0;
    ::GetExitCodeProcess(child.get(), &status);
    set_end(status, result);
    return result;
}

}  // namespace heddle::test
