// What a switch hands over and what it preserves, how a fresh context begins, and who owns the top
// of a stack.
#include "checker.h"
#include "flow.h"
#include "tests/support/child.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

using heddle::detail::context_frame_bytes;
using heddle::detail::context_make;
using heddle::test::flow;
using heddle::test::side;
using heddle::test::stack;

namespace {

constexpr std::intptr_t values[] = {0,
                                    1,
                                    -1,
                                    std::numeric_limits<std::intptr_t>::max(),
                                    std::numeric_limits<std::intptr_t>::min(),
                                    0x0123'4567};

void scribble(char* from, char* to) {
    for (volatile char* byte = from; byte != to; ++byte) {
        *byte = 0x5a;
    }
}

}  // namespace

TEST_CASE("values pass through a switch in both directions") {
    std::vector<std::intptr_t> received;
    flow echo([&](flow& self) {
        std::intptr_t value = 0;
        for (;;) {
            value = self.suspend(value ^ 0x55);
            received.push_back(value);
        }
    });
    CHECK(echo.resume() == 0x55);
    for (const std::intptr_t value : values) {
        CHECK(echo.resume(value) == (value ^ 0x55));
    }
    CHECK(received == std::vector<std::intptr_t>(std::begin(values), std::end(values)));
}

// flow::resume and flow::suspend load a new pattern into each register, on both sides, every time.
// One pattern held over several switches would not notice a register that is never stored.
TEST_CASE("every callee-saved register survives every switch") {
    int rounds = 0;
    flow other([&](flow& self) {
        for (;; ++rounds) {
            self.suspend();
        }
    });
    for (int i = 0; i < 1000; ++i) {
        other.resume();
    }
    CHECK(rounds == 999);
}

TEST_CASE("thousands of contexts keep their registers and values apart") {
    constexpr int count = 4096;
    constexpr int rounds = 5;
    struct member {
        stack memory{32 * 1024};
        side own;
        side* next = nullptr;

        static void run(void* self) {
            heddle::test::arrive();
            auto& it = *static_cast<member*>(self);
            for (std::intptr_t passed = 0;;) {
                passed = heddle::test::cross(it.own, *it.next, passed + 1);
            }
        }
    };
    std::vector<member> ring(count);
    side outside;
    for (int i = 0; i < count; ++i) {
        member& it = ring[static_cast<std::size_t>(i)];
        it.next = i + 1 < count ? &ring[static_cast<std::size_t>(i) + 1].own : &outside;
        heddle::test::make(it.own, it.memory, member::run, &it);
    }
    // A fresh context gets no value, so the count begins anew with every member in the first round.
    CHECK(heddle::test::cross(outside, ring[0].own, 0) == 1);
    std::intptr_t passed = 0;
    for (int round = 1; round < rounds; ++round) {
        passed = heddle::test::cross(outside, ring[0].own, passed);
        CHECK(passed == std::intptr_t{count} * round);
    }
}

TEST_CASE("an entry function gets its argument, an aligned stack and clear flags") {
    struct facts : entry_facts {
        side outside;
        side inside;
    } found;
    found.misalignment = 1;
    found.wrong_flags = 1;
    found.frame_pointer = 1;
    found.next = [](entry_facts* self) {
        heddle::test::arrive();
        heddle::test::leave(static_cast<facts*>(self)->outside, 7);
    };
    const stack memory;
    heddle::test::make(found.inside, memory, heddle_test_entry, static_cast<entry_facts*>(&found));
    CHECK(heddle::test::cross(found.outside, found.inside, 0) == 7);
    if (heddle_test_register_names[0] == '\0') {
        return;  // no checker for this CPU
    }
    CHECK(found.misalignment == 0);
    CHECK(found.wrong_flags == 0);
    if (std::strcmp(heddle::detail::context_backend, "asm") == 0) {
        CHECK_MESSAGE(found.frame_pointer == 0, "frame-pointer walkers would run on");
    }
}

TEST_CASE("code in a context may rely on the alignment of its stack") {
    using four_floats [[gnu::vector_size(16)]] = float;
    char printed[64] = {};
    float sum = 0;
    std::uintptr_t misaligned = 1;
    flow user([&](flow&) {
        alignas(16) volatile four_floats aligned = {1, 2, 3, 4};  // an aligned vector store
        const four_floats copy = aligned;
        sum = copy[0] + copy[1] + copy[2] + copy[3];
        alignas(64) volatile char wide[64] = {};
        misaligned = reinterpret_cast<std::uintptr_t>(&wide) % 64;
        std::snprintf(printed, sizeof printed, "%f %Lf", 1.5, 2.25L);
    });
    user.resume();
    CHECK(user.ended());
    CHECK(sum == 10);
    CHECK(misaligned == 0);
    CHECK(std::string_view(printed) == "1.500000 2.250000");
}

TEST_CASE("a flow leaves for good into a scratch context that nobody resumes") {
    flow brief([](flow&) {});
    brief.resume();  // flow::enter ends in such a switch
    CHECK(brief.ended());
}

TEST_CASE("context_make writes context_frame_bytes at the stack's top and nothing else") {
    constexpr std::size_t size = 64 * 1024;
    constexpr std::size_t beyond = 256;
    const stack memory(size + beyond);
    char* const top = memory.bottom() + size;
    std::fill(memory.bottom(), memory.top(), '\x5a');
    heddle_context fresh;
    context_make(
        fresh, top, [](void*) {}, nullptr);
    const auto untouched = [](char byte) { return byte == '\x5a'; };
    CHECK(std::all_of(memory.bottom(), top - context_frame_bytes, untouched));
    CHECK(std::all_of(top, memory.top(), untouched));
    CHECK_FALSE(std::all_of(top - context_frame_bytes, top, untouched));
}

TEST_CASE("a running flow keeps nothing in the top context_frame_bytes of its stack") {
    int caught = 0;
    flow tenant([&](flow& self) {
        for (int i = 0; i < 3; ++i) {
            scribble(self.memory().top() - context_frame_bytes, self.memory().top());
            self.suspend(i);
            try {
                throw i;
            } catch (const int thrown) {
                caught += thrown + 1;
            }
        }
    });
    for (int i = 0; i < 3; ++i) {
        CHECK(tenant.resume() == i);
    }
    tenant.resume();
    CHECK(tenant.ended());
    CHECK(caught == 6);
}

TEST_CASE("a finished flow makes its successor on the stack that it runs on") {
    constexpr int length = 100'000;
    struct chain {
        stack memory;
        side outside;
        side next;
        int made = 1;
        int ran = 0;

        static void link(void* self) {
            heddle::test::arrive();
            auto& it = *static_cast<chain*>(self);
            ++it.ran;
            if (it.made == length) {
                heddle::test::leave(it.outside, it.ran);
            }
            ++it.made;
            heddle::test::make(it.next, it.memory, link, self);
            heddle::test::leave(it.next, 0);
        }
    } one;
    heddle::test::make(one.next, one.memory, chain::link, &one);
    CHECK(heddle::test::cross(one.outside, one.next, 0) == length);
}

TEST_CASE("a finished flow goes elsewhere, and its successor on the same stack runs later") {
    struct pair {
        stack memory;
        side outside;
        side next;

        static void first(void* self) {
            heddle::test::arrive();
            auto& it = *static_cast<pair*>(self);
            heddle::test::make(it.next, it.memory, second, self);
            heddle::test::leave(it.outside, 1);
        }
        static void second(void* self) {
            heddle::test::arrive();
            heddle::test::leave(static_cast<pair*>(self)->outside, 2);
        }
    } one;
    heddle::test::make(one.next, one.memory, pair::first, &one);
    CHECK(heddle::test::cross(one.outside, one.next, 0) == 1);
    CHECK(heddle::test::cross(one.outside, one.next, 0) == 2);
}

TEST_CASE("a return from the entry function traps") {
    const auto child = heddle::test::run_child([] {
        std::signal(SIGILL, SIG_DFL);
#ifdef SIGTRAP
        std::signal(SIGTRAP, SIG_DFL);
#endif
        const stack memory;
        side outside;
        side inside;
        heddle::test::make(
            inside, memory, [](void*) { heddle::test::arrive(); }, nullptr);
        heddle::test::cross(outside, inside, 0);
    });
    CHECK_FALSE(child.timed_out);
    bool trapped = child.signal == SIGILL;
#ifdef SIGTRAP
    trapped |= child.signal == SIGTRAP;
#endif
    CHECK_MESSAGE(trapped, "signal ", child.signal, ", output ", child.output);
}
