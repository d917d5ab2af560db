// Exceptions that nobody takes: they end the process, with the fiber named and, where it had no
// handle, with the throwing frames still on the stack; or they go to the handler for them.
#include "helpers.hpp"
#include "tests/arch/backtrace.h"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

using namespace heddle::test;
using heddle::fiber;
using heddle::spawn;

namespace {

/// How a child ends in which `body` is the main function.
child_result end_of(void (*body)(), const heddle::options& options = {}) {
    return run_child([=] {
        heddle::run(body, options);
        std::puts("run returned");
    });
}

void check_terminated(const child_result& child, const std::string& name, const std::string& what) {
    CAPTURE(child.output);
    CHECK(child.signal == SIGABRT);
    CHECK(contains(child.output, "heddle: "));
    CHECK(contains(child.output, "\"" + name + "\""));
    CHECK(contains(child.output, what));
    CHECK_FALSE(contains(child.output, "run returned"));
}

[[noreturn]] void fail() {
    throw std::runtime_error("nobody takes this");
}

}  // namespace

TEST_CASE("a dropped handle whose fiber ended by an exception terminates and names the fiber") {
    check_terminated(end_of([] { const fiber<> dropped({.name = "dropped"}, fail); }), "dropped",
                     "nobody takes this");
    check_terminated(end_of([] {
                         const fiber<> ended({.name = "ended before"}, fail);
                         let_others_run();
                     }),
                     "ended before", "nobody takes this");
    check_terminated(end_of([] {
                         fiber<> handle({.name = "assigned over"}, fail);
                         handle = fiber<>();
                     }),
                     "assigned over", "nobody takes this");
    check_terminated(
        end_of([] { const fiber<> number({.name = "no std::exception"}, [] { throw 5; }); }),
        "no std::exception", "not a std::exception");
    check_terminated(run_child([] {
                         fiber<> outlives;
                         heddle::run([&] { outlives = spawn({.name = "outlives run"}, fail); });
                         outlives = fiber<>();
                     }),
                     "outlives run", "nobody takes this");
}

TEST_CASE("a dropped handle whose fiber ended by cancellation is silent") {
    const child_result child = end_of([] {
        const fiber<> sleeps(sleep_for_ever);
        const fiber<> throws([] { throw heddle::cancelled(); });
        fiber<> detached([] { throw heddle::cancelled(); });
        let_others_run();
        detached.detach();
        heddle::spawn_detached([] { throw heddle::cancelled(); });
        spawn(sleep_for_ever).detach();
    });
    CHECK(child.exit_status == 0);
    CHECK(child.output == "run returned\n");
}

namespace {

int destroyed = 0;

struct counted {
    ~counted() { ++destroyed; }
};

[[gnu::noinline]] void throw_uncaught() {
    const counted guard;
    throw std::runtime_error("uncaught");
}

[[gnu::noinline]] void frame_of_the_thrower() {
    const counted guard;
    throw_uncaught();
    asm volatile("");  // no tail call
}

// Says what a core file would show.
[[noreturn]] void describe_the_end() {
    const trace frames = backtrace();
    std::printf("thrower %d its caller %d destroyed %d\n",
                frames.passes(reinterpret_cast<void*>(throw_uncaught)),
                frames.passes(reinterpret_cast<void*>(frame_of_the_thrower)), destroyed);
    std::fflush(stdout);
    ::_exit(3);
}

}  // namespace

TEST_CASE("an exception of a detached fiber terminates with the throwing frames on the stack") {
    for (const bool others_handle_exceptions : {false, true}) {
        const child_result child = run_child([=] {
            destroyed = 0;
            std::set_terminate(describe_the_end);
            heddle::run([=] {
                if (others_handle_exceptions) {
                    heddle::spawn_detached([] {
                        try {
                            throw 1;
                        } catch (int) {
                            let_others_run();
                        }
                    });
                }
                heddle::spawn_detached({.name = "uncaught"}, frame_of_the_thrower);
                let_others_run();
            });
        });
        CAPTURE(child.output);
#ifdef __ARM_EABI__
        // The walk ends in std::terminate, fiber or not: see tests/arch/exception_test.cpp.
        CHECK(contains(child.output, "thrower 0 its caller 0 destroyed 0"));
#else
        CHECK(contains(child.output, "thrower 1 its caller 1 destroyed 0"));
#endif
        CHECK(contains(child.output, "heddle: in fiber "));
        CHECK(contains(child.output, "\"uncaught\""));
        CHECK(child.exit_status == 3);
    }
}

TEST_CASE("an exception of a fiber that was detached later terminates and names the fiber") {
    check_terminated(end_of([] {
                         fiber<> handle({.name = "let go"}, fail);
                         handle.detach();
                         let_others_run();
                     }),
                     "let go", "nobody takes this");
    check_terminated(end_of([] {
                         fiber<> handle({.name = "let go late"}, fail);
                         let_others_run();
                         handle.detach();
                     }),
                     "let go late", "nobody takes this");
}

namespace {

struct reported {
    heddle::fiber_id id;
    std::string what;
};
std::vector<reported> reports;

void report(heddle::fiber_id id, std::exception_ptr exception) {
    let_others_run();  // as logging would
    reports.push_back({id, message_of<std::exception>([&] { std::rethrow_exception(exception); })});
}

}  // namespace

TEST_CASE("exceptions of detached fibers go to the handler for them, and the others go on") {
    reports.clear();
    std::vector<heddle::fiber_id> thrown_in;
    heddle::run(
        [&] {
            const auto throwing = [&] {
                thrown_in.push_back(heddle::this_fiber::get_id());
                throw std::runtime_error(std::to_string(heddle::this_fiber::get_id().number()));
            };
            heddle::spawn_detached(throwing);
            spawn(throwing).detach();
            fiber detached_later(throwing);
            for (int i = 0; i < 5; ++i) {
                let_others_run();
            }
            CHECK(thrown_in.size() == 3);
            CHECK(reports.size() == 2);
            detached_later.detach();
            CHECK(reports.size() == 3);
            heddle::spawn_detached([] { throw heddle::cancelled(); });
            heddle::spawn_detached(sleep_for_ever);
            // Not these: somebody takes them.
            CHECK_THROWS_AS(fiber(fail).join(), std::runtime_error);
            // At the end of run() as well.
            heddle::spawn_detached(throwing);
        },
        {.on_detached_exception = report});
    REQUIRE(reports.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(reports[i].what == std::to_string(reports[i].id.number()));
        CHECK(std::count(thrown_in.begin(), thrown_in.end(), reports[i].id) == 1);
    }
}

TEST_CASE("a dropped handle is no detached fiber: its exception terminates despite a handler") {
    check_terminated(end_of([] { const fiber<> dropped({.name = "dropped"}, fail); },
                            {.on_detached_exception = report}),
                     "dropped", "nobody takes this");
}

TEST_CASE("an exception that leaves the handler for detached fibers terminates") {
    const child_result child =
        end_of([] { heddle::spawn_detached({.name = "culprit"}, fail); },
               {.on_detached_exception = [](heddle::fiber_id, std::exception_ptr) { throw 1; }});
    check_terminated(child, "culprit", "terminat");  // libc++ says it in other words
}

TEST_CASE("terminate names the fiber that it is called in") {
    check_terminated(end_of([] {
                         heddle::spawn_detached({.name = "throws in noexcept"},
                                                []() noexcept { fail(); });
                         let_others_run();
                     }),
                     "throws in noexcept", "nobody takes this");
    check_terminated(end_of([] {
                         fiber<> calls({.name = "calls terminate"}, [] { std::terminate(); });
                         calls.join();
                     }),
                     "calls terminate", "heddle: in fiber");
}

TEST_CASE("the terminate handler is chained during run() and put back afterwards") {
    const std::terminate_handler before = std::get_terminate();
    heddle::run([&] {
        CHECK((std::get_terminate() != before));
        CHECK_THROWS_AS(heddle::run([] {}), std::logic_error);
    });
    CHECK((std::get_terminate() == before));
    // One that the user sets meanwhile stays.
    heddle::run([] { std::set_terminate(describe_the_end); });
    CHECK((std::get_terminate() == describe_the_end));
    std::set_terminate(before);
}

TEST_CASE("a fiber without a name is not called by that of another before it") {
    const auto child = run_child([] {
        heddle::run([] {
            fiber({.name = "another"}, [] {}).join();
            fiber([] {
                std::printf("%s", std::to_string(heddle::this_fiber::get_id().number()).c_str());
                std::fflush(stdout);
                std::terminate();
            }).join();
        });
    });
    CAPTURE(child.output);
    const std::string number = child.output.substr(0, child.output.find("heddle"));
    CHECK(contains(child.output, "heddle: in fiber " + number + ", spawned at "));
    CHECK(!contains(child.output, "another"));
}
