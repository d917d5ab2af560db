// Scopes whose users ask for what cannot be: outside of fibers, of themselves, without memory.
#include "tests/base/door_keeper.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include <heddle/cancel.hpp>
#include <heddle/scope.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

TEST_CASE("outside of a fiber there is no scope") {
    CHECK_THROWS_AS(const scope none, std::logic_error);
    CHECK_THROWS_AS(with_deadline(1s, [] {}), std::logic_error);
    CHECK_THROWS_AS(join_all([] {}), std::logic_error);
    in_fiber([] {
        scope all;
        std::thread([&] {
            CHECK_THROWS_AS(all.spawn([] {}), std::logic_error);
            run([&] { CHECK_THROWS_AS(all.spawn([] {}), std::logic_error); });
        }).join();
        all.join();
    });
}

TEST_CASE("a child that waits for itself or for its own scope is refused") {
    in_fiber([] {
        scope all;
        child<> self = all.spawn([&] {
            CHECK(code_of([&] { return self.get(), 0; }) ==
                  std::errc::resource_deadlock_would_occur);
            CHECK(code_of([&] { return all.join(), 0; }) ==
                  std::errc::resource_deadlock_would_occur);
        });
        let_others_run();
        all.join();
    });
}

TEST_CASE("a child that waits for itself or its own scope is refused, too, if others wait for it") {
    in_fiber([] {
        for (const bool cancelled : {false, true}) {
            scope all;
            child<> self = all.spawn([&] {
                const shield as_if_not_cancelled;
                CHECK(code_of([&] { return all.join(), 0; }) ==
                      std::errc::resource_deadlock_would_occur);
                std::error_code ec;
                CHECK_FALSE(self.get(ec));
                CHECK(ec == std::errc::resource_deadlock_would_occur);
            });
            if (cancelled) {
                all.cancel();
            }
            all.join();
        }
    });
}

TEST_CASE("a child that gets no stack fails the scope") {
    in_fiber([] {
        scope all;
        child<> sleeper = all.spawn(sleep_for_ever);
        let_others_run();
        const auto stack_bytes = std::size_t{700'000};  // of a size that has no idle stack
        child<> refused = all.spawn({.stack_bytes = stack_bytes}, [] {});
        {
            const door_keeper no_memory([](detail::sys::call asked, int) -> std::int64_t {
                return asked == detail::sys::call::mmap ? -ENOMEM : 0;
            });
            let_others_run();
        }
        CHECK(code_of([&] { return all.join(), 0; }) == std::errc::not_enough_memory);
        CHECK(code_of([&] { return sleeper.get(), 0; }) == std::errc::operation_canceled);
        CHECK(code_of([&] { return refused.get(), 0; }) == std::errc::not_enough_memory);
    });
}

TEST_CASE("a child that gets no stack is dropped with its scope if nobody asks") {
    in_fiber([] {
        bool began = false;
        const door_keeper no_memory([](detail::sys::call asked, int) -> std::int64_t {
            return asked == detail::sys::call::mmap ? -ENOMEM : 0;
        });
        {
            scope all;
            all.spawn({.stack_bytes = 700'000}, [&] { began = true; });
            let_others_run();
            CHECK(all.exceptions().size() == 1);
        }
        {
            scope all;
            all.spawn({.stack_bytes = 700'000}, [&] { began = true; });
            let_others_run();
        }
        CHECK_FALSE(began);
    });
}

}  // namespace

}  // namespace heddle::test
