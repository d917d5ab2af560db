// What of the helpers only a system with fork and signals can show.
#include "tests/support/child.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>

using heddle::test::child_result;
using heddle::test::run_child;
using namespace std::chrono_literals;

TEST_CASE("a child that a signal ends is told from one that exits") {
    const child_result killed = run_child([] { ::raise(SIGKILL); });
    CHECK(killed.exit_status == -1);
    CHECK(killed.signal == SIGKILL);
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

TEST_CASE("a child leaves no core behind") {
    const child_result child = run_child([] {
        rlimit limit = {};
        ::getrlimit(RLIMIT_CORE, &limit);
        std::printf("%ju", static_cast<std::uintmax_t>(limit.rlim_cur));
    });
    CHECK(child.output == "0");
}
