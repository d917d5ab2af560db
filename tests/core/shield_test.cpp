// Regions that cancellation does not enter.
#include "helpers.hpp"
#include "runtime/core/asleep.hpp"
#include "tests/support/support.hpp"

#include <heddle/cancel.hpp>
#include <heddle/error.hpp>

#include <doctest/doctest.h>

#include <chrono>

using namespace std::chrono_literals;
using namespace heddle::test;
using heddle::fiber;
using heddle::shield;

namespace {

bool sleep_is_cancelled(heddle::deadline until = 0ns) {
    std::error_code code;
    heddle::this_fiber::sleep_until(until, code);
    return code == std::errc::operation_canceled;
}

// Runs `body` in a fiber that has been asked to stop, before it starts or once it waits.
template <class F>
void in_stopped_fiber(bool before, F body) {
    in_fiber([&] {
        fiber child(body);
        if (!before) {
            let_others_run();
        }
        child.request_stop();
        child.join();
    });
}

}  // namespace

TEST_CASE("a region that is shielded is not cancelled, before and while it waits") {
    in_fiber([] {
        bool open = false;
        fiber child([&] {
            {
                const heddle::shield outer;
                heddle::this_fiber::sleep_for(1us);
                fiber([&] {
                    while (!open) {
                        heddle::this_fiber::yield();
                    }
                }).join();
                { const heddle::shield inner; }
                heddle::this_fiber::check_cancelled();
                CHECK(heddle::this_fiber::get_stop_token().stop_requested());
            }
            return sleep_is_cancelled();
        });
        let_others_run();
        child.request_stop();
        let_others_run();
        open = true;
        CHECK(child.join());
    });
}

TEST_CASE("a shield whose deadline passes lets a wait be cancelled that is on") {
    for (const bool before : {true, false}) {
        CAPTURE(before);
        in_stopped_fiber(before, [] {
            const shield brief(1ms);
            CHECK_THROWS_AS(sleep_for_ever(), heddle::cancelled);
            CHECK_THROWS_AS(heddle::this_fiber::check_cancelled(), heddle::cancelled);
        });
        in_stopped_fiber(before, [] {
            const shield brief(1ms);
            CHECK(sleep_is_cancelled(1h));
        });
        in_stopped_fiber(before, [] {
            const shield brief(1ms);
            fiber endless([] { sleep_for_ever(); });
            CHECK_THROWS_AS(endless.join(), heddle::cancelled);
            CHECK(endless.joinable());
        });
    }
}

TEST_CASE("a wait's own deadline under a shield is a timeout, asked to stop or not") {
    for (const bool before : {true, false}) {
        CAPTURE(before);
        in_stopped_fiber(before, [] {
            const shield lasting(1h);
            CHECK_FALSE(sleep_is_cancelled(1ms));
            fiber endless([] { sleep_for_ever(); });
            CHECK(code_of([&] { return endless.join(1ms), 0; }) == std::errc::timed_out);
            const shield inner;
            CHECK_FALSE(sleep_is_cancelled(1us));
        });
    }
}

TEST_CASE("a shield whose deadline passes unasked changes nothing about a wait") {
    in_fiber([] {
        fiber child([] {
            const shield brief(1us);
            return sleep_is_cancelled(1ms);
        });
        CHECK_FALSE(child.join());
        fiber late([] {
            const shield brief(1us);
            return sleep_is_cancelled(heddle::deadline::never());
        });
        heddle::this_fiber::sleep_for(1ms);
        late.request_stop();
        CHECK(late.join());
    });
}

TEST_CASE("of nested shields the one that holds longest counts") {
    in_stopped_fiber(true, [] {
        {
            const shield lasting;
            const shield over(in_the_past());
            CHECK_FALSE(sleep_is_cancelled());
        }
        {
            const shield over(in_the_past());
            CHECK(sleep_is_cancelled());
            {
                const shield lasting(1h);
                CHECK_FALSE(sleep_is_cancelled());
            }
            CHECK(sleep_is_cancelled());
        }
        CHECK(sleep_is_cancelled());
    });
}

TEST_CASE("fibers spawned under a shield have none") {
    in_fiber([] {
        const shield lasting;
        fiber child(sleep_is_cancelled, heddle::deadline::never());
        let_others_run();
        child.request_stop();
        CHECK(child.join());
    });
}

TEST_CASE("a shield on a plain thread does nothing") {
    const shield outer;
    const shield inner(1ms);
    heddle::this_fiber::check_cancelled();
    CHECK_FALSE(sleep_is_cancelled());
}

TEST_CASE("a shield is gone when an exception has left its scope") {
    in_stopped_fiber(true, [] {
        try {
            const shield lasting;
            throw 1;
        } catch (int) {
        }
        CHECK(sleep_is_cancelled());
    });
}

TEST_CASE("the end of run() waits for what is shielded") {
    bool done = false;
    heddle::run([&] {
        heddle::spawn_detached([&] {
            const shield goodbye;
            heddle::this_fiber::sleep_for(1ms);
            done = true;
        });
        heddle::this_fiber::yield();
    });
    CHECK(done);
}

TEST_CASE("fibers that can never run again may end when their shields are over") {
    heddle::detail::other_threads_hook = []() noexcept { return false; };
    CHECK_THROWS_AS(heddle::run([] {
                        const shield brief(1ms);
                        sleep_for_ever();
                    }),
                    heddle::deadlock_error);
    heddle::detail::other_threads_hook = nullptr;
}
