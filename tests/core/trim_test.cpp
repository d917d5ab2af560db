// What becomes of stacks that idle for a while.
#include "helpers.hpp"
#include "runtime/core/stack.hpp"
#include "runtime/core/worker.hpp"
#include "stacks.hpp"
#include "tests/base/door_keeper.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

using namespace heddle::test;
using heddle::fiber;
using heddle::spawn;
using heddle::detail::stack_class;
using heddle::detail::stack_pool;
using heddle::detail::sys::call;

namespace {

constexpr std::size_t batch = stack_pool::batch;
constexpr std::size_t always_warm = stack_pool::always_warm;
constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

// What a pool does in the course of a time that the test makes.
struct timed_pool {
    stack_pool pool;
    stack_class& stacks = pool[pool.class_for(stack_bytes, "size")];
    std::int64_t now = 1'000'000'000'000;

    // Calls it as often as it wants to be called until `until`, as a worker does that has nothing
    // else to do. How often that was.
    int idle(std::int64_t until) {
        int calls = 0;
        for (;;) {
            const std::size_t warm = stacks.warm();
            const std::int64_t next = pool.trim_a_little(now);
            ++calls;
            CHECK(warm - stacks.warm() <= batch);
            CHECK(next >= now);
            if (next >= until) {
                now = until;
                return calls;
            }
            now = next;
        }
    }
};

const std::int64_t spell = stack_pool::spell_ns;

}  // namespace

TEST_CASE(
    "stacks that nobody took for a spell are given back, in batches, and then there is rest") {
    timed_pool timed;
    stack_class& stacks = timed.stacks;
    const std::vector<std::byte*> tops = take(stacks, 2000);
    for (std::byte* const top : tops) {
        *(top - 1) = std::byte{1};
    }
    CHECK(timed.pool.trim_a_little(timed.now) == never);  // nobody idles
    give(stacks, {tops.begin(), tops.begin() + 1000});
    timed.idle(timed.now + spell - 1);
    CHECK(stacks.warm() == 1000);
    // The spell in which they came back is over. From then on they have to idle for a whole one.
    timed.idle(timed.now + spell);
    CHECK(stacks.warm() == 1000);
    CHECK(timed.idle(timed.now + spell) >= static_cast<int>((1000 - always_warm) / batch));
    CHECK(stacks.warm() == always_warm);
    CHECK(stacks.resident_bytes() == (1000 + always_warm) * page());
    CHECK(timed.pool.trim_a_little(timed.now) == never);
    timed.now += 100 * spell;
    CHECK(timed.pool.trim_a_little(timed.now) == never);
    give(stacks, {tops.begin() + 1000, tops.end()});
    timed.idle(timed.now + 3 * spell);
    CHECK(stacks.warm() == always_warm);
    timed.pool.trim_all();
    CHECK(stacks.warm() == 0);
    CHECK(stacks.resident_bytes() == 0);
}

TEST_CASE(
    "stacks of a load that comes in waves stay warm, and what was only once needed does not") {
    timed_pool timed;
    stack_class& stacks = timed.stacks;
    give(stacks, take(stacks, 3000));
    door_keeper keeper;
    for (int wave = 0; wave < 20; ++wave) {
        const std::vector<std::byte*> tops = take(stacks, 1000);
        timed.idle(timed.now + spell / 3);
        give(stacks, tops);
        timed.idle(timed.now + spell / 3);
        CHECK(stacks.warm() >= 1000);
    }
    CHECK(stacks.warm() == 1000);
    keeper.forget();
    for (int wave = 0; wave < 20; ++wave) {
        const std::vector<std::byte*> tops = take(stacks, 1000);
        timed.idle(timed.now + spell / 3);
        give(stacks, tops);
        timed.idle(timed.now + spell / 3);
    }
    CHECK(keeper.count(call::madvise) == 0);
    CHECK(stacks.warm() == 1000);
}

TEST_CASE("stacks that are taken while others are being given back are no longer due") {
    timed_pool timed;
    stack_class& stacks = timed.stacks;
    const std::vector<std::byte*> tops = take(stacks, 1000);
    give(stacks, tops);
    timed.pool.trim_a_little(timed.now);
    timed.pool.trim_a_little(timed.now + spell);
    CHECK(timed.pool.trim_a_little(timed.now + 2 * spell) == timed.now + 2 * spell);
    const std::size_t left = stacks.warm();
    CHECK(left < 1000);
    // All but a few, and back again: those have just been used.
    const std::vector<std::byte*> again = take(stacks, left - 10);
    give(stacks, again);
    CHECK(timed.pool.trim_a_little(timed.now + 2 * spell) == timed.now + 3 * spell);
    CHECK(stacks.warm() == left - 10);
}

TEST_CASE("a worker without work gives back the stacks of a rush, and then sleeps undisturbed") {
    struct short_spells {
        std::int64_t usual = stack_pool::spell_ns;
        short_spells() { stack_pool::spell_ns = 2'000'000; }
        ~short_spells() { stack_pool::spell_ns = usual; }
    } const afterwards;
    in_fiber([] {
        const std::size_t count =
            std::max(static_cast<std::size_t>(scaled_stacks(10'000)), 4 * always_warm);
        std::vector<fiber<>> rush(count);
        for (fiber<>& one : rush) {
            one = spawn(heddle::this_fiber::yield);
        }
        for (fiber<>& one : rush) {
            one.join();
        }
        stack_pool& pool = heddle::detail::current_worker->stacks();
        const auto warm = [&] {
            std::size_t all = 0;
            for (const stack_class& one : pool.all()) {
                all += one.warm();
            }
            return all;
        };
        CHECK(warm() >= count);
        // One wait is enough, however long it takes on a busy machine: the worker wakes by itself.
        while (warm() > always_warm) {
            heddle::this_fiber::sleep_for(std::chrono::nanoseconds(20 * stack_pool::spell_ns));
        }
        const door_keeper keeper;
        const std::uint64_t polls = heddle::get_statistics().reactor_polls;
        heddle::this_fiber::sleep_for(std::chrono::nanoseconds(20 * stack_pool::spell_ns));
        CHECK(heddle::get_statistics().reactor_polls <= polls + 2);
        CHECK(keeper.count(call::madvise) == 0);
    });
}
