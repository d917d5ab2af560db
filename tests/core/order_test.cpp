// Who runs when: fibers start in the order of spawning, whoever joins may bring one forward, and
// many can pass through without leaving anything behind.
#include "helpers.hpp"
#include "resident.hpp"
#include "runtime/base/random.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

using namespace heddle::test;
using heddle::fiber;
using heddle::spawn;

namespace {

std::vector<int> numbers_to(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

}  // namespace

TEST_CASE("fibers that nobody joins start in the order of spawning") {
    on_both_atomic_paths([] {
        in_fiber([] {
            std::vector<int> order;
            for (int i = 0; i < 1000; ++i) {
                if (i % 3 == 0) {
                    heddle::spawn_detached([&, i] { order.push_back(i); });
                } else {
                    spawn([&, i] { order.push_back(i); }).detach();
                }
            }
            let_others_run();
            CHECK(order == numbers_to(1000));
        });
    });
}

TEST_CASE("a fiber runs until it waits or gives way") {
    in_fiber([] {
        std::vector<int> order;
        fiber child([&] {
            order.push_back(2);
            spawn([&] { order.push_back(5); }).detach();
            order.push_back(3);
        });
        order.push_back(1);
        child.join();
        order.push_back(4);
        heddle::this_fiber::yield();
        CHECK(order == std::vector<int>{1, 2, 3, 4, 5});
    });
}

TEST_CASE("the join of a fiber that has not started brings it forward, and the others keep order") {
    in_fiber([] {
        std::vector<int> order;
        std::vector<fiber<>> fibers;
        for (int i = 0; i < 10; ++i) {
            fibers.push_back(spawn([&, i] { order.push_back(i); }));
        }
        fibers[5].join();
        CHECK(order == std::vector<int>{5});
        fibers[9].join();
        fibers[0].join();
        CHECK(order == std::vector<int>{5, 9, 0});
        let_others_run();
        CHECK(order == std::vector<int>{5, 9, 0, 1, 2, 3, 4, 6, 7, 8});
    });
}

TEST_CASE("a fiber that was brought forward and waits takes its turn behind the others") {
    in_fiber([] {
        std::vector<int> order;
        fiber first([&] { order.push_back(1); });
        fiber joined([&] {
            order.push_back(2);
            heddle::this_fiber::yield();
            order.push_back(3);
        });
        joined.join();
        CHECK(order == std::vector<int>{2, 1, 3});
    });
}

TEST_CASE("yield lets every other runnable fiber go first, each once") {
    in_fiber([] {
        std::vector<int> order;
        std::vector<fiber<>> fibers;
        for (int i = 0; i < 5; ++i) {
            fibers.push_back(spawn([&, i] {
                for (int turn = 0; turn < 3; ++turn) {
                    order.push_back(i);
                    heddle::this_fiber::yield();
                }
            }));
        }
        for (int turn = 0; turn < 4; ++turn) {
            heddle::this_fiber::yield();
            CHECK(order.size() == static_cast<std::size_t>(std::min(turn + 1, 3) * 5));
        }
        for (std::size_t i = 0; i < order.size(); ++i) {
            CHECK(order[i] == static_cast<int>(i % 5));
        }
    });
}

TEST_CASE("random programs of spawning and joining start fibers in a legal order") {
    heddle::detail::random_sequence random(seed());
    on_both_atomic_paths([&] {
        for (int program = 0; program < scaled(200); ++program) {
            in_fiber([&] {
                // Of those that nobody has joined yet, the numbers of the started grow.
                std::vector<std::pair<int, fiber<>>> waiting;
                std::vector<int> started;
                std::vector<bool> brought_forward(1000);
                for (int next = 0; next < 200;) {
                    switch (random.below(4)) {
                    case 0:
                    case 1:
                        waiting.emplace_back(next, spawn([&, next] { started.push_back(next); }));
                        ++next;
                        break;
                    case 2:
                        if (!waiting.empty()) {
                            const auto which =
                                static_cast<std::ptrdiff_t>(random.below(waiting.size()));
                            const int number = waiting[static_cast<std::size_t>(which)].first;
                            if (std::find(started.begin(), started.end(), number) ==
                                started.end()) {
                                brought_forward[static_cast<std::size_t>(number)] = true;
                            }
                            waiting[static_cast<std::size_t>(which)].second.join();
                            waiting.erase(waiting.begin() + which);
                        }
                        break;
                    case 3:
                        if (random.below(20) == 0) {
                            heddle::this_fiber::yield();
                        }
                        break;
                    }
                }
                heddle::this_fiber::yield();
                CHECK(started.size() == 200);
                int last = -1;
                for (const int number : started) {
                    if (!brought_forward[static_cast<std::size_t>(number)]) {
                        CHECK(number > last);
                        last = number;
                    }
                }
            });
        }
    });
}

TEST_CASE("who joins a fiber goes on when it ends, before those that have not started") {
    std::string order;
    heddle::run([&order] {
        fiber<> inner = spawn([&order] {
            spawn([&order] {
                heddle::this_fiber::yield();  // the joiner's turn is lent for longer than one wait
                order += 'b';
            }).join();
            order += 'a';
        });
        fiber<> other = spawn([&order] { order += 'c'; });
        inner.join();
        order += 'm';
        fiber<> last = spawn([&order] { order += 'd'; });
        other.join();
        last.join();
    });
    CHECK(order == "cbamd");
}

namespace {

std::uint64_t sum_of_leaves(std::uint64_t first, std::uint64_t leaves) {
    if (leaves == 1) {
        return first;
    }
    std::vector<fiber<std::uint64_t>> parts;
    for (std::uint64_t i = 0; i < 10; ++i) {
        parts.push_back(spawn(sum_of_leaves, first + i * leaves / 10, leaves / 10));
    }
    std::uint64_t sum = 0;
    for (fiber<std::uint64_t>& part : parts) {
        sum += part.join();
    }
    return sum;
}

}  // namespace

TEST_CASE("a tree of fibers stays on few stacks, and others have their turn while it grows") {
    constexpr std::uint64_t leaves = 100'000;
    heddle::run([] {
        bool grown = false;
        std::uint64_t turns = 0;
        fiber<> other = spawn([&] {
            while (!grown) {
                ++turns;
                heddle::this_fiber::yield();
            }
        });
        CHECK(sum_of_leaves(0, leaves) == leaves * (leaves - 1) / 2);
        grown = true;
        other.join();
        CHECK(turns >= 2);
        // Some at the end of each turn, and a turn is 32 fibers or more.
        const heddle::statistics now = heddle::get_statistics();
        CHECK(now.stacks_in_use + now.stacks_pooled <= leaves / 20);
    });
}

TEST_CASE("ten million fibers spawned and joined by one that never yields take no memory") {
    in_fiber([] {
        const auto pass = [](int count) {
            std::uint64_t sum = 0;
            for (int i = 0; i < count; ++i) {
                fiber child([i] { return i; });
                sum += static_cast<std::uint64_t>(child.join());
            }
            return sum;
        };
        const auto expected = [](int count) {
            return static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(count - 1) / 2;
        };
        // Under the address sanitizer each fiber may cost a mapping.
        const int count = scaled(scaled(10'000'000));
        CHECK(pass(count / 10) == expected(count / 10));
        const std::size_t before = resident_bytes();
        CHECK(pass(count) == expected(count));
        const std::size_t after = resident_bytes();
        // A control block each would take 2.5 GB.
        CHECK(after <= before + resident_slack() + kept_bytes(static_cast<std::size_t>(count)));
        const heddle::statistics now = heddle::get_statistics();
        CHECK(now.fibers_alive == 1);
        CHECK(now.stacks_in_use == 1);
        CHECK(now.stacks_pooled <= 2);
    });
}

TEST_CASE("a million detached fibers in batches take no more memory than a batch") {
    in_fiber([] {
        int ended = 0;
        const auto batch = [&] {
            for (int i = 0; i < 1000; ++i) {
                heddle::spawn_detached([&] { ++ended; });
            }
            heddle::this_fiber::yield();
        };
        const int batches = scaled(1000);
        batch();
        batch();
        const std::size_t before = resident_bytes();
        for (int i = 2; i < batches; ++i) {
            batch();
        }
        CHECK(resident_bytes() <= before + resident_slack());
        CHECK(ended == 1000 * batches);
        CHECK(heddle::get_statistics().stacks_pooled <= 2);
    });
}

TEST_CASE("a handle that is dropped before the start runs its fiber all the same") {
    in_fiber([] {
        int ran = 0;
        for (int i = 0; i < 1000; ++i) {
            const fiber dropped([&] { ++ran; });
        }
        CHECK(ran == 1000);
    });
}
