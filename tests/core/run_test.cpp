// run(): what it takes and gives back, where it may be called, and what it refuses.
#include "helpers.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <vector>

using namespace heddle::test;

namespace {

int seven() {
    return 7;
}

}  // namespace

TEST_CASE("run returns what its main function returns") {
    CHECK(heddle::run([] { return 42; }) == 42);
    CHECK(heddle::run(seven) == 7);
    CHECK(heddle::run([] { return std::string(1000, 'x'); }).size() == 1000);
    CHECK(*heddle::run([] { return std::make_unique<int>(5); }) == 5);
    bool ran = false;
    heddle::run([&] { ran = true; });
    CHECK(ran);
    static_assert(std::is_void_v<decltype(heddle::run([] {}))>);
}

TEST_CASE("a reference that the main function returns is returned as a copy") {
    std::vector<int> values = {1, 2, 3};
    auto copy = heddle::run([&]() -> std::vector<int>& { return values; });
    static_assert(std::is_same_v<decltype(copy), std::vector<int>>);
    values.clear();
    CHECK(copy.size() == 3);
}

TEST_CASE("run rethrows what leaves its main function") {
    CHECK(message_of<std::runtime_error>(
              [] { heddle::run([] { throw std::runtime_error("from main"); }); }) == "from main");
    CHECK_THROWS_AS(heddle::run([]() -> int { throw 5; }), int);
    // Nothing is left of it.
    CHECK(std::current_exception() == nullptr);
    CHECK(heddle::run([] { return 1; }) == 1);
}

TEST_CASE("the main function may be a move-only object with state") {
    struct counter {
        std::unique_ptr<int> count = std::make_unique<int>(0);
        int operator()() { return ++*count; }
    };
    CHECK(heddle::run(counter()) == 1);
}

TEST_CASE("a main function that takes a stop token gets one that nobody has stopped") {
    const bool stopped = heddle::run([](std::stop_token token) {
        CHECK(token.stop_possible());
        return token.stop_requested();
    });
    CHECK_FALSE(stopped);
}

TEST_CASE("the main function runs in a fiber of its own") {
    CHECK(heddle::this_fiber::get_id() == heddle::fiber_id());
    heddle::run([] { CHECK(heddle::this_fiber::get_id() != heddle::fiber_id()); });
    CHECK(heddle::this_fiber::get_id() == heddle::fiber_id());
}

TEST_CASE("run can be called again and again") {
    std::set<std::uint64_t> ids;
    for (int round = 0; round < 100; ++round) {
        const std::uint64_t id = heddle::run([round] {
            heddle::fiber child([round] { return round; });
            const std::uint64_t number = child.get_id().number();
            CHECK(child.join() == round);
            CHECK(heddle::get_statistics().spawned == 2);
            return number;
        });
        CHECK(ids.insert(id).second);
    }
}

TEST_CASE("two threads run fibers of their own at the same time") {
    const int rounds = scaled(20'000);
    std::uint64_t sums[2] = {};
    std::set<std::uint64_t> ids[2];
    {
        const auto work = [&](std::size_t which) {
            heddle::run([&, which] {
                for (int i = 0; i < rounds; ++i) {
                    heddle::fiber child([i] {
                        heddle::this_fiber::yield();
                        return i;
                    });
                    if (i % 100 == 0) {
                        ids[which].insert(child.get_id().number());
                    }
                    sums[which] += static_cast<std::uint64_t>(child.join());
                }
            });
        };
        const std::jthread first(work, 0);
        const std::jthread second(work, 1);
    }
    const auto expected = static_cast<std::uint64_t>(rounds * (rounds - 1) / 2);
    CHECK(sums[0] == expected);
    CHECK(sums[1] == expected);
    for (const std::uint64_t id : ids[0]) {
        CHECK_FALSE(ids[1].contains(id));
    }
}

TEST_CASE("run inside a fiber is a logic_error") {
    heddle::run([] {
        CHECK_THROWS_AS(heddle::run([] {}), std::logic_error);
        heddle::fiber child([] { CHECK_THROWS_AS(heddle::run([] {}), std::logic_error); });
        child.join();
        CHECK(heddle::fiber([] { return 3; }).join() == 3);
    });
}

TEST_CASE("what needs a fiber is a logic_error outside of one") {
    CHECK_THROWS_AS(static_cast<void>(heddle::spawn([] {})), std::logic_error);
    CHECK_THROWS_AS(static_cast<void>(heddle::fiber([] {})), std::logic_error);
    CHECK_THROWS_AS(static_cast<void>(heddle::fiber({.name = "named"}, [] {})), std::logic_error);
    CHECK_THROWS_AS(heddle::spawn_detached([] {}), std::logic_error);
    CHECK_THROWS_AS(heddle::get_statistics(), std::logic_error);
    CHECK_THROWS_AS(heddle::trim(), std::logic_error);
}

TEST_CASE("what works everywhere does so outside of a fiber") {
    heddle::this_fiber::yield();
    heddle::this_fiber::check_cancelled();
    CHECK_FALSE(heddle::this_fiber::get_stop_token().stop_possible());
    const auto before = std::chrono::steady_clock::now();
    heddle::this_fiber::sleep_for(std::chrono::microseconds(300));
    CHECK(std::chrono::steady_clock::now() - before >= std::chrono::microseconds(300));
    heddle::this_fiber::sleep_for(-std::chrono::hours(1));
}

TEST_CASE("run inside a catch block keeps the exception that is handled there") {
    try {
        throw std::runtime_error("outside");
    } catch (const std::runtime_error&) {
        heddle::run([] {
            CHECK(std::current_exception() == nullptr);
            CHECK_THROWS_AS(throw std::logic_error("inside"), std::logic_error);
            heddle::this_fiber::yield();
            CHECK(std::current_exception() == nullptr);
        });
        CHECK(message_of<std::runtime_error>([] { throw; }) == "outside");
    }
    CHECK(std::current_exception() == nullptr);
}

TEST_CASE("run in a destructor during unwinding has fibers that can be cancelled") {
    struct runs_in_destructor {
        bool& cancelled;
        ~runs_in_destructor() {
            CHECK(std::uncaught_exceptions() == 1);
            heddle::run([this] {
                CHECK(std::uncaught_exceptions() == 0);
                heddle::fiber sleeper([this] {
                    try {
                        heddle::this_fiber::sleep_until(heddle::deadline::never());
                    } catch (const heddle::cancelled&) {
                        cancelled = true;
                    }
                });
                sleeper.request_stop();
                sleeper.join();
            });
            CHECK(std::uncaught_exceptions() == 1);
        }
    };
    bool cancelled = false;
    CHECK_THROWS_AS(
        [&] {
            const runs_in_destructor guard{cancelled};
            throw 1;
        }(),
        int);
    CHECK(cancelled);
    CHECK(std::uncaught_exceptions() == 0);
}

TEST_CASE("an option out of range is refused by name, value and limit") {
    const auto refusal = [](const heddle::options& with) {
        return message_of<std::invalid_argument>([&] { heddle::run([] {}, with); });
    };
    const std::string workers = refusal({.workers = 2});
    CHECK(contains(workers, "options::workers is 2"));
    CHECK(contains(workers, "at most 1"));
    CHECK(contains(refusal({.workers = std::numeric_limits<unsigned>::max()}), "4294967295"));
    const std::string none = refusal({.stack_bytes = 0});
    CHECK(contains(none, "options::stack_bytes is 0,"));
    CHECK(contains(none, "16384"));
    CHECK(contains(refusal({.stack_bytes = 16383}), "options::stack_bytes is 16383,"));
    const std::string absurd = refusal({.stack_bytes = std::numeric_limits<std::size_t>::max()});
    CHECK(contains(absurd, std::to_string(std::numeric_limits<std::size_t>::max())));
    CHECK(contains(absurd, "at most"));
    CHECK(heddle::run([] { return 1; }, {.workers = 0}) == 1);
    CHECK(heddle::run([] { return 1; }, {.workers = 1, .stack_bytes = 16384}) == 1);
}

TEST_CASE("a fiber option out of range is refused by name, value and limit") {
    in_fiber([] {
        const auto refusal = [](const heddle::fiber_options& with) {
            return message_of<std::invalid_argument>([&] { return heddle::spawn(with, [] {}); });
        };
        CHECK(contains(refusal({.stack_bytes = 1}), "fiber_options::stack_bytes is 1,"));
        CHECK(contains(refusal({.stack_bytes = SIZE_MAX / 16}), "at most"));
        CHECK(contains(refusal({.worker = 1}), "fiber_options::worker is 1,"));
        CHECK(contains(refusal({.worker = 1}), "from 0 to 0"));
        CHECK(contains(refusal({.worker = -2}), "fiber_options::worker is -2,"));
        CHECK(contains(refusal({.worker = std::numeric_limits<int>::max()}), "2147483647"));
        // A refused fiber is none, and the next one is as good as any.
        CHECK(heddle::get_statistics().fibers_alive == 1);
        CHECK(heddle::fiber({.worker = 0}, [] { return 2; }).join() == 2);
        CHECK(heddle::fiber({.worker = heddle::any_worker}, [] { return 2; }).join() == 2);
    });
}

TEST_CASE("a reactor that does not exist is refused with a list of those that do") {
    for (const char* const name : {"nonsense", "epol", "EPOLL", " "}) {
        const environment_variable wished("HEDDLE_REACTOR", name);
        const std::string refusal = message_of<std::invalid_argument>([] { heddle::run([] {}); });
        CAPTURE(refusal);
        CHECK(contains(refusal, std::string("\"") + name + "\""));
        CHECK(contains(refusal, "poll"));
        CHECK(contains(refusal, "epoll"));
    }
    const environment_variable none("HEDDLE_REACTOR", nullptr);
    const std::string refusal = message_of<std::invalid_argument>(
        [] { heddle::run([] {}, {.reactor = heddle::reactor_kind::kqueue}); });
    CHECK(contains(refusal, "kqueue"));
    CHECK(contains(refusal, "epoll"));
    CHECK(heddle::run([] { return 1; }) == 1);
}

TEST_CASE("the environment variable HEDDLE_REACTOR wins over the option") {
    {
        const environment_variable wished("HEDDLE_REACTOR", "poll");
        CHECK(heddle::run([] { return 1; }, {.reactor = heddle::reactor_kind::kqueue}) == 1);
    }
    const environment_variable wished("HEDDLE_REACTOR", "");
    CHECK(heddle::run([] { return 1; }, {.reactor = heddle::reactor_kind::epoll}) == 1);
    CHECK_THROWS_AS(heddle::run([] {}, {.reactor = heddle::reactor_kind::kqueue}),
                    std::invalid_argument);
}

TEST_CASE("statistics count fibers, switches and stacks") {
    in_fiber([] {
        const heddle::statistics before = heddle::get_statistics();
        CHECK(before.fibers_alive == 1);
        CHECK(before.fibers_runnable == 1);
        CHECK(before.stacks_in_use == 1);
        std::vector<heddle::fiber<>> waiting;
        for (int i = 0; i < 10; ++i) {
            waiting.emplace_back(
                [] { heddle::this_fiber::sleep_until(heddle::deadline::never()); });
        }
        heddle::statistics now = heddle::get_statistics();
        CHECK(now.fibers_alive == 11);
        CHECK(now.fibers_runnable == 11);
        CHECK(now.spawned == before.spawned + 10);
        CHECK(now.stacks_in_use == 1);
        let_others_run();
        now = heddle::get_statistics();
        CHECK(now.fibers_runnable == 1);
        CHECK(now.stacks_in_use == 11);
        CHECK(now.switches >= before.switches + 10);
        CHECK(now.stack_bytes_resident >= 11 * 4096);
        waiting.clear();
        now = heddle::get_statistics();
        CHECK(now.fibers_alive == 1);
        CHECK(now.stacks_in_use == 1);
        CHECK(now.stacks_pooled == 10);
    });
}
