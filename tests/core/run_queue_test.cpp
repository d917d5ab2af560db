// The run queue against a model that nobody doubts: a std::deque.
#include "helpers.hpp"
#include "resident.hpp"
#include "runtime/base/random.hpp"
#include "runtime/core/run_queue.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <memory>
#include <vector>

using namespace heddle::test;
using heddle::detail::fiber_block;
using heddle::detail::fiber_state;
using heddle::detail::run_queue;

namespace {

/// Fibers that exist for the queue's sake only.
class population {
public:
    explicit population(std::size_t count) : hot_(count), cold_(count) {
        for (std::size_t i = 0; i < count; ++i) {
            hot_[i].cold = &cold_[i];
        }
    }

    std::size_t size() const { return hot_.size(); }
    fiber_block& operator[](std::size_t i) { return hot_[i]; }

private:
    std::vector<fiber_block> hot_;
    std::vector<heddle::detail::cold_block> cold_;
};

void push(run_queue& queue, fiber_block& fiber, bool started) {
    fiber.state = started ? fiber_state::started : fiber_state::unstarted;
    if (started) {
        queue.push(fiber);
    } else {
        queue.push_unstarted(fiber);
    }
}

fiber_block& pop(run_queue& queue) {
    fiber_block& first = queue.front();
    queue.pop_front();
    first.state = fiber_state::vacant;
    return first;
}

void compare(run_queue& queue, const std::deque<fiber_block*>& model) {
    REQUIRE(queue.size() == model.size());
    REQUIRE(queue.empty() == model.empty());
    if (!model.empty()) {
        REQUIRE(&queue.front() == model.front());
    }
    std::vector<fiber_block*> found;
    queue.for_each([&](fiber_block& fiber) { found.push_back(&fiber); });
    REQUIRE(std::equal(found.begin(), found.end(), model.begin(), model.end()));
}

}  // namespace

TEST_CASE("a run queue agrees with a deque through random programs") {
    heddle::detail::random_sequence random(seed());
    for (int program = 0; program < scaled(300); ++program) {
        population fibers(1 + random.below(program % 10 == 0 ? 1000 : 100));
        run_queue queue;
        std::deque<fiber_block*> model;
        std::size_t room = 0;
        const std::uint64_t pushes = 2 + random.below(6);
        const std::uint64_t removals = random.below(8);
        for (std::size_t step = 0; step < 10 * fibers.size(); ++step) {
            fiber_block& fiber = fibers[random.below(fibers.size())];
            if (fiber.state == fiber_state::unstarted && random.below(10) < removals) {
                queue.remove(fiber);
                fiber.state = fiber_state::vacant;
                model.erase(std::find(model.begin(), model.end(), &fiber));
            } else if (fiber.state == fiber_state::vacant && !model.empty() &&
                       random.below(4) == 0) {
                // As a fiber that yields: no room was taken for it beside the one it follows.
                REQUIRE(&queue.front() == model.front());
                REQUIRE(&queue.front_or_hole() == model.front());
                model.front()->state = fiber_state::vacant;
                model.pop_front();
                fiber.state = fiber_state::started;
                queue.rotate(fiber);
                model.push_back(&fiber);
            } else if (fiber.state == fiber_state::vacant && random.below(10) < pushes) {
                if (model.size() == room) {
                    room += 1 + random.below(room + 1);
                    queue.reserve(room);
                }
                if (random.below(5) == 0) {
                    fiber.state = fiber_state::started;
                    queue.push_front(fiber);
                    model.push_front(&fiber);
                } else {
                    push(queue, fiber, random.below(2) == 0);
                    model.push_back(&fiber);
                }
            } else if (!model.empty()) {
                REQUIRE(&pop(queue) == model.front());
                model.pop_front();
            }
            compare(queue, model);
        }
    }
}

TEST_CASE("a queue that has room for a few lets any number pass") {
    population fibers(8);
    run_queue queue;
    queue.reserve(fibers.size());
    const std::size_t rounds = static_cast<std::size_t>(scaled(100'000));
    for (std::size_t i = 0; i < rounds; ++i) {
        push(queue, fibers[i % fibers.size()], i % 2 == 0);
        if (i >= fibers.size() / 2) {
            REQUIRE(&pop(queue) == &fibers[(i - fibers.size() / 2) % fibers.size()]);
        }
    }
}

TEST_CASE("room in the queue that is not used takes no memory") {
    run_queue queue;
    const std::size_t before = resident_bytes();
    queue.reserve(8'000'000);
    CHECK(resident_bytes() <= before + resident_slack());
}

TEST_CASE("a queue gives its room back, and keeps its fibers in order") {
    population fibers(40);
    run_queue queue;
    queue.reserve(100'000);
    for (int i = 0; i < 250'000; ++i) {  // once round, and on
        push(queue, fibers[0], true);
        pop(queue);
    }
    for (std::size_t i = 0; i < fibers.size(); ++i) {
        push(queue, fibers[i], i % 3 != 0);
    }
    queue.remove(fibers[30]);
    queue.shrink(fibers.size());
    queue.remove(fibers[33]);  // it knows its new place
    for (std::size_t i = 0; i < fibers.size(); ++i) {
        if (i != 30 && i != 33) {
            REQUIRE(&pop(queue) == &fibers[i]);
        }
    }
    CHECK(queue.empty());
    for (std::size_t i = 0; i < fibers.size(); ++i) {
        push(queue, fibers[i], true);
    }
    CHECK(queue.size() == fibers.size());
}

TEST_CASE("holes in the middle are closed in order when the places run out") {
    population fibers(64);
    run_queue queue;
    queue.reserve(fibers.size());
    fiber_block& first = fibers[0];
    push(queue, first, true);
    // As of one that spawns and joins for ever while the first and the last stay.
    for (int i = 0; i < scaled(10'000); ++i) {
        fiber_block& kept = fibers[1 + static_cast<std::size_t>(i) % 60];
        if (kept.state != fiber_state::vacant) {
            queue.remove(kept);
            kept.state = fiber_state::vacant;
        }
        push(queue, kept, false);
        REQUIRE(&queue.front() == &first);
        REQUIRE(queue.size() == std::min<std::size_t>(static_cast<std::size_t>(i) + 2, 61));
    }
    pop(queue);
    while (queue.size() > 1) {
        pop(queue);
    }
    CHECK_FALSE(queue.empty());
    queue.remove(queue.front());
    CHECK(queue.empty());
}

TEST_CASE("a hole at the front is no fiber to switch to, until it is skipped") {
    population fibers(3);
    run_queue queue;
    queue.reserve(3);
    for (std::size_t i = 0; i < 3; ++i) {
        push(queue, fibers[i], false);
    }
    queue.remove(fibers[1]);
    pop(queue);
    CHECK(queue.size() == 1);
    fiber_block& hole = queue.front_or_hole();
    CHECK(&hole != &fibers[2]);
    CHECK((hole.flags & heddle::detail::flags_of_the_long_way) != 0);
    CHECK(&queue.front() == &fibers[2]);
    CHECK(&queue.front_or_hole() == &fibers[2]);
}

TEST_CASE("a fiber is removed from the front, the back, and as the only one") {
    population fibers(3);
    run_queue queue;
    queue.reserve(3);
    for (std::size_t i = 0; i < 3; ++i) {
        push(queue, fibers[i], false);
    }
    queue.remove(fibers[0]);
    CHECK(&queue.front() == &fibers[1]);
    queue.remove(fibers[2]);
    CHECK(queue.size() == 1);
    queue.remove(fibers[1]);
    CHECK(queue.empty());
    push(queue, fibers[0], true);
    CHECK(&queue.front() == &fibers[0]);
}

TEST_CASE("removing a fiber that is not where it says is told") {
    const child_result child = run_child([] {
        population fibers(2);
        run_queue queue;
        queue.reserve(2);
        push(queue, fibers[0], false);
        push(queue, fibers[1], false);
        queue.remove(fibers[0]);
        queue.remove(fibers[0]);
    });
    CHECK(child.signal == SIGABRT);
    CHECK(contains(child.output, "run queue"));
}
