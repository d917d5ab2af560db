// The timer heap against a model that nobody doubts: a sorted set of (deadline, owner).
#include "runtime/base/random.hpp"
#include "runtime/base/timer_heap.hpp"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <set>
#include <utility>
#include <vector>

namespace heddle::test {
namespace {

struct sleeper {
    std::uint32_t place = 0;
};

std::uint32_t& timer_place(sleeper& who) {
    return who.place;
}

using heap = detail::timer_heap<sleeper>;
using model = std::set<std::pair<std::int64_t, sleeper*>>;

// Deadlines from a small range, so that many are equal, and now and then an extreme one.
std::int64_t some_deadline(detail::random_sequence& random) {
    switch (random.below(20)) {
    case 0:
        return std::numeric_limits<std::int64_t>::max();
    case 1:
        return std::numeric_limits<std::int64_t>::min();
    default:
        return static_cast<std::int64_t>(random.below(50)) - 10;
    }
}

void compare(heap& timers, const model& expected) {
    REQUIRE(timers.size() == expected.size());
    REQUIRE(timers.empty() == expected.empty());
    if (expected.empty()) {
        return;
    }
    REQUIRE(timers.first_deadline() == expected.begin()->first);
    // Equal deadlines have no order among them.
    REQUIRE(expected.count({timers.first_deadline(), &timers.first()}) == 1);
}

TEST_CASE("a timer heap agrees with a sorted set through random programs") {
    detail::random_sequence random(seed());
    for (int program = 0; program < 200; ++program) {
        const std::size_t owners = 1 + random.below(program % 10 == 0 ? 2000 : 40);
        std::vector<sleeper> sleepers(owners);
        heap timers;
        timers.reserve(owners);
        model expected;
        const std::uint64_t adds_of_ten = 3 + random.below(5);
        for (std::size_t step = 0; step < 4 * owners; ++step) {
            sleeper& who = sleepers[random.below(owners)];
            if (who.place != 0) {
                const std::int64_t deadline = timers.deadline_of(who);
                REQUIRE(expected.erase({deadline, &who}) == 1);
                timers.remove(who);
                REQUIRE(who.place == 0);
            } else if (random.below(10) < adds_of_ten) {
                const std::int64_t deadline = some_deadline(random);
                timers.add(who, deadline);
                expected.insert({deadline, &who});
                REQUIRE(timers.deadline_of(who) == deadline);
            } else if (!expected.empty()) {
                sleeper& first = timers.first();
                expected.erase({timers.first_deadline(), &first});
                timers.remove(first);
            }
            compare(timers, expected);
        }
        while (!timers.empty()) {
            compare(timers, expected);
            sleeper& first = timers.first();
            expected.erase({timers.first_deadline(), &first});
            timers.remove(first);
        }
        REQUIRE(expected.empty());
    }
}

TEST_CASE("a timer heap gives its timers in order of their deadlines") {
    detail::random_sequence random(seed());
    std::vector<sleeper> sleepers(3000);
    heap timers;
    timers.reserve(sleepers.size());
    for (sleeper& who : sleepers) {
        timers.add(who, static_cast<std::int64_t>(random.next() >> 1));
    }
    std::int64_t last = 0;
    for (std::size_t left = sleepers.size(); left > 0; --left) {
        REQUIRE(timers.size() == left);
        REQUIRE(timers.first_deadline() >= last);
        last = timers.first_deadline();
        timers.remove(timers.first());
    }
}

TEST_CASE("a timer that was removed can be added again") {
    sleeper one;
    heap timers;
    timers.reserve(1);
    for (std::int64_t round = 0; round < 3; ++round) {
        timers.add(one, round);
        CHECK(timers.first_deadline() == round);
        timers.remove(one);
        CHECK(timers.empty());
    }
}

TEST_CASE("taking room for timers keeps those that are there") {
    std::vector<sleeper> sleepers(100);
    heap timers;
    for (std::size_t i = 0; i < sleepers.size(); ++i) {
        timers.reserve(i + 1);
        timers.add(sleepers[i], static_cast<std::int64_t>(sleepers.size() - i));
        CHECK(&timers.first() == &sleepers[i]);
    }
    for (sleeper& who : sleepers) {
        timers.remove(who);
    }
    CHECK(timers.empty());
}

TEST_CASE("giving room for timers back keeps those that are there, and what was asked for") {
    std::vector<sleeper> sleepers(100);
    heap timers;
    timers.reserve(100'000);
    for (std::size_t i = 0; i < 60; ++i) {
        timers.add(sleepers[i], static_cast<std::int64_t>(sleepers.size() - i));
    }
    timers.shrink(sleepers.size());
    for (std::size_t i = 60; i < sleepers.size(); ++i) {
        timers.add(sleepers[i], static_cast<std::int64_t>(sleepers.size() - i));
    }
    for (std::size_t i = sleepers.size(); i-- > 0;) {
        REQUIRE(&timers.first() == &sleepers[i]);
        timers.remove(timers.first());
    }
    CHECK(timers.empty());
}

}  // namespace
}  // namespace heddle::test
