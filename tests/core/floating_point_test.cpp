// Whose the rounding mode is: the thread's, or of the fiber that says so, or (with
// fp_environment=preserved, and with Boost.Context on x86) of every fiber.
#include "helpers.hpp"
#include "runtime/core/worker.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <cfenv>
#include <csignal>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;
using heddle::spawn;

namespace {

constexpr int modes[] = {
    FE_TONEAREST,
#ifdef FE_UPWARD
    FE_UPWARD,
#endif
#ifdef FE_DOWNWARD
    FE_DOWNWARD,
#endif
#ifdef FE_TOWARDZERO
    FE_TOWARDZERO,
#endif
};
constexpr int another_mode = modes[std::size(modes) - 1];

/// Gives the thread back the mode that it had.
struct restored_mode {
    int mode = std::fegetround();
    restored_mode() = default;
    restored_mode(const restored_mode&) = delete;
    restored_mode& operator=(const restored_mode&) = delete;
    ~restored_mode() { std::fesetround(mode); }
};

const heddle::fiber_options own = {.own_fp_environment = true};

// Waits in every way that a fiber alone can, and checks that its mode is `mode` all the time.
void keeps(int mode) {
    CHECK(std::fegetround() == mode);
    heddle::this_fiber::yield();
    CHECK(std::fegetround() == mode);
    heddle::this_fiber::sleep_for(10us);
    CHECK(std::fegetround() == mode);
    fiber([] { CHECK(std::fegetround() == FE_TONEAREST); }).join();
    CHECK(std::fegetround() == mode);
    fiber([] {
        let_others_run();
        CHECK(std::fegetround() == FE_TONEAREST);
    }).join();
    CHECK(std::fegetround() == mode);
    try {
        throw 1;
    } catch (int) {
        heddle::this_fiber::yield();
        CHECK(std::fegetround() == mode);
    }
    heddle::this_fiber::yield();
    CHECK(std::fegetround() == mode);
}

// Many fibers, each with a mode of its own, between others that have the thread's.
void everybody_keeps_his_own(const heddle::fiber_options& options) {
    std::vector<fiber<>> fibers;
    for (int i = 0; i < 40; ++i) {
        const int mode = modes[static_cast<std::size_t>(i) % std::size(modes)];
        fibers.push_back(spawn(options, [mode] {
            CHECK(std::fegetround() == FE_TONEAREST);
            std::fesetround(mode);
            for (int round = 0; round < 5; ++round) {
                keeps(mode);
            }
            // Ends with it.
        }));
        fibers.push_back(spawn([] { keeps(FE_TONEAREST); }));
    }
    for (fiber<>& one : fibers) {
        one.join();
        CHECK(std::fegetround() == FE_TONEAREST);
    }
}

}  // namespace

TEST_CASE("a fiber that owns its floating-point environment keeps it and leaks it to nobody") {
    const restored_mode afterwards;
    in_fiber([] { everybody_keeps_his_own(own); });
    CHECK(std::fegetround() == FE_TONEAREST);
}

TEST_CASE("a fiber that owns its environment begins with the thread's, whoever starts it") {
    const restored_mode afterwards;
    in_fiber([] {
        fiber outer(own, [] {
            std::fesetround(another_mode);
            const auto mode = [] { return std::fegetround(); };
            CHECK(fiber(own, mode).join() == FE_TONEAREST);
            CHECK(fiber(mode).join() == FE_TONEAREST);
            fiber in_turn(own, mode);
            heddle::this_fiber::yield();
            CHECK(in_turn.join() == FE_TONEAREST);
            CHECK(std::fegetround() == another_mode);
        });
        outer.join();
        CHECK(fiber([] { return std::fegetround(); }).join() == FE_TONEAREST);
    });
}

TEST_CASE("the environment that run() finds is the thread's") {
    const restored_mode afterwards;
    std::fesetround(another_mode);
    heddle::run([] {
        CHECK(std::fegetround() == another_mode);
        fiber owner(own, [] {
            CHECK(std::fegetround() == another_mode);
            std::fesetround(FE_TONEAREST);
            heddle::this_fiber::yield();
            CHECK(std::fegetround() == FE_TONEAREST);
        });
        let_others_run();
        CHECK(fiber([] { return std::fegetround(); }).join() == another_mode);
    });
    CHECK(std::fegetround() == another_mode);
}

TEST_CASE("a fiber that owns its environment and is cancelled or throws leaks nothing") {
    const restored_mode afterwards;
    in_fiber([] {
        fiber sleeper(own, [] {
            std::fesetround(another_mode);
            heddle::this_fiber::sleep_for(1h);
        });
        fiber thrower(own, [] {
            std::fesetround(another_mode);
            throw 1;
        });
        CHECK_THROWS_AS(thrower.join(), int);
        CHECK(std::fegetround() == FE_TONEAREST);
        let_others_run();
        sleeper.request_stop();
        CHECK(code_of([&] { return sleeper.join(), 0; }) == std::errc::operation_canceled);
        CHECK(std::fegetround() == FE_TONEAREST);
    });
}

TEST_CASE("where every fiber keeps its environment, nobody has to ask for it") {
    if constexpr (heddle::detail::switch_keeps_control_words) {
        const restored_mode afterwards;
        in_fiber([] { everybody_keeps_his_own({}); });
        CHECK(std::fegetround() == FE_TONEAREST);
    } else {
        in_fiber([] { everybody_keeps_his_own(own); });
    }
}

#ifdef HEDDLE_CHECKED
TEST_CASE("a checked build names the fiber that changes the environment without saying so") {
    for (const bool by_its_end : {false, true}) {
        const child_result child = run_child([=] {
            heddle::run([=] {
                fiber culprit({.name = "culprit"}, [=] {
                    std::fesetround(another_mode);
                    if (!by_its_end) {
                        heddle::this_fiber::yield();
                    }
                });
                culprit.join();
            });
        });
        CAPTURE(child.output);
        if constexpr (heddle::detail::switch_keeps_control_words) {
            CHECK(child.exit_status == 0);
        } else {
            CHECK(child.signal == SIGABRT);
            CHECK(contains(child.output, "own_fp_environment"));
            CHECK(contains(child.output, "\"culprit\""));
        }
    }
}
#endif
