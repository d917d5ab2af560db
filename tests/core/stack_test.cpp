// Stacks: how they lie, are guarded, reused and given back.
#include "helpers.hpp"
#include "runtime/base/random.hpp"
#include "runtime/base/system.hpp"
#include "runtime/core/stack.hpp"
#include "stacks.hpp"
#include "tests/base/door_keeper.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace heddle::test;
using heddle::fiber;
using heddle::spawn;
using heddle::detail::guard_kind;
using heddle::detail::guards;
using heddle::detail::stack_class;
using heddle::detail::stack_pool;
using heddle::detail::sys::call;

namespace {

// Writes to every page.
void touch(const stack_class& stacks, std::byte* top) {
    for (std::byte* at = stacks.bottom(top); at < top; at += page()) {
        *at = std::byte{1};
    }
}

/// Both kinds of guard in turn, as far as the system has them; then what was found.
template <class Body>
void with_every_guard(Body body) {
    static_cast<void>(take(*std::make_unique<stack_class>(stack_bytes), 1));  // probes
    struct restorer {
        guard_kind found = guards;
        ~restorer() { guards = found; }
    } const afterwards;
    body();
    guards = guard_kind::mapped;
    body();
}

std::size_t mappings() {
    std::ifstream maps("/proc/self/maps");
    std::string line;
    std::size_t count = 0;
    while (std::getline(maps, line)) {
        ++count;
    }
    return count;
}

// By asking the kernel to read there.
bool is_readable(const std::byte* at) {
    int ends[2];
    REQUIRE(heddle::detail::sys::pipe(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    const std::int64_t result = heddle::detail::sys::write(ends[1], at, 1);
    heddle::detail::sys::close(ends[0]);
    heddle::detail::sys::close(ends[1]);
    return result == 1;
}

// (valgrind reports whoever reads what is no memory, and so is not shown any.)
bool is_guarded(const stack_class& stacks, std::byte* top) {
    if (heddle::detail::under_valgrind()) {
        return true;
    }
    const std::byte* const bottom = stacks.bottom(top);
    return is_readable(bottom) && !is_readable(bottom - 1) &&
           !is_readable(bottom - stacks.guard_bytes());
}

bool all_guarded(const stack_class& stacks, const std::vector<std::byte*>& tops) {
    return std::all_of(tops.begin(), tops.end(),
                       [&](std::byte* top) { return is_guarded(stacks, top); });
}

[[gnu::noinline]] void* address_of_local() {
    void* place = __builtin_frame_address(0);
    return place;
}

}  // namespace

TEST_CASE("a stack is aligned, as large as was asked for, and its own") {
    with_every_guard([] {
        stack_class stacks(stack_bytes);
        const std::vector<std::byte*> tops = take(stacks, 200);
        std::set<std::byte*> bottoms;
        for (std::byte* const top : tops) {
            CHECK(reinterpret_cast<std::uintptr_t>(top) % 64 == 0);
            const std::byte* const bottom = stacks.bottom(top);
            CHECK(reinterpret_cast<std::uintptr_t>(bottom) % page() == 0);
            CHECK(bottoms.insert(stacks.bottom(top)).second);
            CHECK(static_cast<std::size_t>(top - bottom) > stack_bytes - page());
            CHECK(static_cast<std::size_t>(top - bottom) <= stack_bytes);
        }
        // From one end to the other, and beyond none.
        for (std::size_t i = 0; i < tops.size(); ++i) {
            std::fill(stacks.bottom(tops[i]), tops[i], static_cast<std::byte>(i));
        }
        for (std::size_t i = 0; i < tops.size(); ++i) {
            CHECK(std::all_of(stacks.bottom(tops[i]), tops[i],
                              [i](std::byte b) { return b == static_cast<std::byte>(i); }));
        }
        give(stacks, tops);
    });
}

TEST_CASE("tops lie at thirty-two colours within their page, and pages do not line up") {
    stack_class stacks(stack_bytes);
    std::set<std::uintptr_t> offsets;
    std::vector<std::byte*> tops = take(stacks, 64);
    for (std::byte* const top : tops) {
        offsets.insert(reinterpret_cast<std::uintptr_t>(top) % page());
    }
    CHECK(offsets.size() == 32);
    std::sort(tops.begin(), tops.end());
    const auto stride = stacks.bottom(tops[1]) - stacks.bottom(tops[0]);
    CHECK(static_cast<std::size_t>(stride) / page() % 2 == 1);
    give(stacks, tops);
}

TEST_CASE("the stack that came back last is the next to be handed out") {
    stack_class stacks(stack_bytes);
    const std::vector<std::byte*> tops = take(stacks, 3);
    give(stacks, tops);
    CHECK(stacks.idle() == 3);
    CHECK(stacks.in_use() == 0);
    CHECK(stacks.take() == tops[2]);
    CHECK(stacks.take() == tops[1]);
    stacks.give(tops[2]);
    CHECK(stacks.take() == tops[2]);
    CHECK(stacks.take() == tops[0]);
    CHECK(stacks.in_use() == 3);
    give(stacks, tops);
}

TEST_CASE("a write just below a stack is a fault, with every kind of guard") {
    for (const bool mapped : {false, true}) {
        for (const std::size_t size : {16 * 1024, 256 * 1024, 4 * 1024 * 1024}) {
            const child_result child = run_child([=] {
                if (mapped) {
                    guards = guard_kind::mapped;
                }
                stack_class stacks(std::max(size, page()));
                std::byte* const first = stacks.take();
                std::byte* const second = stacks.take();
                std::byte* const upper = std::max(first, second);
                *stacks.bottom(upper) = std::byte{1};
                std::puts("still here");
                std::fflush(stdout);
                const std::size_t guard = stacks.guard_bytes();
                volatile std::byte* const below = stacks.bottom(upper) - (size % 3 ? 1 : guard);
                *below = std::byte{1};
                std::puts("went on");
            });
            CAPTURE(child.output);
            CHECK(contains(child.output, "still here"));
            CHECK_FALSE(contains(child.output, "went on"));
            CHECK((child.signal == SIGSEGV || child.exit_status == 1));  // a tool may exit
        }
    }
}

TEST_CASE("the pool rounds sizes up, to few classes, and refuses what is out of range") {
    stack_pool pool;
    std::set<std::uint8_t> indices;
    for (std::size_t size = stack_pool::bytes_min; size <= 64 * 1024 * 1024; size += size / 29) {
        const std::uint8_t index = pool.class_for(size, "size");
        CHECK(pool[index].bytes() >= size);
        CHECK(pool[index].bytes() <= size + std::max(size / 8, page()));
        CHECK(pool[index].bytes() % page() == 0);
        indices.insert(index);
        CHECK(pool.class_for(size, "size") == index);
    }
    CHECK(indices.size() <= 100);
    CHECK(pool.all().size() == indices.size());
    CHECK(pool[pool.class_for(stack_pool::bytes_max, "size")].bytes() == stack_pool::bytes_max);
    CHECK_THROWS_AS(pool.class_for(stack_pool::bytes_min - 1, "size"), std::invalid_argument);
    CHECK_THROWS_AS(pool.class_for(stack_pool::bytes_max + 1, "size"), std::invalid_argument);
    CHECK_THROWS_AS(pool.class_for(std::numeric_limits<std::size_t>::max(), "size"),
                    std::invalid_argument);
}

TEST_CASE("trimming gives back the memory of the longest idle stacks, and of no other") {
    with_every_guard([] {
        stack_class stacks(stack_bytes);
        const std::vector<std::byte*> tops = take(stacks, 100);
        for (std::byte* const top : tops) {
            touch(stacks, top);
        }
        CHECK(stacks.resident_bytes() == 100 * stack_bytes);
        const std::vector<std::byte*> idle(tops.begin(), tops.begin() + 60);
        give(stacks, idle);
        CHECK(stacks.warm() == 60);
        CHECK(stacks.resident_bytes() == 100 * stack_bytes);
        stacks.trim(20, 10);
        CHECK(stacks.warm() == 50);
        CHECK(stacks.resident_bytes() == 90 * stack_bytes);
        CHECK(*stacks.bottom(tops[9]) == std::byte{0});
        CHECK(*stacks.bottom(tops[10]) == std::byte{1});
        stacks.trim(20, 1000);
        CHECK(stacks.warm() == 20);
        // The byte that was read above is a page again, of zeros.
        CHECK(stacks.resident_bytes() <= 60 * stack_bytes + page());
        CHECK(*stacks.bottom(tops[40]) == std::byte{1});
        CHECK(*stacks.bottom(tops[60]) == std::byte{1});
        stacks.trim(0, 1000);
        CHECK(stacks.warm() == 0);
        CHECK(stacks.resident_bytes() <= 40 * stack_bytes + page());
        give(stacks, {tops.begin() + 60, tops.end()});
        CHECK(stacks.warm() == 40);
    });
}

TEST_CASE("a stack that cannot be trimmed keeps its own memory, and no other") {
    constexpr std::size_t count = 20;
    stack_class stacks(stack_bytes);
    const std::vector<std::byte*> tops = take(stacks, 2 * count);
    std::vector<std::byte*> idle;
    for (std::size_t i = 0; i < tops.size(); i += 2) {  // no two are neighbours
        touch(stacks, tops[i]);
        idle.push_back(tops[i]);
    }
    for (std::byte* const locked : {idle.front(), idle[count / 2], idle.back()}) {
        CAPTURE(locked);
        REQUIRE(::mlock(stacks.bottom(locked), page()) == 0);
        give(stacks, idle);
        stacks.trim(0, count);
        // The address sanitizer's mlock does nothing: then all of it goes.
        CHECK(stacks.resident_bytes() <= stack_bytes);
        REQUIRE(::munlock(stacks.bottom(locked), page()) == 0);
        for (std::size_t i = 0; i < count; ++i) {
            touch(stacks, stacks.take());
        }
    }
}

TEST_CASE("a stack that was trimmed and used again is trimmed again") {
    stack_class stacks(stack_bytes);
    for (int round = 0; round < 3; ++round) {
        const std::vector<std::byte*> tops = take(stacks, 50);
        for (std::byte* const top : tops) {
            touch(stacks, top);
        }
        give(stacks, tops);
        CHECK(stacks.warm() == 50);
        stacks.trim(0, 1000);
        CHECK(stacks.warm() == 0);
        CHECK(stacks.resident_bytes() == 0);
    }
    // Part of them.
    const std::vector<std::byte*> tops = take(stacks, 20);
    touch(stacks, tops[0]);
    give(stacks, tops);
    CHECK(stacks.warm() == 20);
    stacks.trim(0, 1000);
    CHECK(stacks.resident_bytes() == 0);
}

TEST_CASE("every stack is guarded, however many there are") {
    with_every_guard([] {
        stack_class stacks(stack_bytes);
        const std::vector<std::byte*> tops = take(stacks, static_cast<std::size_t>(scaled(5000)));
        CHECK(all_guarded(stacks, tops));
        give(stacks, tops);
    });
}

TEST_CASE("guards that cannot be made together are made one by one") {
    struct light_guards {
        guard_kind found = guards;
        light_guards() { static_cast<void>(take(*std::make_unique<stack_class>(stack_bytes), 1)); }
        ~light_guards() { guards = found; }
    } const afterwards;
    if (guards != guard_kind::light) {
        return;  // so they are anyhow
    }
    // A kernel that knows nothing of it is asked once, by the stacks that are made first.
    std::byte* const place = take(*std::make_unique<stack_class>(stack_bytes), 1).front();
    const iovec nothing = {place, 0};
    const bool together =
        !heddle::detail::under_valgrind() &&
        ::syscall(SYS_process_madvise, -10001, &nothing, 1, MADV_DONTNEED, 0U) == 0;
    // The first two are of the moment, and tried again; with the others there is no hope.
    for (const int error : {ENOMEM, EAGAIN, ENOSYS, EPERM, EBADF, EINVAL}) {
        CAPTURE(error);
        const child_result child = run_child([=] {
            stack_class stacks(stack_bytes);
            std::vector<std::byte*> tops = take(stacks, 100);
            int refused = 0;
            {
                const door_keeper keeper([&](call asked, int) -> std::int64_t {
                    refused += asked == call::process_madvise ? 1 : 0;
                    return asked == call::process_madvise ? -error : 0;
                });
                const std::vector<std::byte*> more = take(stacks, 100);
                tops.insert(tops.end(), more.begin(), more.end());
                stacks.trim(0, 1000);
            }
            std::printf("%s %s", all_guarded(stacks, tops) ? "guarded" : "open",
                        refused == 0   ? "never asked"
                        : refused == 1 ? "once"
                                       : "often");
        });
        CHECK(child.output == (!together                            ? "guarded never asked"
                               : error == ENOMEM || error == EAGAIN ? "guarded often"
                                                                    : "guarded once"));
    }
}

TEST_CASE("guards outlast the memory of their stacks") {
    with_every_guard([] {
        stack_class stacks(stack_bytes);
        std::vector<std::byte*> tops = take(stacks, 100);
        // Gaps, so that stacks are given back by themselves and as neighbours.
        const std::vector<std::byte*> kept = {tops[7], tops[50], tops[51]};
        std::erase_if(tops, [&](std::byte* top) {
            return std::find(kept.begin(), kept.end(), top) != kept.end();
        });
        for (std::byte* const top : tops) {
            touch(stacks, top);
        }
        give(stacks, tops);
        stacks.trim(0, tops.size());
        CHECK(stacks.resident_bytes() == 0);
        tops.insert(tops.end(), kept.begin(), kept.end());
        CHECK(all_guarded(stacks, tops));
        give(stacks, kept);
    });
}

TEST_CASE("trimming drops reservations in which no stack is in use, and no other") {
    with_every_guard([] {
        stack_class stacks(stack_bytes);
        const std::size_t before = mappings();
        std::vector<std::byte*> tops = take(stacks, 1000);
        for (std::byte* const top : tops) {
            *(top - 1) = std::byte{1};
        }
        std::byte* const kept = tops[100];
        tops.erase(tops.begin() + 100);
        give(stacks, tops);
        stacks.trim_all();
        // Reservations double, so that this one holds at most as many as those before it.
        CHECK(stacks.idle() <= 100);
        CHECK(stacks.in_use() == 1);
        CHECK(stacks.warm() == 0);
        CHECK(stacks.resident_bytes() == page());
        CHECK(*(kept - 1) == std::byte{1});
        CHECK(is_guarded(stacks, kept));
        tops = take(stacks, 1000);
        CHECK(std::set<std::byte*>(tops.begin(), tops.end()).size() == tops.size());
        CHECK(std::find(tops.begin(), tops.end(), kept) == tops.end());
        CHECK(all_guarded(stacks, {tops.begin(), tops.begin() + 200}));
        give(stacks, tops);
        stacks.give(kept);
        stacks.trim_all();
        CHECK(stacks.idle() == 0);
        CHECK(mappings() <= before + 2);
        give(stacks, take(stacks, 20));
    });
}

TEST_CASE("stacks that are taken, given and trimmed at random are never handed out twice") {
    heddle::detail::random_sequence random(seed());
    stack_pool pool;
    stack_class& stacks = pool[pool.class_for(16 * 1024, "size")];
    std::vector<std::byte*> held;
    std::int64_t now = 0;
    const auto mark = [](std::byte* top) -> std::byte*& {
        return reinterpret_cast<std::byte**>(top)[-1];
    };
    for (int step = 0; step < scaled(20'000); ++step) {
        switch (random.below(8)) {
        case 0:
        case 1:
        case 2:
            for (std::uint64_t i = random.below(step % 1000 < 500 ? 40 : 10); i > 0; --i) {
                held.push_back(stacks.take());
                REQUIRE(held.back() != nullptr);
                mark(held.back()) = held.back();
            }
            break;
        case 3:
        case 4:
        case 5:
            for (std::uint64_t i = random.below(30); i > 0 && !held.empty(); --i) {
                std::swap(held[static_cast<std::size_t>(random.below(held.size()))], held.back());
                REQUIRE(mark(held.back()) == held.back());
                mark(held.back()) = nullptr;
                stacks.give(held.back());
                held.pop_back();
            }
            break;
        case 6:
            now += static_cast<std::int64_t>(
                random.below(static_cast<std::uint64_t>(stack_pool::spell_ns)));
            pool.trim_a_little(now);
            break;
        default:
            if (random.below(20) == 0) {
                pool.trim_all();
            } else {
                stacks.trim(random.below(50), random.below(50));
            }
        }
        REQUIRE(stacks.in_use() == held.size());
        REQUIRE(stacks.warm() <= stacks.idle());
    }
    CHECK(all_guarded(stacks, held));
    for (std::byte* const top : held) {
        REQUIRE(mark(top) == top);
    }
    give(stacks, held);
    pool.trim_all();
    CHECK(stacks.resident_bytes() == 0);
}

TEST_CASE("fibers that come one after the other run on the same stack") {
    in_fiber([] {
        fiber first(address_of_local);
        const void* const place = first.join();
        for (int i = 0; i < 100; ++i) {
            CHECK(fiber(address_of_local).join() == place);
        }
        CHECK(heddle::get_statistics().stacks_pooled == 1);
        fiber of_other_size({.stack_bytes = 16 * 1024}, address_of_local);
        CHECK(of_other_size.join() != place);
        CHECK(heddle::get_statistics().stacks_pooled == 2);
    });
}

TEST_CASE("a hundred thousand parked fibers need few mappings, and give their memory back") {
    in_fiber([] {
        const auto count = static_cast<std::size_t>(scaled_stacks(100'000));
        const bool light = guards == guard_kind::light;
        for (int wave = 0; wave < 2; ++wave) {
            const std::size_t mappings_before = mappings();
            const std::uint64_t resident_before = heddle::get_statistics().stack_bytes_resident;
            std::vector<fiber<>> parked;
            parked.reserve(count);
            for (std::size_t i = 0; i < count; ++i) {
                parked.push_back(
                    spawn([] { heddle::this_fiber::sleep_until(heddle::deadline::never()); }));
            }
            heddle::this_fiber::yield();
            heddle::statistics now = heddle::get_statistics();
            CHECK(now.stacks_in_use == count + 1);
            CHECK(now.fibers_runnable == 1);
            CHECK(now.stack_bytes_resident >= count * page());
            const std::size_t tools = heddle::detail::has_race_tool() ? 2 * count : 0;
            CHECK(mappings() <= mappings_before + (light ? 0 : 2 * count) + tools + 100);
            for (fiber<>& one : parked) {
                one.request_stop();
            }
            for (fiber<>& one : parked) {
                std::error_code code;
                one.join(code);
            }
            heddle::trim();
            now = heddle::get_statistics();
            CHECK(now.stacks_in_use == 1);
            CHECK(now.stacks_pooled < count);
            CHECK(now.stack_bytes_resident <= resident_before + 4 * page());
        }
    });
}

TEST_CASE("stacks of many sizes live side by side") {
    in_fiber([] {
        std::vector<fiber<std::size_t>> fibers;
        for (std::size_t i = 0; i < 500; ++i) {
            const std::size_t size = 16 * 1024 + i % 50 * 9999;
            fibers.push_back(spawn({.stack_bytes = size}, [i, size] {
                volatile unsigned char room[8 * 1024];
                std::fill(std::begin(room), std::end(room), static_cast<unsigned char>(i));
                let_others_run();
                CHECK(std::all_of(std::begin(room), std::end(room), [i](unsigned char c) {
                    return c == static_cast<unsigned char>(i);
                }));
                return size;
            }));
        }
        for (std::size_t i = 0; i < fibers.size(); ++i) {
            CHECK(fibers[i].join() == 16 * 1024 + i % 50 * 9999);
        }
    });
}
