// fork() inside of a fiber: the child may end or become another program, and the parent goes on.
#include "helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/io.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;
using heddle::spawn;

namespace {

/// Waits for a child as a fiber can today, and says how it exited.
int exit_status_of(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
        heddle::this_fiber::sleep_for(100us);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a child that was forked in a fiber may exit, and the fibers of the parent go on") {
    in_fiber([] {
        int ends[2] = {};
        REQUIRE(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
        int ticks = 0;
        fiber<> ticker([&](std::stop_token token) {
            while (!token.stop_requested()) {
                ++ticks;
                std::error_code code;
                heddle::this_fiber::sleep_for(50us, code);
            }
        });
        fiber<> reader([&] { heddle::wait_readable(ends[0]); });
        let_others_run();
        std::vector<fiber<int>> parents;
        for (int i = 0; i < 20; ++i) {
            parents.push_back(spawn([i] {
                const pid_t child = ::fork();
                if (child == 0) {
                    ::_exit(i);
                }
                return exit_status_of(child);
            }));
        }
        for (int i = 0; i < 20; ++i) {
            CHECK(parents[static_cast<std::size_t>(i)].join() == i);
        }
        // What was waited for before still arrives.
        const int before = ticks;
        CHECK(::write(ends[1], "x", 1) == 1);
        reader.join();
        while (ticks == before) {
            heddle::this_fiber::sleep_for(50us);
        }
        // No zombie is left.
        CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
        ::close(ends[0]);
        ::close(ends[1]);
    });
}

TEST_CASE("a child that was forked in a fiber may become another program") {
    in_fiber([] {
        int ends[2] = {};
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            ::dup2(ends[1], STDOUT_FILENO);
            ::execlp("sh", "sh", "-c", "echo from the child; ls /proc/self/fd | wc -l; exit 3",
                     static_cast<char*>(nullptr));
            ::_exit(127);
        }
        ::close(ends[1]);
        std::string output;
        char bytes[256];
        for (;;) {
            const std::size_t count = heddle::read(ends[0], bytes);
            if (count == 0) {
                break;
            }
            output.append(bytes, count);
        }
        CHECK(exit_status_of(child) == 3);
        CHECK(contains(output, "from the child\n"));
        ::close(ends[0]);
    });
}

TEST_CASE("run works in a child that was forked from a plain thread, before and after a run") {
    const auto in_child = [] {
        const pid_t child = ::fork();
        if (child == 0) {
            const int value = heddle::run([] {
                heddle::this_fiber::sleep_for(10us);
                return spawn([] { return 42; }).join();
            });
            ::_exit(value);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    };
    CHECK(in_child() == 42);
    heddle::run([] { fiber([] {}).join(); });
    CHECK(in_child() == 42);
}
