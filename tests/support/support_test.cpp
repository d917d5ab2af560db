// The helpers themselves: a child process is held whatever it does.
#include "tests/support/child.hpp"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

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
    const child_result killed = run_child([] { ::raise(SIGKILL); });
    CHECK(killed.exit_status == -1);
    CHECK(killed.signal == SIGKILL);
}

TEST_CASE("an exception that leaves the body terminates the child and not the test") {
    const child_result child = run_child([] { throw std::runtime_error("thrown in the child"); });
    CHECK(child.signal == SIGABRT);
    CHECK(child.output.find("thrown in the child") != std::string::npos);
}

TEST_CASE("a child that hangs is told to list its fibers, and ended") {
    const child_result child = run_child(
        [] {
            for (;;) {
                ::pause();
            }
        },
        50ms);
    CHECK(child.timed_out);
    CHECK(child.signal == SIGABRT);
    CHECK(child.output.find("out of time in test case \"a child that hangs") != std::string::npos);
}

TEST_CASE("the test does not wait for a grandchild that holds the child's output") {
    int hold[2] = {};
    REQUIRE(::pipe(hold) == 0);
    const child_result child = run_child([&hold] {
        if (::fork() == 0) {
            // Waits until the test, which holds the other end, lets it go.
            ::close(hold[1]);
            char byte = 0;
            ::_exit(::read(hold[0], &byte, 1) == 0 ? 0 : 1);
        }
        std::fputs("gone", stdout);
    });
    ::close(hold[0]);
    ::close(hold[1]);
    CHECK(child.exit_status == 0);
    CHECK_FALSE(child.timed_out);
    CHECK(child.output == "gone");
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

TEST_CASE("a child leaves no core behind") {
    const child_result child = run_child([] {
        rlimit limit = {};
        ::getrlimit(RLIMIT_CORE, &limit);
        std::printf("%ju", static_cast<std::uintmax_t>(limit.rlim_cur));
    });
    CHECK(child.output == "0");
}

TEST_CASE("a seed is repeated when HEDDLE_SEED asks for it, and fresh otherwise") {
    const char* before = std::getenv("HEDDLE_SEED");
    const std::string kept = before == nullptr ? "" : before;
    ::setenv("HEDDLE_SEED", "0x2a", 1);
    CHECK(heddle::test::seed() == 42);
    ::unsetenv("HEDDLE_SEED");
    CHECK(heddle::test::seed() != heddle::test::seed());
    if (before != nullptr) {
        ::setenv("HEDDLE_SEED", kept.c_str(), 1);
    }
}
