// select: which case is taken, what the others are left with, and how it ends otherwise.
#include "heddle/select.hpp"

#include "runtime/core/worker.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"

#include "heddle/cancel.hpp"
#include "heddle/error.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

/// Whether nobody waits for the channel any more, in either direction.
template <class T>
bool nobody_waits(const channel<T>& at, T value) {
    return !at.try_send(std::move(value)) && !at.try_recv();
}

TEST_CASE("the case that is ready is taken, by its index, and its function is called") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> empty;
            const channel<int> full(1);
            full.send(7);
            event happened(true);
            fiber<int> ended([] { return 3; });
            let_others_run();
            int seen = 0;
            CHECK(select(on_recv(empty, [](std::optional<int>) { CHECK(false); }),
                         on_recv(full, [&](std::optional<int> value) { seen = value.value(); })) ==
                  1);
            CHECK(seen == 7);
            CHECK(select(on_send(empty, 1, [] { CHECK(false); }),
                         on_recv(empty, [](std::optional<int>) { CHECK(false); }),
                         on_send(full, 8, [&] { seen = 1; }), on_send(empty, 1)) == 2);
            CHECK(seen == 1);
            CHECK(full.recv() == 8);
            CHECK(select(on_send(empty, 1), on_event(happened, [&] { seen = 2; })) == 1);
            CHECK(seen == 2);
            CHECK(happened.is_set());
            CHECK(select(on_join(ended, [&] { seen = 3; }), on_send(empty, 1)) == 0);
            CHECK(seen == 3);
            CHECK(ended.join() == 3);
            CHECK(nobody_waits(empty, 1));
        });
    });
}

TEST_CASE("what happens first while it waits is taken, and nothing remains of the others") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> numbers;
            const channel<std::string> words;
            event happened;
            auto_reset_event knocked;
            for (int which = 0; which < 6; ++which) {
                fiber<> runner([] { this_fiber::sleep_for(1h); });
                std::optional<int> got;
                fiber<std::size_t> selecting([&] {
                    return select(on_recv(numbers, [&](auto value) { got = value; }),
                                  on_send(words, "sent"), on_event(happened), on_event(knocked),
                                  on_join(runner), after(1h),
                                  on_recv(numbers, [&](auto value) { got = value; }));
                });
                let_others_run();
                switch (which) {
                case 0:
                    numbers.send(5);
                    break;
                case 1:
                    CHECK(words.recv() == "sent");
                    break;
                case 2:
                    happened.set();
                    happened.reset();
                    break;
                case 3:
                    knocked.set();
                    break;
                case 4:
                    runner.request_stop();
                    break;
                default:
                    numbers.close();
                    break;
                }
                const std::size_t taken = selecting.join();
                if (which == 0 || which == 5) {
                    CHECK((taken == 0 || taken == 6));
                    CHECK(got == (which == 0 ? std::optional<int>(5) : std::nullopt));
                } else {
                    CHECK(taken == static_cast<std::size_t>(which));
                    CHECK_FALSE(got);
                }
                CHECK(nobody_waits(numbers, 1));
                CHECK(nobody_waits<std::string>(words, "x"));
                CHECK_FALSE(knocked.try_wait());
                runner.request_stop();
                CHECK(code_of([&] { runner.join(); }) == std::errc::operation_canceled);
            }
        });
    });
}

TEST_CASE("with otherwise it never waits") {
    in_fiber([] {
        const channel<int> numbers(1);
        int seen = 0;
        CHECK(select(on_recv(numbers, [](std::optional<int>) { CHECK(false); }),
                     otherwise([&] { seen = 1; })) == 1);
        CHECK(seen == 1);
        CHECK(select(otherwise()) == 0);
        CHECK(select(otherwise(), on_send(numbers, 1)) == 1);
        CHECK(select(after(1h), otherwise(), on_send(numbers, 1)) == 1);
        CHECK(select(after(in_the_past()), on_recv(numbers, [](std::optional<int>) {})) == 1);
    });
}

TEST_CASE("the earliest deadline ends it, and one in the past lets the others be tried") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> numbers;
            int seen = 0;
            CHECK(select(after(1h), on_send(numbers, 1), after(1ms, [&] { seen = 1; }),
                         after(deadline::never())) == 2);
            CHECK(seen == 1);
            CHECK(select(after(in_the_past(), [&] { seen = 2; }),
                         on_recv(numbers, [](std::optional<int>) { CHECK(false); })) == 0);
            CHECK(seen == 2);
            CHECK(nobody_waits(numbers, 1));
            fiber<> sender([&] { numbers.send(9); });
            let_others_run();
            CHECK(select(after(in_the_past()),
                         on_recv(numbers, [&](auto value) { CHECK(value == 9); })) == 1);
            sender.join();
        });
    });
}

TEST_CASE("a fiber that was asked to stop takes no case, and one that waits is woken") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> numbers(1);
            const channel<int> meeting;
            numbers.send(1);
            fiber<> stopped([&] {
                std::error_code ec;
                CHECK(select(ec, on_recv(numbers, [](std::optional<int>) { CHECK(false); }),
                             otherwise([] { CHECK(false); })) == no_case);
                CHECK(ec == std::errc::operation_canceled);
                select(on_recv(numbers, [](std::optional<int>) { CHECK(false); }));
                CHECK(false);
            });
            stopped.request_stop();
            CHECK(code_of([&] { stopped.join(); }) == std::errc::operation_canceled);
            CHECK(numbers.size() == 1);

            event happened;
            fiber<> waiting([&] {
                select(on_recv(meeting, [](std::optional<int>) { CHECK(false); }),
                       on_send(meeting, 2), on_event(happened));
            });
            let_others_run();
            waiting.request_stop();
            CHECK(nobody_waits(meeting, 1));
            CHECK(code_of([&] { waiting.join(); }) == std::errc::operation_canceled);
            CHECK(nobody_waits(meeting, 1));

            fiber<> done([&] { CHECK(select(on_send(meeting, 3), on_event(happened)) == 0); });
            let_others_run();
            CHECK(meeting.recv() == 3);
            done.request_stop();
            done.join();

            fiber<> shielded([&] {
                const shield through;
                CHECK(select(on_recv(meeting, [](std::optional<int>) { CHECK(false); }),
                             on_event(happened)) == 1);
            });
            let_others_run();
            shielded.request_stop();
            let_others_run();
            happened.set();
            shielded.join();
        });
    });
}

TEST_CASE(
    "a closed channel is ready: to be received from with nothing, to be sent to with an error") {
    in_fiber([] {
        const channel<int> numbers(1);
        numbers.send(1);
        numbers.close();
        int calls = 0;
        CHECK(select(on_recv(numbers, [&](std::optional<int> v) { calls += v == 1; })) == 0);
        CHECK(select(on_recv(numbers, [&](std::optional<int> v) { calls += !v; })) == 0);
        CHECK(calls == 2);
        auto value = std::make_unique<int>(1);
        const channel<std::unique_ptr<int>> pointers;
        fiber<> waiting([&] {
            CHECK(code_of([&] {
                      select(on_send(pointers, std::move(value), [] { CHECK(false); }));
                  }) == errc::closed);
        });
        let_others_run();
        pointers.close();
        waiting.join();
        std::error_code ec;
        CHECK(select(ec, after(1h), on_send(pointers, std::move(value), [] { CHECK(false); })) ==
              1);
        CHECK(ec == errc::closed);
        CHECK(value != nullptr);
    });
}

TEST_CASE("a value is moved from only if its case is taken") {
    in_fiber([] {
        const channel<std::unique_ptr<int>> first;
        const channel<std::unique_ptr<int>> second;
        auto a = std::make_unique<int>(1);
        auto b = std::make_unique<int>(2);
        CHECK(select(on_send(first, std::move(a)), on_send(second, std::move(b)), otherwise()) ==
              2);
        CHECK(a != nullptr);
        CHECK(b != nullptr);
        fiber<> selecting(
            [&] { select(on_send(first, std::move(a)), on_send(second, std::move(b))); });
        let_others_run();
        CHECK(**second.recv() == 2);
        selecting.join();
        CHECK(a != nullptr);
        CHECK(b == nullptr);
        const channel<std::string> words(1);
        const std::string word = "as it was";
        CHECK(select(on_send(words, word)) == 0);
        CHECK(words.recv() == word);
    });
}

TEST_CASE("the function of the case may use everything again, and what it throws is thrown") {
    in_fiber([] {
        const channel<int> numbers(1);
        event happened(true);
        CHECK(message_of<std::runtime_error>([&] {
                  return select(on_event(happened,
                                         [&] {
                                             numbers.send(1);
                                             select(on_recv(numbers, [](std::optional<int> value) {
                                                 throw std::runtime_error(std::to_string(*value));
                                             }));
                                         }),
                                on_recv(numbers, [](std::optional<int>) { CHECK(false); }));
              }) == "1");
        fiber<> target([] {});
        select(on_join(target, [&] { target.join(); }));
        CHECK_FALSE(target.joinable());
    });
}

TEST_CASE("fibers are joined by a select as by join, with the same errors") {
    on_both_atomic_paths([] {
        in_fiber([] {
            fiber<> nobody;
            CHECK(code_of([&] { return select(on_join(nobody), after(1ms)); }) ==
                  std::errc::invalid_argument);
            fiber<> self;
            self = spawn([&] {
                std::error_code ec;
                CHECK(select(ec, otherwise(), on_join(self)) == 1);
                CHECK(ec == std::errc::resource_deadlock_would_occur);
            });
            self.join();
            // Whoever is not taken can be joined later, also by another select.
            fiber<int> slow([] {
                this_fiber::sleep_for(1ms);
                return 1;
            });
            fiber<int> quick([] { return 2; });
            CHECK(select(on_join(slow), on_join(quick)) == 1);
            CHECK(quick.join() == 2);
            CHECK(select(on_join(slow), otherwise()) == 1);
            CHECK(select(on_join(slow), after(in_the_past())) == 1);
            CHECK(select(on_join(slow), after(1h)) == 0);
            CHECK(slow.join() == 1);
            fiber<> failing([] { throw std::runtime_error("as it ended"); });
            CHECK(select(on_join(failing)) == 0);
            CHECK(message_of<std::runtime_error>([&] { failing.join(); }) == "as it ended");
        });
    });
}

TEST_CASE("a plain thread selects among channels, events, fibers and deadlines") {
    const channel<int> numbers;
    event happened;
    CHECK(select(on_recv(numbers, [](std::optional<int>) {}), after(1ms)) == 1);
    CHECK(select(on_send(numbers, 1), after(in_the_past())) == 1);
    CHECK(select(on_send(numbers, 1), otherwise()) == 1);
    CHECK(code_of([&] { return select(on_readable(0), on_event(happened)); }) ==
          std::errc::operation_not_supported);
    std::thread other([&] {
        CHECK(numbers.recv() == 2);
        happened.set();
    });
    CHECK(select(on_event(happened), on_send(numbers, 2)) == 1);
    CHECK(select(on_event(happened), on_send(numbers, 3)) == 0);
    other.join();
    std::optional<fiber<int>> target;
    std::thread runs([&] {
        in_fiber([&] {
            target.emplace([] {
                this_fiber::sleep_for(1ms);
                return 4;
            });
            numbers.send(1);
        });
    });
    numbers.recv();
    CHECK(select(on_join(*target), on_recv(numbers, [](std::optional<int>) {})) == 0);
    static_cast<void>(select(on_join(*target)));
    std::error_code ec;
    static_cast<void>(target->join(ec));
    runs.join();
    CHECK(nobody_waits(numbers, 1));
}

TEST_CASE("a select that waits costs no turns, and the list of fibers shows it") {
    in_fiber([] {
        const channel<int> numbers;
        event happened;
        fiber<> selecting(
            [&] { select(on_recv(numbers, [](std::optional<int>) {}), on_event(happened)); });
        let_others_run();
        CHECK(contains(dumped(), "waiting: selecting"));
        const auto before = get_statistics();
        this_fiber::sleep_for(5ms);
        const auto after_a_while = get_statistics();
        CHECK(after_a_while.switches - before.switches <= 4);
        CHECK(after_a_while.reactor_polls - before.reactor_polls <= 4);
        happened.set();
        selecting.join();
    });
}

TEST_CASE("the list of fibers tells what each case of a select waits for") {
    in_fiber([] {
        const channel<int> full(1);
        full.send(1);
        const channel<int> numbers;
        event happened;
        fiber<> target({.name = "target"}, [&] { happened.wait(); });
        int ends[2] = {-1, -1};
        REQUIRE(::pipe(ends) == 0);
        fiber<> selecting({.name = "few"}, [&] {
            select(on_join(target), on_recv(numbers, [](std::optional<int>) {}),
                   on_readable(ends[0]), on_event(happened), after(1h));
        });
        fiber<> many({.name = "many"}, [&] {
            select(on_send(full, 2), on_send(full, 2), on_send(full, 2), on_send(full, 2),
                   on_send(full, 2), after(deadline::never()), on_event(happened));
        });
        let_others_run();
        const std::string list = dumped();
        CAPTURE(list);
        const auto line_of = [&](const std::string& name) {
            const std::size_t at = list.find("\"" + name + "\", waiting: selecting: ");
            REQUIRE(at != std::string::npos);
            return list.substr(at, list.find('\n', at) - at);
        };
        const std::string line = line_of("few");
        CHECK(contains(line, "selecting: joining fiber "));
        CHECK(contains(line, " \"target\", or receiving from channel 0x"));
        CHECK(contains(line, "(no capacity, 1 handle), or until readable, descriptor " +
                                 std::to_string(ends[0]) + ", or for an event, or "));
        CHECK(contains(line, "until a deadline in 3"));
        CHECK(contains(line, ", spawned at "));
        const std::string cut = line_of("many");
        CHECK(contains(cut, "selecting: sending to channel 0x"));
        CHECK(contains(cut, " more, for "));
        CHECK(contains(cut, ", spawned at "));
        happened.set();
        selecting.join();
        many.join();
        target.join();
        ::close(ends[0]);
        ::close(ends[1]);
    });
}

/// Throws from its next move when told to, or whenever a certain one is moved.
struct fragile {
    static inline bool throws = false;
    static inline int stays = 0;
    int number;
    explicit fragile(int n) : number(n) {}
    fragile(fragile&& other) noexcept(false) : number(other.number) {
        if (std::exchange(throws, false) || other.number == stays) {
            throw std::runtime_error("moved once too often");
        }
        other.number = -1;
    }
    fragile& operator=(fragile&&) = delete;
    ~fragile() = default;
};

TEST_CASE("a move that throws is the mover's, and a select that waits waits on") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<fragile> meeting;
            const channel<fragile> other;
            int got = 0;
            fiber<std::size_t> receiving([&] {
                return select(on_recv(other, [](auto) {}),
                              on_recv(meeting, [&](auto value) { got = value->number; }));
            });
            let_others_run();
            fragile value(1);
            fragile::throws = true;
            CHECK(message_of<std::runtime_error>([&] { meeting.send(std::move(value)); }) ==
                  "moved once too often");
            CHECK(value.number == 1);
            let_others_run();
            meeting.send(std::move(value));
            CHECK(receiving.join() == 1);
            CHECK(got == 1);

            fragile mine(2);
            fiber<std::size_t> sending([&] {
                return select(on_send(other, fragile(3)), on_send(meeting, std::move(mine)));
            });
            let_others_run();
            fragile::throws = true;
            CHECK(message_of<std::runtime_error>([&] { meeting.recv(); }) ==
                  "moved once too often");
            CHECK(mine.number == 2);
            let_others_run();
            CHECK(meeting.recv()->number == 2);
            CHECK(sending.join() == 1);

            // The select moves, and the partner waits on.
            fiber<> sender([&] { meeting.send(fragile(4)); });
            let_others_run();
            fragile::throws = true;
            CHECK(message_of<std::runtime_error>([&] {
                      return select(on_recv(meeting, [](auto) { CHECK(false); }),
                                    on_recv(other, [](auto) {}));
                  }) == "moved once too often");
            let_others_run();
            CHECK(select(on_recv(meeting, [](auto value2) { CHECK(value2->number == 4); }),
                         on_recv(other, [](auto) {})) == 0);
            sender.join();
            CHECK_FALSE(meeting.try_recv());
            CHECK_FALSE(other.try_recv());
        });
    });
}

TEST_CASE("a select is let into a full channel of values that may throw, and gives the room on") {
    in_fiber([] {
        const channel<fragile> one(1);
        event never_set;
        one.send(fragile(1));
        fiber<std::size_t> first(
            [&] { return select(on_event(never_set), on_send(one, fragile(2))); });
        fiber<std::size_t> second(
            [&] { return select(on_send(one, fragile(3)), on_event(never_set)); });
        let_others_run();
        fragile::stays = 2;  // neither the receiver can put it into the channel, nor the first
        CHECK(one.recv()->number == 1);
        CHECK(message_of<std::runtime_error>([&] { return first.join(); }) ==
              "moved once too often");
        fragile::stays = 0;
        CHECK(second.join() == 0);
        CHECK(one.recv()->number == 3);
        CHECK(one.try_send(fragile(4)));
        CHECK_FALSE(one.try_send(fragile(5)));
    });
}

}  // namespace

}  // namespace heddle::test
