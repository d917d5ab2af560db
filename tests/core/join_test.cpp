// join(): its outcomes, its deadlines, and what a request to stop does to the one who joins.
#include "helpers.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;
using heddle::spawn;

namespace {

/// A fiber that gives way until `open`, deaf to requests to stop, and then returns 7.
fiber<int> wait_for(const bool& open) {
    return spawn([&open] {
        while (!open) {
            heddle::this_fiber::yield();
        }
        return 7;
    });
}

}  // namespace

TEST_CASE("a join that times out does so not early, and leaves the handle joinable") {
    on_both_atomic_paths([] {
        in_fiber([] {
            bool open = false;
            fiber child = wait_for(open);
            for (int i = 0; i < 3; ++i) {
                const heddle::deadline soon = 1ms;
                CHECK(code_of([&] { return child.join(soon); }) == std::errc::timed_out);
                CHECK(soon.has_passed());
                std::error_code code;
                CHECK_FALSE(child.join(100us, code).has_value());
                CHECK(code == std::errc::timed_out);
            }
            open = true;
            CHECK(child.join(1h) == 7);
        });
    });
}

TEST_CASE("a join whose deadline has passed takes what is there and never more") {
    in_fiber([] {
        bool open = true;
        fiber child = wait_for(open);
        let_others_run();
        CHECK(child.join(in_the_past()) == 7);
        open = false;
        child = wait_for(open);
        CHECK(code_of([&] { return child.join(in_the_past()); }) == std::errc::timed_out);
        CHECK(child.joinable());
        open = true;
        CHECK(child.join() == 7);
    });
}

TEST_CASE("asking again and again whether a fiber has ended lets it run") {
    in_fiber([] {
        bool open = true;
        fiber child = wait_for(open);
        std::optional<int> value;
        std::error_code code;
        while (!value) {
            value = child.join(in_the_past(), code);
        }
        CHECK(value == 7);
        child = wait_for(open);
        while (!(value = child.join(0ns, code))) {
        }
        CHECK(value == 7);
    });
}

TEST_CASE("a fiber that is cancelled while it joins leaves the handle joinable for others") {
    on_both_atomic_paths([] {
        in_fiber([] {
            bool open = false;
            fiber child = wait_for(open);
            bool cancelled = false;
            fiber joiner([&] {
                try {
                    child.join();
                } catch (const heddle::cancelled&) {
                    cancelled = true;
                }
            });
            let_others_run();
            CHECK(joiner.request_stop());
            joiner.join();
            CHECK(cancelled);
            fiber with_code([&] {
                std::error_code code;
                CHECK_FALSE(child.join(code).has_value());
                return code;
            });
            let_others_run();
            with_code.request_stop();
            CHECK(with_code.join() == std::errc::operation_canceled);
            open = true;
            CHECK(child.join() == 7);
        });
    });
}

TEST_CASE("a fiber that was asked to stop before yields once and takes nothing") {
    in_fiber([] {
        bool open = true;
        fiber ended = wait_for(open);
        let_others_run();
        int turns = 0;
        fiber joiner([&] {
            turns = 0;
            CHECK_THROWS_AS(ended.join(), heddle::cancelled);
            CHECK(turns == 1);
            std::error_code code;
            CHECK_FALSE(ended.join(code).has_value());
            CHECK(code == std::errc::operation_canceled);
            CHECK(turns == 2);
            CHECK_THROWS_AS(ended.join(in_the_past()), heddle::cancelled);
            CHECK(turns == 3);
        });
        fiber counter([&](std::stop_token token) {
            while (!token.stop_requested()) {
                ++turns;
                heddle::this_fiber::yield();
            }
        });
        joiner.request_stop();
        joiner.join();
        counter.request_stop();
        CHECK(ended.join() == 7);
    });
}

TEST_CASE("a cancelled fiber that only spawns and joins comes to its end") {
    in_fiber([] {
        int rounds = 0;
        fiber loop([&] {
            for (;; ++rounds) {
                fiber child([] {});
                child.join();
            }
        });
        loop.request_stop();
        CHECK(code_of([&] { return loop.join(), 0; }) == std::errc::operation_canceled);
        CHECK(rounds == 0);
    });
}

TEST_CASE("a fiber that its joiner runs may give way and end after the joiner has given up") {
    heddle::run([] {
        int given_up = 0;
        bool ended = false;
        fiber<> child;
        fiber<> joiner = spawn([&] {
            child = spawn([&] {
                for (int i = 0; i < 3; ++i) {
                    // One that is over already takes a turn of the dispatcher.
                    heddle::this_fiber::sleep_until(std::chrono::steady_clock::now() - 1s);
                }
                ended = true;
            });
            for (int i = 0; i < 2; ++i) {
                try {
                    child.join();
                } catch (const heddle::cancelled&) {
                    ++given_up;
                }
            }
        });
        heddle::this_fiber::yield();  // the joiner runs the child, until that gives way
        CHECK_FALSE(ended);
        joiner.request_stop();
        joiner.join();
        CHECK(given_up == 2);
        child.join();
        CHECK(ended);
    });
}

TEST_CASE("a fiber that has ended wins over a stop or a deadline that came before or after") {
    on_both_atomic_paths([] {
        in_fiber([] {
            for (const bool stop_first : {true, false}) {
                bool open = false;
                fiber child = wait_for(open);
                fiber joiner([&] { return child.join(); });
                let_others_run();
                // The child has its turn before the joiner.
                if (stop_first) {
                    joiner.request_stop();
                    open = true;
                } else {
                    open = true;
                    while (child.joinable() && heddle::get_statistics().fibers_alive > 2) {
                        heddle::this_fiber::yield();
                        joiner.request_stop();
                    }
                }
                CHECK(joiner.join() == 7);
            }
            const heddle::deadline soon = 1ms;
            fiber child([&] {
                while (!soon.has_passed()) {
                    heddle::this_fiber::yield();
                }
                return 7;
            });
            fiber joiner([&] { return child.join(soon); });
            CHECK(joiner.join() == 7);
        });
    });
}

TEST_CASE("the end of a fiber is reported by exception or by code") {
    in_fiber([] {
        const auto end_by = [](const std::function<int()>& end) { return spawn(end); };
        const auto cancelled = []() -> int { throw heddle::cancelled(); };
        const auto failed = []() -> int {
            throw std::system_error(std::make_error_code(std::errc::io_error), "disk");
        };
        const auto other = []() -> int { throw std::out_of_range("other"); };

        CHECK(code_of([&] { return end_by(cancelled).join(); }) == std::errc::operation_canceled);
        CHECK(code_of([&] { return end_by(failed).join(); }) == std::errc::io_error);
        CHECK_THROWS_WITH_AS(end_by(other).join(), "other", std::out_of_range);

        std::error_code code = std::make_error_code(std::errc::bad_message);
        CHECK(end_by([] { return 1; }).join(code) == 1);
        CHECK_FALSE(code);
        fiber handle = end_by(cancelled);
        CHECK_FALSE(handle.join(code).has_value());
        CHECK(code == std::errc::operation_canceled);
        CHECK_FALSE(handle.joinable());
        CHECK_FALSE(end_by(failed).join(1h, code).has_value());
        CHECK(code == std::errc::io_error);
        handle = end_by(other);
        CHECK_THROWS_WITH_AS(handle.join(code), "other", std::out_of_range);
        CHECK_FALSE(handle.joinable());

        CHECK(spawn([] {}).join(code));
        CHECK_FALSE(code);
        CHECK_FALSE(spawn([] { throw heddle::cancelled(); }).join(code));
        CHECK(code == std::errc::operation_canceled);
    });
}

TEST_CASE("with an error code an empty handle and one's own are errors, not exceptions") {
    in_fiber([] {
        fiber<> self;
        std::error_code code;
        CHECK_FALSE(self.join(code));
        CHECK(code == std::errc::invalid_argument);
        code.clear();
        self = fiber([&] { CHECK_FALSE(self.join(1h, code)); });
        let_others_run();
        CHECK(code == std::errc::resource_deadlock_would_occur);
        self.join();
    });
}

TEST_CASE("a fiber that tries to join itself takes nothing from the one who joins it") {
    in_fiber([] {
        fiber<int> self;
        std::error_code code;
        self = fiber([&] {
            self.join(code);
            CHECK(code_of([&] { return self.join(); }) == std::errc::resource_deadlock_would_occur);
            heddle::this_fiber::yield();
            return 7;
        });
        CHECK(self.join() == 7);
        CHECK(code == std::errc::resource_deadlock_would_occur);
    });
}

TEST_CASE("the join of a destructor is no cancellation point") {
    in_fiber([] {
        bool open = false;
        bool after = false;
        fiber outer([&] {
            { const fiber<int> inner = wait_for(open); }
            after = true;
            heddle::this_fiber::check_cancelled();
        });
        let_others_run();
        outer.request_stop();
        let_others_run();
        CHECK_FALSE(after);
        open = true;
        CHECK(code_of([&] { return outer.join(), 0; }) == std::errc::operation_canceled);
        CHECK(after);
    });
}

TEST_CASE("fibers that each join the next come back in order") {
    in_fiber([] {
        const int depth = scaled(5000);
        std::function<int(int)> descend = [&](int level) {
            return level == 0 ? 0 : spawn([&, level] { return descend(level - 1); }).join() + 1;
        };
        CHECK(descend(depth) == depth);
        // The same, but so that each has to wait for its turn.
        descend = [&](int level) {
            if (level == 0) {
                return 0;
            }
            fiber next([&, level] { return descend(level - 1); });
            heddle::this_fiber::yield();
            return next.join() + 1;
        };
        CHECK(descend(depth) == depth);
    });
}

TEST_CASE("a fiber may join many in any order") {
    in_fiber([] {
        std::vector<fiber<std::size_t>> children;
        for (std::size_t i = 0; i < 1000; ++i) {
            children.push_back(spawn([i] {
                for (std::size_t turn = 0; turn < i % 7; ++turn) {
                    heddle::this_fiber::yield();
                }
                return i;
            }));
        }
        for (std::size_t i = 1000; i > 0; i -= 2) {
            CHECK(children[i - 1].join() == i - 1);
        }
        for (std::size_t i = 0; i < 1000; i += 2) {
            CHECK(children[i].join() == i);
        }
    });
}

TEST_CASE("two who join one fiber at the same time are told that this is wrong") {
    const child_result child = run_child([] {
        heddle::run([] {
            fiber<> target([] { heddle::this_fiber::sleep_for(1h); });
            const fiber<> first([&] { target.join(); });
            const fiber<> second({.name = "the second"}, [&] { target.join(); });
            let_others_run();
        });
    });
    CAPTURE(child.output);
    CHECK(child.signal == SIGABRT);
    CHECK(contains(child.output, "heddle: a fiber is joined by two at once"));
    CHECK(contains(child.output, "\"the second\""));
}

TEST_CASE("a fiber that drops its own handle is told that this is wrong") {
    const child_result child = run_child([] {
        heddle::run([] {
            fiber<> self;
            self = fiber({.name = "drops itself"}, [&] { self = fiber<>(); });
            let_others_run();
        });
    });
    CAPTURE(child.output);
    CHECK(child.signal == SIGABRT);
    CHECK(contains(child.output, "own handle"));
    CHECK(contains(child.output, "\"drops itself\""));
}
