// Control blocks: used again while they are warm, never unmapped, and given back when many idle.
#include "helpers.hpp"
#include "resident.hpp"
#include "runtime/base/system.hpp"
#include "runtime/core/block_store.hpp"
#include "runtime/core/worker.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <set>
#include <system_error>
#include <thread>
#include <unordered_set>
#include <vector>

using namespace heddle::test;
using heddle::fiber;
using heddle::spawn;
using heddle::detail::block_allocator;
using heddle::detail::block_chunk;
using heddle::detail::block_store;
using heddle::detail::fiber_block;
using heddle::detail::fiber_state;

namespace {

constexpr std::size_t chunk = block_chunk::blocks;

// Against 256 bytes of control block per fiber: the run queue, our own vector of handles, and what
// malloc keeps of such.
constexpr std::size_t bytes_elsewhere = 64;

/// Takes blocks as a worker does.
std::vector<fiber_block*> take(block_allocator& blocks, std::size_t count) {
    std::vector<fiber_block*> taken;
    for (std::size_t i = 0; i < count; ++i) {
        taken.push_back(blocks.take());
        CHECK(taken.back()->state == fiber_state::vacant);
        REQUIRE(taken.back()->cold != nullptr);
        taken.back()->state = fiber_state::unstarted;
    }
    return taken;
}

void give(block_allocator& blocks, const std::vector<fiber_block*>& taken) {
    for (fiber_block* const block : taken) {
        blocks.give(block);
    }
}

std::size_t count_in(block_allocator& blocks) {
    std::size_t count = 0;
    blocks.for_each([&](fiber_block&) { ++count; });
    return count;
}

std::size_t count_everywhere() {
    std::size_t count = 0;
    block_store::instance().for_each([&](const heddle::detail::block_snapshot& block) {
        count += block.state == fiber_state::thread ? 0 : 1;
    });
    return count;
}

}  // namespace

TEST_CASE("every block is another, and the last that came back is the next to be handed out") {
    block_allocator blocks;
    const std::vector<fiber_block*> taken = take(blocks, 3 * chunk);
    CHECK(std::set<fiber_block*>(taken.begin(), taken.end()).size() == taken.size());
    std::set<heddle::detail::cold_block*> cold;
    for (const fiber_block* const block : taken) {
        cold.insert(block->cold);
        CHECK(reinterpret_cast<std::uintptr_t>(block) % 64 == 0);
    }
    CHECK(cold.size() == taken.size());
    CHECK(count_in(blocks) == taken.size());
    blocks.give(taken[7]);
    blocks.give(taken[9]);
    CHECK(count_in(blocks) == taken.size() - 2);
    CHECK(blocks.take() == taken[9]);
    CHECK(blocks.take() == taken[7]);
    give(blocks, taken);
    CHECK(count_in(blocks) == 0);
}

TEST_CASE("trimming gives back the chunks that are idle, and only those") {
    block_allocator blocks;
    std::vector<fiber_block*> taken = take(blocks, 10 * chunk + chunk / 2);
    const std::size_t full = resident_bytes();
    // All but one block of the third chunk; the last chunk is half made.
    fiber_block* const kept = taken[2 * chunk + 7];
    taken.erase(taken.begin() + 2 * chunk + 7);
    give(blocks, taken);
    blocks.trim();
    CHECK(count_in(blocks) == 1);
    CHECK(kept->state == fiber_state::unstarted);
    if (!heddle::detail::switches_are_watched() && !heddle::detail::under_valgrind()) {
        // Part of a page at either end of a chunk's cold half may belong to a neighbour.
        constexpr std::size_t chunk_bytes =
            chunk * (sizeof(fiber_block) + sizeof(heddle::detail::cold_block));
        CHECK(resident_bytes() <= full - 8 * (chunk_bytes - 2 * heddle::detail::sys::page_bytes()));
    }
    // What is left is handed out once each.
    taken = take(blocks, 4 * chunk);
    CHECK(std::set<fiber_block*>(taken.begin(), taken.end()).size() == taken.size());
    CHECK(std::find(taken.begin(), taken.end(), kept) == taken.end());
    CHECK(count_in(blocks) == taken.size() + 1);
    blocks.trim();
    CHECK(count_in(blocks) == taken.size() + 1);
    give(blocks, taken);
    blocks.give(kept);
    blocks.trim();
    blocks.trim();
    CHECK(count_in(blocks) == 0);
    give(blocks, take(blocks, chunk));
}

TEST_CASE("a walk over the blocks sees those that are taken on the way, and misses no other") {
    block_allocator blocks;
    std::vector<fiber_block*> taken = take(blocks, 10);
    std::size_t seen = 0;
    blocks.for_each([&](fiber_block&) {
        if (++seen == 5) {
            const std::vector<fiber_block*> more = take(blocks, 4 * chunk);
            taken.insert(taken.end(), more.begin(), more.end());
        }
    });
    CHECK(seen == taken.size());
    give(blocks, taken);
}

TEST_CASE("every block has a number of its own, and what is no block is not looked at") {
    block_store& store = block_store::instance();
    block_allocator blocks;
    const std::vector<fiber_block*> taken = take(blocks, 40 * chunk);
    std::vector<bool> used(store.numbers_end());
    bool all_are_new = true;
    heddle::detail::block_snapshot seen{};
    for (const fiber_block* const block : taken) {
        const std::size_t number = store.number_of(*block);
        REQUIRE(number < used.size());
        all_are_new &= !used[number];
        used[number] = true;
        CHECK(store.look_at(block, seen));
        CHECK(seen.block == block);
        CHECK(seen.state == fiber_state::unstarted);
    }
    CHECK(all_are_new);
    const auto* const inside = reinterpret_cast<const std::byte*>(taken[0]) + 8;
    const int elsewhere = 0;
    CHECK_FALSE(store.look_at(inside, seen));
    CHECK_FALSE(store.look_at(taken[0]->cold, seen));
    CHECK_FALSE(store.look_at(&elsewhere, seen));
    CHECK_FALSE(store.look_at(nullptr, seen));
    give(blocks, taken);
    CHECK_FALSE(store.look_at(taken[0], seen));
}

TEST_CASE("blocks that are in use when their worker ends are freed by whoever holds them") {
    const std::size_t before = count_everywhere();
    std::vector<fiber_block*> held;
    {
        block_allocator blocks;
        held = take(blocks, 2 * chunk);
        for (std::size_t i = 0; i < chunk; ++i) {
            blocks.give(held.back());
            held.pop_back();
        }
    }
    CHECK(count_everywhere() == before + held.size());
    {
        // What the next worker takes is not among them.
        block_allocator blocks;
        const std::vector<fiber_block*> others = take(blocks, 4 * chunk);
        const std::set<fiber_block*> distinct(others.begin(), others.end());
        for (fiber_block* const block : held) {
            CHECK_FALSE(distinct.contains(block));
        }
        give(blocks, others);
    }
    {
        const auto free_half = [&](std::size_t first) {
            for (std::size_t i = first; i < held.size(); i += 2) {
                block_store::instance().free_orphan(held[i]);
            }
        };
        const std::jthread even(free_half, 0);
        const std::jthread odd(free_half, 1);
    }
    CHECK(count_everywhere() == before);
    // And then they are taken again.
    block_allocator blocks;
    const std::vector<fiber_block*> again = take(blocks, 8 * chunk);
    const std::set<fiber_block*> distinct(again.begin(), again.end());
    CHECK(std::count_if(held.begin(), held.end(),
                        [&](fiber_block* block) { return distinct.contains(block); }) > 0);
    give(blocks, again);
}

TEST_CASE("handles that outlive the run of many fibers give every block back") {
    const std::size_t before = count_everywhere();
    // More than one reservation holds, and more than were there when other tests ended.
    const std::size_t count = std::max(static_cast<std::size_t>(scaled(100'000)), 20 * chunk);
    std::vector<fiber<std::size_t>> kept;
    const heddle::options patient = {.shutdown_grace = std::chrono::hours(1)};
    for (int round = 0; round < 2; ++round) {
        kept.resize(count);
        heddle::run(
            [&] {
                for (std::size_t i = 0; i < count; ++i) {
                    kept[i] = spawn([i] { return i; });
                }
            },
            patient);
        CHECK(count_everywhere() == before + count);
        // In no order that chunks or reservations have.
        for (std::size_t step = 0; step < 7; ++step) {
            for (std::size_t i = step; i < count; i += 7) {
                kept[i].detach();
            }
        }
        CHECK(count_everywhere() == before);
    }
}

TEST_CASE("a block that was given back to the system reads as one that waits for nothing") {
    fiber_block* kept = nullptr;
    {
        block_allocator blocks;
        const std::vector<fiber_block*> taken = take(blocks, chunk);
        kept = taken[chunk / 2];
        kept->wait = 5;
        kept->wait = 0;
        give(blocks, taken);
    }
    CHECK(kept->wait == 0);
    CHECK(kept->state == fiber_state::vacant);
    CHECK_FALSE(heddle::detail::claim(*kept, 5));
}

TEST_CASE("fibers use the same block again, and never the same id") {
    in_fiber([] {
        std::set<const void*> blocks;
        std::unordered_set<heddle::fiber_id> ids;
        for (int i = 0; i < 10'000; ++i) {
            fiber child([] {
                return static_cast<const void*>(&heddle::detail::current_worker->current());
            });
            CHECK(ids.insert(child.get_id()).second);
            blocks.insert(child.join());
        }
        CHECK(blocks.size() == 1);
    });
}

TEST_CASE("the blocks of detached fibers are used again, also after trimming") {
    in_fiber([] {
        constexpr int count = 300;
        std::unordered_set<const fiber_block*> seen;
        for (int round = 0; round < 4; ++round) {
            for (int i = 0; i < count; ++i) {
                heddle::spawn_detached(
                    [&] { seen.insert(&heddle::detail::current_worker->current()); });
            }
            let_others_run();
            heddle::trim();
        }
        CHECK(seen.size() == count);
    });
}

TEST_CASE("a block that is used again remembers nothing of its last fiber") {
    in_fiber([] {
        const auto is_new = [](const char* name) {
            const auto& self = heddle::detail::current_worker->current();
            CHECK(self.shielded == 0);
            CHECK(std::string(self.cold->named ? self.cold->name : "") == name);
            CHECK_FALSE(heddle::this_fiber::get_stop_token().stop_requested());
            CHECK(std::current_exception() == nullptr);
            heddle::this_fiber::check_cancelled();
            return &self;
        };
        fiber special({.name = "special", .stack_bytes = 64 * 1024, .own_fp_environment = true},
                      [] {
                          auto& self = heddle::detail::current_worker->current();
                          self.shielded = 1;
                          throw 5;
                          return static_cast<const fiber_block*>(&self);
                      });
        special.request_stop();
        CHECK_THROWS_AS(special.join(), int);
        fiber first([&] { return is_new(""); });
        const fiber_block* const block = first.join();
        heddle::spawn_detached({.name = "detached"}, [&] { CHECK(is_new("detached") == block); });
        let_others_run();
        fiber second([&] { return is_new(""); });
        CHECK(second.join() == block);
    });
}

TEST_CASE("the memory of many fibers falls back when they have ended and it is trimmed") {
    in_fiber([] {
        const auto count = static_cast<std::size_t>(scaled(300'000));
        const auto wave = [count] {
            std::vector<fiber<>> fibers;
            fibers.reserve(count);
            for (std::size_t i = 0; i < count; ++i) {
                fibers.push_back(spawn([] {}));
            }
            for (fiber<>& one : fibers) {
                one.join();
            }
        };
        const std::size_t before = resident_bytes();
        wave();
        heddle::trim();
        const std::size_t after = resident_bytes();
        CHECK(after <= before + count * bytes_elsewhere + resident_slack() + kept_bytes(count));
        wave();
        heddle::trim();
        CHECK(resident_bytes() <= after + count * bytes_elsewhere / 4 + resident_slack());
        CHECK(fiber([] { return 1; }).join() == 1);
    });
}

TEST_CASE("what many sleepers took of the queue, the timers and the stacks falls back too") {
    if (heddle::detail::switches_are_watched() || heddle::detail::under_valgrind()) {
        return skip("the tool keeps what was freed");
    }
    // Of each stack its place in the list of idle ones remains; and qemu keeps some 40 bytes of
    // each page that a program may use, of which a stack has 80.
    const std::size_t bytes_that_stay = under_emulator() ? 4000 : 12;
    const child_result child = run_child([bytes_that_stay] {
        give_large_blocks_back();
        heddle::run([bytes_that_stay] {
            const auto count = static_cast<std::size_t>(scaled_stacks(200'000));
            std::vector<fiber<>> fibers(count);
            const std::size_t before = resident_bytes();
            for (fiber<>& one : fibers) {
                one = spawn([] {
                    std::error_code stopped;
                    heddle::this_fiber::sleep_for(std::chrono::hours(1), stopped);
                });
            }
            let_others_run();
            const bool all_sleep = heddle::get_statistics().stacks_in_use == count + 1;
            for (fiber<>& one : fibers) {
                one.request_stop();
            }
            for (fiber<>& one : fibers) {
                one.join();
            }
            heddle::trim();
            const std::size_t after = resident_bytes();
            std::printf("%s, %s: %zu bytes before, %zu after\n", all_sleep ? "all slept" : "awake",
                        after <= before + count * bytes_that_stay + resident_slack() ? "all gone"
                                                                                     : "kept",
                        before, after);
            // There is room again for whoever comes.
            for (fiber<>& one : fibers) {
                one = spawn([] {});
            }
            for (fiber<>& one : fibers) {
                one.join();
            }
            std::puts("and again");
        });
    });
    CAPTURE(child.output);
    CHECK(contains(child.output, "all slept, all gone"));
    CHECK(contains(child.output, "and again"));
}

TEST_CASE("the memory of many fibers falls back when their run is over") {
    const auto count = static_cast<std::size_t>(scaled(300'000));
    const auto run = [count] {
        const heddle::options patient = {.shutdown_grace = std::chrono::hours(1)};
        heddle::run(
            [count] {
                for (std::size_t i = 0; i < count; ++i) {
                    heddle::spawn_detached([] {});
                }
            },
            patient);
    };
    const std::size_t before = resident_bytes();
    run();
    const std::size_t after = resident_bytes();
    CHECK(after <= before + count * bytes_elsewhere + resident_slack() + kept_bytes(count));
    run();
    CHECK(resident_bytes() <= after + count * bytes_elsewhere / 4 + resident_slack());
}
