// The handle of a fiber: how it is made, what it deduces, moves, owns and lets go.
#include "helpers.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <sstream>
#include <stop_token>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <vector>

using namespace heddle::test;
using heddle::fiber;
using heddle::spawn;

namespace {

int seven() {
    return 7;
}

int twice(int x) {
    return 2 * x;
}

struct account {
    long balance = 0;
    long deposit(long amount) { return balance += amount; }
};

// What it is called with decides the type that it gives.
struct overloaded {
    int operator()(int) const { return 1; }
    std::string operator()(std::stop_token, int) const { return "token"; }
};

}  // namespace

TEST_CASE("a handle deduces the type of the result from the function") {
    in_fiber([] {
        fiber number{[] { return 1; }};
        static_assert(std::is_same_v<decltype(number), fiber<int>>);
        fiber nothing{[] {}};
        static_assert(std::is_same_v<decltype(nothing), fiber<>>);
        const auto constant = [] { return 1.5; };
        fiber from_constant(constant);
        static_assert(std::is_same_v<decltype(from_constant), fiber<double>>);
        auto mutating = [n = 0]() mutable { return ++n; };
        fiber from_lvalue(mutating);
        static_assert(std::is_same_v<decltype(from_lvalue), fiber<int>>);
        fiber from_function{seven};
        static_assert(std::is_same_v<decltype(from_function), fiber<int>>);
        fiber with_argument{twice, 21};
        static_assert(std::is_same_v<decltype(with_argument), fiber<int>>);
        fiber with_options{{.name = "named"}, [] { return 'c'; }};
        static_assert(std::is_same_v<decltype(with_options), fiber<char>>);
        heddle::fiber_options options;
        fiber with_lvalue_options(options, twice, 4);
        static_assert(std::is_same_v<decltype(with_lvalue_options), fiber<int>>);
        int target = 5;
        fiber reference{[&]() -> int& { return target; }};
        static_assert(std::is_same_v<decltype(reference), fiber<int&>>);
        fiber with_token{overloaded(), 1};
        static_assert(std::is_same_v<decltype(with_token), fiber<std::string>>);
        fiber moved{std::move(number)};
        static_assert(std::is_same_v<decltype(moved), fiber<int>>);
        fiber moved_too(std::move(moved));
        static_assert(std::is_same_v<decltype(moved_too), fiber<int>>);

        CHECK(moved_too.join() == 1);
        nothing.join();
        CHECK(from_constant.join() == 1.5);
        CHECK(from_lvalue.join() == 1);
        CHECK(mutating() == 1);
        CHECK(from_function.join() == 7);
        CHECK(with_argument.join() == 42);
        CHECK(with_options.join() == 'c');
        CHECK(with_lvalue_options.join() == 8);
        CHECK(&reference.join() == &target);
        CHECK(with_token.join() == "token");
    });
}

TEST_CASE("spawn gives the handle that the constructor would") {
    in_fiber([] {
        static_assert(std::is_same_v<decltype(spawn(seven)), fiber<int>>);
        static_assert(std::is_same_v<decltype(spawn(overloaded(), 1)), fiber<std::string>>);
        static_assert(
            std::is_same_v<decltype(spawn(heddle::fiber_options(), twice, 1)), fiber<int>>);
        CHECK(spawn(seven).join() == 7);
        CHECK(spawn({.name = "named"}, twice, 3).join() == 6);
        fiber<> ignores_the_result = fiber<>([] { return 1; });
        ignores_the_result.join();
        CHECK_FALSE(ignores_the_result.joinable());
    });
}

TEST_CASE("a handle is move-only, and made only of what can be called") {
    static_assert(!std::is_copy_constructible_v<fiber<>>);
    static_assert(!std::is_copy_assignable_v<fiber<int>>);
    static_assert(std::is_nothrow_move_constructible_v<fiber<std::string>>);
    static_assert(std::is_nothrow_move_assignable_v<fiber<int&>>);
    static_assert(std::is_nothrow_default_constructible_v<fiber<>>);
    static_assert(std::is_nothrow_destructible_v<fiber<>>);
    static_assert(std::is_nothrow_swappable_v<fiber<>>);
    static_assert(!std::is_constructible_v<fiber<int>, void (*)()>);
    static_assert(!std::is_constructible_v<fiber<int>, fiber<long>>);
    static_assert(!std::is_constructible_v<fiber<>, int>);
    static_assert(!std::is_constructible_v<fiber<>, int (*)(int)>);
    static_assert(!std::is_constructible_v<fiber<>, heddle::fiber_options>);
    static_assert(!std::is_convertible_v<int (*)(), fiber<int>>);
    const auto can_spawn = [](auto&&... what) {
        return requires {
            spawn(std::forward<decltype(what)>(what)...);
        };
    };
    CHECK(can_spawn(seven));
    CHECK_FALSE(can_spawn(seven, 1));
    CHECK_FALSE(can_spawn(5));
    CHECK_FALSE(can_spawn(heddle::fiber_options()));
    CHECK_FALSE(can_spawn(fiber<int>()));
}

TEST_CASE("a function is called with copies of its arguments that are its own") {
    in_fiber([] {
        std::string text = "before";
        int counter = 0;
        fiber child(
            [](std::string mine, int& shared, const char* literal) {
                mine += literal;
                ++shared;
                return mine;
            },
            text, std::ref(counter), " and after");
        text = "changed";
        CHECK(child.join() == "before and after");
        CHECK(text == "changed");
        CHECK(counter == 1);
    });
}

TEST_CASE("an array is copied as a pointer and a function as a pointer to it") {
    in_fiber([] {
        int numbers[] = {1, 2, 3};
        fiber sum([](const int* first, int (*f)(int)) { return f(first[2]); }, numbers, twice);
        numbers[2] = 10;
        CHECK(sum.join() == 20);
    });
}

TEST_CASE("arguments and function may be move-only") {
    in_fiber([] {
        auto text = std::make_unique<std::string>("moved");
        fiber child([prefix = std::make_unique<std::string>("is ")](
                        std::unique_ptr<std::string> rest) { return *prefix + *rest; },
                    std::move(text));
        CHECK(text == nullptr);
        CHECK(child.join() == "is moved");
    });
}

TEST_CASE("a member function is called on what a plain or an owning pointer points to") {
    in_fiber([] {
        account mine{100};
        CHECK(fiber(&account::deposit, &mine, 5).join() == 105);
        CHECK(mine.balance == 105);
        CHECK(fiber(&account::balance, &mine).join() == 105);
        CHECK(fiber(&account::deposit, std::make_unique<account>(mine), 5).join() == 110);
        CHECK(mine.balance == 105);
    });
}

TEST_CASE("a result may be move-only, constant, a reference or a handle") {
    in_fiber([] {
        CHECK(*fiber([] { return std::make_unique<int>(3); }).join() == 3);
        CHECK(fiber([]() -> const std::string { return "constant"; }).join() == "constant");
        const int constant = 4;
        CHECK(&fiber([&]() -> const int& { return constant; }).join() == &constant);
        std::string moved_from = "rvalue";
        fiber rvalue([&]() -> std::string&& { return std::move(moved_from); });
        const std::string taken = rvalue.join();
        CHECK(taken == "rvalue");
        fiber<fiber<int>> outer([] { return spawn(seven); });
        CHECK(outer.join().join() == 7);
    });
}

TEST_CASE("a handle that was moved from is empty") {
    in_fiber([] {
        fiber first([] { return 1; });
        const heddle::fiber_id id = first.get_id();
        fiber second(std::move(first));
        CHECK_FALSE(first.joinable());
        CHECK(first.get_id() == heddle::fiber_id());
        CHECK(second.joinable());
        CHECK(second.get_id() == id);
        first = std::move(second);
        CHECK(first.get_id() == id);
        CHECK_FALSE(second.joinable());
        fiber<int>& same = first;
        first = std::move(same);
        CHECK(first.get_id() == id);
        CHECK(first.join() == 1);
        CHECK_FALSE(first.joinable());
    });
}

TEST_CASE("swap exchanges what two handles own") {
    in_fiber([] {
        fiber one([] { return 1; });
        fiber two([] { return 2; });
        fiber<int> none;
        swap(one, two);
        one.swap(none);
        CHECK_FALSE(one.joinable());
        CHECK(none.join() == 2);
        CHECK(two.join() == 1);
    });
}

TEST_CASE("assigning over a handle stops and joins what it owned") {
    in_fiber([] {
        bool stopped = false;
        fiber handle([&] {
            try {
                heddle::this_fiber::sleep_until(heddle::deadline::never());
            } catch (const heddle::cancelled&) {
                stopped = true;
                throw;
            }
        });
        let_others_run();
        handle = fiber([] {});
        CHECK(stopped);
        handle.join();
        handle = fiber<>();
        CHECK_FALSE(handle.joinable());
    });
}

TEST_CASE("the destructor of a handle stops and joins its fiber") {
    in_fiber([] {
        bool asked = false;
        bool ended = false;
        {
            const fiber child([&](std::stop_token token) {
                while (!token.stop_requested()) {
                    heddle::this_fiber::yield();
                }
                asked = true;
                let_others_run();
                ended = true;
            });
        }
        CHECK(asked);
        CHECK(ended);
    });
}

TEST_CASE("every operation on an empty handle is an error or says that there is nothing") {
    in_fiber([] {
        fiber<int> empty;
        CHECK_FALSE(empty.joinable());
        CHECK_FALSE(empty.request_stop());
        CHECK(empty.get_id() == heddle::fiber_id());
        CHECK(code_of([&] { return empty.join(); }) == std::errc::invalid_argument);
        CHECK(code_of([&] { return empty.get_stop_token(); }) == std::errc::invalid_argument);
        CHECK(code_of([&] { return empty.detach(), 0; }) == std::errc::invalid_argument);
    });
}

TEST_CASE("a second join is the error of an empty handle") {
    in_fiber([] {
        fiber child([] { return 1; });
        child.join();
        CHECK(code_of([&] { return child.join(); }) == std::errc::invalid_argument);
        fiber failed([]() -> int { throw 1; });
        CHECK_THROWS_AS(failed.join(), int);
        CHECK(code_of([&] { return failed.join(); }) == std::errc::invalid_argument);
    });
}

TEST_CASE("a fiber that joins itself gets the error of a thread that does") {
    in_fiber([] {
        fiber<> self;
        std::error_code code;
        self = fiber([&] { code = code_of([&] { return self.join(), 0; }); });
        let_others_run();
        CHECK(code == std::errc::resource_deadlock_would_occur);
        CHECK(self.joinable());
        self.join();
    });
}

TEST_CASE("a detached fiber goes on by itself") {
    in_fiber([] {
        int turns = 0;
        fiber child([&] {
            for (; turns < 3; ++turns) {
                heddle::this_fiber::yield();
            }
            return std::string(100, 'x');
        });
        child.detach();
        CHECK_FALSE(child.joinable());
        CHECK(turns == 0);
        let_others_run();
        CHECK(turns == 3);
        CHECK(heddle::get_statistics().fibers_alive == 1);
    });
}

TEST_CASE("a fiber can let go of its own handle") {
    in_fiber([] {
        fiber<> self;
        bool went_on = false;
        self = fiber([&] {
            self.detach();
            heddle::this_fiber::yield();
            went_on = true;
        });
        let_others_run();
        CHECK(went_on);
        CHECK_FALSE(self.joinable());
    });
}

TEST_CASE("spawn_detached runs a function that nobody joins") {
    in_fiber([] {
        std::vector<std::string> ran;
        heddle::spawn_detached([&] { ran.push_back("plain"); });
        heddle::spawn_detached([&](const char* text) { ran.push_back(text); }, "argument");
        heddle::spawn_detached(
            {.name = "named"},
            [&](std::stop_token token, int) {
                ran.push_back(token.stop_requested() ? "stopped" : "token");
            },
            1);
        heddle::spawn_detached([&] { return std::make_unique<int>(1); });
        CHECK(ran.empty());
        let_others_run();
        CHECK(ran == std::vector<std::string>{"plain", "argument", "token"});
    });
}

TEST_CASE("ids are given in order, never twice, and print as their number") {
    in_fiber([] {
        std::unordered_set<heddle::fiber_id> seen;
        heddle::fiber_id last = heddle::this_fiber::get_id();
        for (int i = 0; i < 1000; ++i) {
            fiber child([] { return heddle::this_fiber::get_id(); });
            const heddle::fiber_id id = child.get_id();
            CHECK(id > last);
            CHECK(seen.insert(id).second);
            CHECK(child.join() == id);
            last = id;
        }
        std::ostringstream out;
        out << last;
        CHECK(out.str() == std::to_string(last.number()));
        CHECK(heddle::fiber_id().number() == 0);
        CHECK(heddle::fiber_id(last.number()) == last);
    });
}

TEST_CASE("a fiber has the stack that it asks for") {
    in_fiber([] {
        // Far more than options::stack_bytes, and touched from end to end.
        constexpr std::size_t bytes = std::size_t{16} << 20;
        const auto fill = [] {
            volatile char block[bytes - (1 << 16)];
            for (std::size_t at = 0; at < sizeof block; at += 1024) {
                block[at] = 1;
            }
            return std::size_t{block[0] != 0 ? sizeof block : 0};
        };
        CHECK(fiber({.stack_bytes = bytes}, fill).join() == bytes - (1 << 16));
        CHECK(fiber({.stack_bytes = 16384}, seven).join() == 7);
        CHECK(fiber({.stack_bytes = 16385}, seven).join() == 7);
        // Reserved only; but a tool keeps a shadow of all of it.
        const std::size_t most = std::size_t{1}
                                 << (heddle::detail::switches_are_watched() ? 26 : 32);
        CHECK(fiber({.stack_bytes = most}, seven).join() == 7);
    });
}

TEST_CASE("a name is copied, and cut after thirty-one bytes") {
    in_fiber([] {
        std::string name = "a name that is longer than thirty-one bytes";
        fiber sleeper({.name = name}, [] { heddle::this_fiber::yield(); });
        std::fill(name.begin(), name.end(), '%');
        const std::string list = dumped();
        CHECK(contains(list, "\"a name that is longer than thir\""));
        CHECK_FALSE(contains(list, "%"));
        // Part of a string that has no terminating zero.
        const char letters[] = {'a', 'b', 'c', 'd'};
        fiber other({.name = {letters, 2}}, [] {});
        CHECK(contains(dumped(), "\"ab\""));
    });
}
