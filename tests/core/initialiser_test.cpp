// Fibers inside the initialisers of static variables, and inside std::call_once.
#include "tests/core/helpers.hpp"
#include "tests/support/child.hpp"
#include "tests/support/in_fiber.hpp"

#include "heddle/channel.hpp"
#include "heddle/mutex.hpp"
#include "heddle/once.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

namespace heddle::test {

namespace {

// Whether what happens in std::call_once is seen: libc++ has locks of its own there.
#if defined(HEDDLE_CHECKED) && defined(__GLIBCXX__)
constexpr bool sees_call_once = true;
#else
constexpr bool sees_call_once = false;
#endif
#ifdef HEDDLE_CHECKED
constexpr bool sees_initialisers = true;
#else
constexpr bool sees_initialisers = false;
#endif

/// Runs fibers that are one another's successors: the one called "lazy" calls `f`.
template <class F>
child_result run_lazy(F f) {
    return run_child([f] {
        heddle::run([f] {
            fiber lazy({.name = "lazy"}, f);
            fiber other([] { let_others_run(); });
            lazy.join();
            other.join();
        });
    });
}

void gives_way() {
    this_fiber::yield();
}

void check_that_it_is_named(const child_result& child, bool is_seen) {
    CAPTURE(child.output);
    if (is_seen) {
        CHECK(child.signal == SIGABRT);
        CHECK(contains(child.output, "gave way inside the initialiser of a function's static"));
        CHECK(contains(child.output, "heddle::once"));
        CHECK(contains(child.output, "\"lazy\""));
    } else {
        // Nobody else came there meanwhile.
        CHECK(child.exit_status == 0);
        CHECK(child.output == "");
    }
}

struct unlucky {
    unlucky() { throw std::runtime_error("unlucky"); }
};

/// A value with an initialiser that asks heddle for what is to be had without waiting.
std::string made_at_once() {
    static const std::string value = [] {
        static const std::string inner = [] { return std::string("in"); }();
        mutex lock;
        const std::lock_guard guard(lock);
        const channel<std::string> one(1);
        one.send(inner + "side");
        once<std::string> made;
        return made.call([&] { return one.try_recv().value(); });
    }();
    return value;
}

}  // namespace

TEST_CASE("a checked build names the fiber that gives way while it initialises a static variable") {
    const child_result child = run_lazy([] {
        static const int value = (gives_way(), 1);
        static_cast<void>(value);
    });
    check_that_it_is_named(child, sees_initialisers);
}

TEST_CASE("a checked build names the fiber that gives way inside std::call_once") {
    const child_result child = run_lazy([] {
        static std::once_flag flag;
        std::call_once(flag, gives_way);
    });
    check_that_it_is_named(child, sees_call_once);
}

TEST_CASE("a checked build names the fiber that gives way in an initialiser within another") {
    const child_result child = run_lazy([] {
        static const int outer = [] {
            static const int inner = 1;
            std::once_flag flag;
            std::call_once(flag, [] {});
            gives_way();
            return inner;
        }();
        static_cast<void>(outer);
    });
    check_that_it_is_named(child, sees_initialisers);
}

TEST_CASE("initialisers that do not give way may use heddle, and fibers wait between them") {
    in_fiber([] {
        fiber other([] { let_others_run(); });
        CHECK(made_at_once() == "inside");
        this_fiber::yield();
        CHECK(message_of<std::runtime_error>([] {
                  static const unlucky never;
                  return &never;
              }) == "unlucky");
        this_fiber::yield();
        std::once_flag flag;
        CHECK(message_of<std::runtime_error>([&] {
                  std::call_once(flag, [] { throw std::runtime_error("unlucky, too"); });
                  return 0;
              }) == "unlucky, too");
        this_fiber::yield();
        CHECK(made_at_once() == "inside");
    });
}

TEST_CASE("an initialiser may run fibers of its own, which wait as they like") {
    static const int value = in_fiber([] {
        std::once_flag flag;
        fiber other([&] {
            let_others_run();
            std::call_once(flag, [] {});
            return 2;
        });
        this_fiber::yield();
        return other.join();
    });
    CHECK(value == 2);
}

TEST_CASE("fibers meet in the initialiser of a once, where they may give way") {
    in_fiber([] {
        static once<int> value;
        int made = 0;
        const auto get = [&] {
            return value.call([&] {
                this_fiber::yield();
                return ++made;
            });
        };
        fiber one(get);
        fiber other(get);
        CHECK(one.join() + other.join() == 2);
    });
}

}  // namespace heddle::test
