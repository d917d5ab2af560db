// select in the long run: fair among the ready, no memory, no meeting with itself.
#include "runtime/base/random.hpp"
#include "tests/core/helpers.hpp"
#include "tests/faults/heap.hpp"
#include "tests/support/in_fiber.hpp"
#include "tests/support/report.hpp"

#include "heddle/select.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

/// The sum over all cases of (observed - expected)^2 / expected.
double chi_square(const std::vector<int>& counts) {
    double total = 0;
    for (const int count : counts) {
        total += count;
    }
    const double expected = total / static_cast<double>(counts.size());
    double sum = 0;
    for (const int count : counts) {
        const double off = count - expected;
        sum += off * off / expected;
    }
    return sum;
}

TEST_CASE("each of the cases that are ready is chosen as often as the others") {
    in_fiber([] {
        // Some are ready and some are not, in between.
        const channel<int> ended;
        ended.close();
        const channel<int> never_ready;
        event happened(true);
        fiber<> over([] {});
        let_others_run();
        const channel<int> room(1);
        std::vector<int> counts(5);
        const auto ignore = [](std::optional<int>) {};
        const int rounds = 20'000;
        for (int i = 0; i < rounds; ++i) {
            const std::size_t taken =
                select(on_recv(ended, ignore), on_recv(never_ready, ignore), on_event(happened),
                       on_send(never_ready, 1), on_join(over), on_send(room, 1),
                       on_recv(ended, ignore), after(1h));
            constexpr std::array<int, 8> places = {0, -1, 1, -1, 2, 3, 4, -1};
            REQUIRE(places.at(taken) >= 0);
            ++counts[static_cast<std::size_t>(places.at(taken))];
            static_cast<void>(room.try_recv());
        }
        // 4 degrees of freedom: exceeded by chance once in a hundred million.
        CHECK(chi_square(counts) < 43);
        over.join();
    });
}

TEST_CASE("a loop of selects allocates nothing") {
    if (!has_own_heap) {
        return;  // the tool has an operator new of its own
    }
    in_fiber([] {
        const channel<int> there;
        const channel<int> back;
        event happened;
        const auto pipe_like = std::make_unique<channel<int>>(3);
        fiber<> slow([] { this_fiber::sleep_for(1h); });
        fiber<> other([&] {
            for (int i = 0; i < 200; ++i) {
                select(on_recv(there, [](std::optional<int>) {}), on_event(happened));
                select(on_send(back, i), on_event(happened));
            }
        });
        static int allocations;
        allocations = 0;
        std::size_t sum = 0;
        for (int i = 0; i < 200; ++i) {
            if (i == 1) {  // the first round may have grown what stays
                allocation_fails = [] {
                    ++allocations;
                    return false;
                };
            }
            sum += select(on_send(there, i), on_event(happened), on_join(slow), after(1h));
            sum += select(on_recv(back, [&](std::optional<int> value) { CHECK(value == i); }),
                          on_recv(*pipe_like, [](std::optional<int>) {}), after(1h));
        }
        allocation_fails = nullptr;
        CHECK(allocations == 0);
        CHECK(sum == 0);
        slow.request_stop();
        other.join();
    });
}

TEST_CASE("a select that both sends to a channel and receives from it does not meet itself") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> meeting;
            const auto both = [&](int number) {
                return select(
                    on_send(meeting, number),
                    on_recv(meeting, [&](std::optional<int> value) { CHECK(value != number); }));
            };
            std::size_t one_taken = 0;
            CHECK(select(on_send(meeting, 1), on_recv(meeting, [](std::optional<int>) {}),
                         otherwise()) == 2);
            std::size_t senders = 0;
            for (int i = 0; i < 100; ++i) {
                fiber<std::size_t> other([&] { return both(1); });
                if (i % 2 == 0) {
                    let_others_run();  // else that one comes second
                }
                one_taken = both(2);
                CHECK(one_taken + other.join() == 1);
                senders += one_taken;
            }
            CHECK(senders > 0);
            CHECK(senders < 100);
        });
    });
}

TEST_CASE("many cases are looked at, and the last of them is found") {
    in_fiber([] {
        std::vector<channel<int>> channels;
        for (int i = 0; i < 16; ++i) {
            channels.emplace_back(0);
        }
        const auto ignore = [](std::optional<int>) {};
        for (std::size_t wanted = 0; wanted < 16; ++wanted) {
            fiber<std::size_t> selecting([&] {
                return select(on_recv(channels[0], ignore), on_recv(channels[1], ignore),
                              on_recv(channels[2], ignore), on_recv(channels[3], ignore),
                              on_recv(channels[4], ignore), on_recv(channels[5], ignore),
                              on_recv(channels[6], ignore), on_recv(channels[7], ignore),
                              on_recv(channels[8], ignore), on_recv(channels[9], ignore),
                              on_recv(channels[10], ignore), on_recv(channels[11], ignore),
                              on_recv(channels[12], ignore), on_recv(channels[13], ignore),
                              on_recv(channels[14], ignore), on_recv(channels[15], ignore));
            });
            let_others_run();
            channels[wanted].send(1);
            CHECK(selecting.join() == wanted);
        }
    });
}

/// Parties that exchange numbers over a few channels, by sends and selects of all kinds: each
/// number that was sent is received, once.
class crowd {
public:
    crowd(std::uint64_t seed, std::size_t parties, int rounds)
        : random_(seed),
          sent_(parties),
          received_(parties),
          rounds_(rounds) {
        for (std::size_t i = 0; i < 3; ++i) {
            channels_.emplace_back(random_.below(3));
        }
    }

    void run() {
        in_fiber([this] {
            std::vector<fiber<>> fibers;
            for (std::size_t party = 0; party < sent_.size(); ++party) {
                fibers.push_back(spawn([this, party] { take_part(party); }));
            }
            // As long as the others go on, somebody has to.
            fiber<> last([this] {
                for (;;) {
                    select(on_recv(channels_[0], [this](auto v) { note(0, v); }),
                           on_recv(channels_[1], [this](auto v) { note(0, v); }),
                           on_recv(channels_[2], [this](auto v) { note(0, v); }));
                }
            });
            for (auto& one : fibers) {
                std::error_code ec;
                one.join(ec);
            }
            let_others_run();
            last.request_stop();
            std::error_code ec;
            last.join(ec);
            for (const auto& from : channels_) {
                CHECK(from.size() == 0);
            }
        });
        int sent = 0;
        int received = 0;
        for (std::size_t party = 0; party < sent_.size(); ++party) {
            sent += sent_[party];
            received += received_[party];
        }
        CHECK(sent == received);
    }

private:
    struct number {
        int value = 0;
    };

    void note(std::size_t party, std::optional<std::unique_ptr<number>>& value) {
        REQUIRE(value);
        CHECK(value->get() != nullptr);
        ++received_[party];
    }

    const channel<std::unique_ptr<number>>& any() { return channels_[random_.below(3)]; }

    void take_part(std::size_t party) {
        const auto got = [&](auto value) { note(party, value); };
        const auto gone = [&] { ++sent_[party]; };
        for (int i = 0; i < rounds_; ++i) {
            auto first = std::make_unique<number>();
            auto second = std::make_unique<number>();
            switch (random_.below(6)) {
            case 0:
                select(on_send(any(), std::move(first), gone),
                       on_send(any(), std::move(second), gone));
                CHECK((first == nullptr) != (second == nullptr));
                break;
            case 1: {
                const std::size_t taken = select(on_send(any(), std::move(first), gone),
                                                 on_recv(any(), got), on_recv(any(), got));
                CHECK((first == nullptr) == (taken == 0));
                break;
            }
            case 2:
                select(on_recv(any(), got), on_recv(any(), got),
                       after(std::chrono::microseconds(random_.below(20))));
                break;
            case 3:
                any().send(std::move(first));
                gone();
                break;
            case 4: {
                fiber<> child([] { this_fiber::yield(); });
                select(on_join(child), on_send(any(), std::move(first), gone));
                break;
            }
            default:
                select(on_recv(any(), got), on_send(any(), std::move(second), gone), otherwise());
                break;
            }
        }
    }

    detail::random_sequence random_;
    std::vector<channel<std::unique_ptr<number>>> channels_;
    std::vector<int> sent_;
    std::vector<int> received_;
    int rounds_;
};

TEST_CASE("whatever selects meet, every value that was sent is received, once") {
    detail::random_sequence random(seed());
    on_both_atomic_paths([&] {
        for (int i = 0; i < scaled(100); ++i) {
            crowd(random.next(), 2 + random.below(5), 40).run();
        }
    });
}

}  // namespace

}  // namespace heddle::test
