// The helpers themselves: a child process is held whatever it does. support_posix_test.cpp has what
// only some systems can show.
#include "tests/support/child.hpp"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

using heddle::test::child_result;
using heddle::test::run_child;
using namespace std::chrono_literals;

TEST_CASE("a child that returns exits with success and its output is kept in order") {
    const child_result child = run_child([] {
        std::cout << "one ";
        std::cout.flush();
        std::fputs("two ", stderr);
        std::fputs("three", stdout);
    });
    CHECK(child.exit_status == 0);
    CHECK(child.signal == 0);
    CHECK_FALSE(child.timed_out);
    CHECK_FALSE(child.truncated);
    CHECK(child.output == "one two three");
}

TEST_CASE("a child's exit status and its signal are told apart") {
    CHECK(run_child([] { ::_exit(7); }).exit_status == 7);
    const child_result aborted = run_child([] { std::abort(); });
    CHECK(aborted.exit_status == -1);
    CHECK(aborted.signal == SIGABRT);
}

TEST_CASE("each child of a test case runs its own body, which sees what the case did before") {
    std::string before = "first";
    const child_result first = run_child([&] { std::cout << before; });
    before = "second";
    const child_result second = run_child([&] { std::cout << before; });
    CHECK(first.output == "first");
    CHECK(second.output == "second");
}

TEST_CASE("a child that does not end is ended") {
    const child_result child = run_child(
        [] {
            // In a system call: TSan delivers signals there only.
            std::this_thread::sleep_for(std::chrono::hours(1));
        },
        50ms);
    CHECK(child.timed_out);
    CHECK(child.signal == SIGABRT);
}

TEST_CASE("an exception that leaves the body terminates the child and not the test") {
    const child_result child = run_child([] { throw std::runtime_error("thrown in the child"); });
    CHECK(child.signal == SIGABRT);
    CHECK(child.output.find("thrown in the child") != std::string::npos);
}

TEST_CASE("a child that prints without end is not blocked, and a bounded part is kept") {
    const child_result child = run_child([] {
        const std::string line(1023, 'x');
        for (int count = 0; count < 2048; ++count) {
            std::puts(line.c_str());
        }
    });
    CHECK(child.exit_status == 0);
    CHECK(child.truncated);
    CHECK(child.output.size() == std::size_t{1} << 20);
}

namespace {

// Without a value, the variable is taken away.
void set_seed(const char* value) {
#ifdef _WIN32
    ::_putenv_s("HEDDLE_SEED", value == nullptr ? "" : value);
#else
    value == nullptr ? ::unsetenv("HEDDLE_SEED") : ::setenv("HEDDLE_SEED", value, 1);
#endif
}

}  // namespace

TEST_CASE("a seed is repeated when HEDDLE_SEED asks for it, and fresh otherwise") {
    const char* before = std::getenv("HEDDLE_SEED");
    const std::string kept = before == nullptr ? "" : before;
    set_seed("0x2a");
    CHECK(heddle::test::seed() == 42);
    set_seed(nullptr);
    CHECK(heddle::test::seed() != heddle::test::seed());
    if (before != nullptr) {
        set_seed(kept.c_str());
    }
}
