#include "runtime/base/list.hpp"
#include "runtime/base/random.hpp"
#include "tests/support/child.hpp"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <vector>

namespace heddle::test {
namespace {

struct element : detail::list_node {
    int number = 0;
};

using list = detail::intrusive_list<element>;

std::vector<int> numbers(list& from) {
    std::vector<int> all;
    from.for_each([&](element& one) { all.push_back(one.number); });
    return all;
}

TEST_CASE("a list keeps its elements in the order in which they came") {
    element elements[3];
    list all;
    CHECK(all.empty());
    for (int i = 0; i < 3; ++i) {
        elements[i].number = i;
        all.push_back(elements[i]);
        CHECK(elements[i].linked());
        CHECK(&all.front() == &elements[0]);
    }
    CHECK(numbers(all) == std::vector{0, 1, 2});
    for (element& one : elements) {
        list::remove(one);
    }
    CHECK(all.empty());
}

TEST_CASE("an element leaves from wherever it stands, and may come back at the end") {
    element elements[4];
    list all;
    for (int i = 0; i < 4; ++i) {
        elements[i].number = i;
        all.push_back(elements[i]);
    }
    list::remove(elements[1]);
    CHECK(numbers(all) == std::vector{0, 2, 3});
    list::remove(elements[0]);
    CHECK(numbers(all) == std::vector{2, 3});
    list::remove(elements[3]);
    CHECK(numbers(all) == std::vector{2});
    CHECK_FALSE(elements[1].linked());
    all.push_back(elements[1]);
    CHECK(numbers(all) == std::vector{2, 1});
}

TEST_CASE("while a list is walked, the element at hand may be removed or change lists") {
    element elements[5];
    list from;
    list to;
    for (int i = 0; i < 5; ++i) {
        elements[i].number = i;
        from.push_back(elements[i]);
    }
    from.for_each([&](element& one) {
        if (one.number % 2 == 0) {
            list::remove(one);
            to.push_back(one);
        }
    });
    CHECK(numbers(from) == std::vector{1, 3});
    CHECK(numbers(to) == std::vector{0, 2, 4});
}

TEST_CASE("a list agrees with a deque through random programs") {
    detail::random_sequence random(seed());
    std::vector<element> elements(30);
    list real;
    std::deque<int> expected;
    for (int i = 0; i < 30; ++i) {
        elements[static_cast<std::size_t>(i)].number = i;
    }
    for (int step = 0; step < 5000; ++step) {
        element& one = elements[random.below(elements.size())];
        const auto found = std::find(expected.begin(), expected.end(), one.number);
        REQUIRE(one.linked() == (found != expected.end()));
        if (found != expected.end()) {
            expected.erase(found);
            list::remove(one);
        } else {
            expected.push_back(one.number);
            real.push_back(one);
        }
        REQUIRE(real.empty() == expected.empty());
        REQUIRE(numbers(real) == std::vector<int>(expected.begin(), expected.end()));
    }
}

TEST_CASE("an element that is pushed twice ends the program, and the message says why") {
    const child_result child = run_child([] {
        element one;
        list all;
        all.push_back(one);
        all.push_back(one);
    });
    CHECK(child.signal == SIGABRT);
    CHECK(child.output.find("heddle: an element is pushed that is in a list already") == 0);
    CHECK(child.output.find("list.hpp:") != child.output.npos);
}

}  // namespace
}  // namespace heddle::test
