// The mailbox: each block is in it at most once, with all that was posted for it.
#include "helpers.hpp"
#include "runtime/base/random.hpp"
#include "runtime/core/mailbox.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

using namespace heddle::test;
using heddle::detail::cold_block;
using heddle::detail::fiber_block;
using heddle::detail::mail_release;
using heddle::detail::mail_stop;
using heddle::detail::mail_wake;
using heddle::detail::mailbox;

namespace {

constexpr std::size_t blocks = 8;

/// Blocks that exist for the mailbox's sake only.
struct population {
    std::array<fiber_block, blocks> hot;
    std::array<cold_block, blocks> cold;

    population() {
        for (std::size_t i = 0; i < blocks; ++i) {
            hot[i].cold = &cold[i];
        }
    }
    std::size_t index_of(const fiber_block& block) const {
        return static_cast<std::size_t>(&block - hot.data());
    }
};

using taken = std::vector<std::pair<fiber_block*, int>>;

taken take_all(mailbox& box) {
    taken all;
    box.take_all([&](fiber_block& block, std::uint8_t bits) { all.emplace_back(&block, bits); });
    return all;
}

}  // namespace

TEST_CASE("mail is taken in the order of posting, each block once with all its bits") {
    population people;
    mailbox box;
    CHECK(box.empty());
    CHECK(take_all(box).empty());
    box.post(people.hot[2], mail_stop);
    box.post(people.hot[0], mail_wake);
    box.post(people.hot[2], mail_wake);
    box.post(people.hot[1], mail_release);
    box.post(people.hot[2], mail_wake);
    CHECK_FALSE(box.empty());
    const taken expected = {{&people.hot[2], mail_stop | mail_wake},
                            {&people.hot[0], mail_wake},
                            {&people.hot[1], mail_release}};
    CHECK((take_all(box) == expected));
    CHECK(box.empty());
    CHECK(take_all(box).empty());
}

TEST_CASE("a block may be posted again as soon as its mail is being looked at") {
    population people;
    mailbox box;
    box.post(people.hot[0], mail_wake);
    box.post(people.hot[1], mail_wake);
    int calls = 0;
    box.take_all([&](fiber_block& block, std::uint8_t bits) {
        CHECK(bits == mail_wake);
        ++calls;
        box.post(block, mail_stop);
    });
    CHECK(calls == 2);
    const taken expected = {{&people.hot[0], mail_stop}, {&people.hot[1], mail_stop}};
    CHECK((take_all(box) == expected));
}

TEST_CASE("no mail is lost however many threads post while it is taken") {
    constexpr int threads = 4;
    const int posts = scaled(200'000);
    population people;
    mailbox box;
    // For each block and bit: posts begun, and the largest of these numbers that a taker has seen
    // the effect of.
    std::array<std::array<std::atomic<std::uint64_t>, 3>, blocks> posted = {};
    std::array<std::array<std::uint64_t, 3>, blocks> seen = {};
    std::atomic<int> running = threads;
    const auto take = [&] {
        // What was begun before the take and has been posted is seen by it, or was before.
        box.take_all([&](fiber_block& block, std::uint8_t bits) {
            CHECK(bits != 0);
            for (std::size_t bit = 0; bit < 3; ++bit) {
                if ((bits >> bit & 1) != 0) {
                    const std::size_t i = people.index_of(block);
                    seen[i][bit] = posted[i][bit];
                }
            }
        });
    };
    {
        std::vector<std::jthread> posters;
        for (int t = 0; t < threads; ++t) {
            posters.emplace_back([&, t] {
                heddle::detail::random_sequence random(static_cast<std::uint64_t>(t));
                for (int i = 0; i < posts; ++i) {
                    const std::size_t which = random.below(blocks);
                    const std::size_t bit = random.below(3);
                    ++posted[which][bit];
                    box.post(people.hot[which], static_cast<std::uint8_t>(1 << bit));
                }
                --running;
            });
        }
        while (running > 0) {
            take();
        }
    }
    take();
    CHECK(box.empty());
    for (std::size_t i = 0; i < blocks; ++i) {
        CHECK(people.cold[i].mail == 0);
        for (std::size_t bit = 0; bit < 3; ++bit) {
            CHECK(seen[i][bit] == posted[i][bit]);
        }
    }
}
