// What lies in channels: values that can only be moved, that throw, that wait, that are aligned.
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"

#include "heddle/channel.hpp"
#include "heddle/error.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

TEST_CASE("a value that can only be moved is moved once it is delivered, and not before") {
    in_fiber([] {
        for (const std::size_t room : {0U, 1U}) {
            const channel<std::unique_ptr<int>> pointers(room);
            auto value = std::make_unique<int>(1);
            std::error_code ec;
            if (room == 1) {
                pointers.send(nullptr);
            }
            pointers.send(std::move(value), in_the_past(), ec);
            CHECK(ec == std::errc::timed_out);
            CHECK(value != nullptr);
            CHECK_FALSE(pointers.try_send(std::move(value)));
            CHECK(value != nullptr);
            fiber<> waiting([&] { pointers.send(std::move(value)); });
            let_others_run();
            CHECK(value != nullptr);
            waiting.request_stop();
            CHECK(code_of([&] { waiting.join(); }) == std::errc::operation_canceled);
            CHECK(value != nullptr);
            if (room == 1) {
                CHECK(pointers.recv().value() == nullptr);
            }
            fiber<> sender([&] { pointers.send(std::move(value)); });
            CHECK(**pointers.recv() == 1);
            sender.join();
            CHECK(value == nullptr);
            pointers.close();
            value = std::make_unique<int>(2);
            pointers.send(std::move(value), ec);
            CHECK(ec == errc::closed);
            CHECK(value != nullptr);
        }
    });
}

TEST_CASE("values of any size and alignment arrive whole") {
    struct nothing {};
    struct alignas(256) far_apart {
        int number = 0;
    };
    using large = std::array<std::uint64_t, 100>;
    in_fiber([] {
        for (const std::size_t room : {0U, 1U, 5U}) {
            const channel<bool> bits(room);
            const channel<nothing> nothings(room);
            const channel<far_apart> aligned(room);
            const channel<large> larges(room);
            fiber<> sender([&] {
                for (int i = 0; i < 20; ++i) {
                    bits.send(i % 3 == 0);
                    nothings.send({});
                    aligned.send({.number = i});
                    large one{};
                    one.fill(static_cast<std::uint64_t>(i));
                    larges.send(one);
                }
            });
            for (int i = 0; i < 20; ++i) {
                CHECK(bits.recv() == (i % 3 == 0));
                CHECK(nothings.recv());
                const auto one = aligned.recv();
                CHECK(one->number == i);
                CHECK(reinterpret_cast<std::uintptr_t>(&*one) % 256 == 0);
                CHECK(larges.recv()->back() == static_cast<std::uint64_t>(i));
            }
            sender.join();
        }
    });
}

/// Counts its living, and throws from moves when told to.
struct fragile {
    static inline int alive = 0;
    static inline int moves_until_throw = -1;  // negative: never
    static inline int throws = 1;              // and how many moves throw then
    static inline bool gives_way = false;
    static inline int moves = 0;  // that have begun

    int number;

    explicit fragile(int n) : number(n) { ++alive; }
    fragile(fragile&& other) noexcept(false) : number(other.number) {
        ++moves;
        if (gives_way) {
            let_others_run();
        }
        if (moves_until_throw == 0) {
            moves_until_throw = throws > 1 ? 0 : -1;
            throws = throws > 1 ? throws - 1 : 1;
            throw std::runtime_error("moved once too often");
        }
        if (moves_until_throw > 0) {
            --moves_until_throw;
        }
        ++alive;
        other.number = -1;
    }
    fragile& operator=(fragile&&) = delete;
    ~fragile() { --alive; }
};

TEST_CASE("a move that throws at a meeting is the mover's, and the other waits on") {
    on_both_atomic_paths([] {
        in_fiber([] {
            {
                const channel<fragile> meeting;
                fiber<> sender([&] {
                    fragile value(1);
                    meeting.send(std::move(value));
                    CHECK(value.number == -1);
                });
                fiber<> second([&] { meeting.send(fragile(2)); });
                let_others_run();
                fragile::moves_until_throw = 0;
                CHECK(message_of<std::runtime_error>([&] { meeting.recv(); }) ==
                      "moved once too often");
                let_others_run();  // the sender is the first in line again
                CHECK(meeting.recv()->number == 1);
                CHECK(meeting.recv()->number == 2);
                sender.join();
                second.join();

                fiber<int> receiver([&] { return meeting.recv()->number; });
                let_others_run();
                fragile value(3);
                fragile::moves_until_throw = 0;
                CHECK(message_of<std::runtime_error>([&] { meeting.send(std::move(value)); }) ==
                      "moved once too often");
                CHECK(value.number == 3);
                meeting.send(std::move(value));
                CHECK(receiver.join() == 3);
            }
            CHECK(fragile::alive == 0);
        });
    });
}

TEST_CASE(
    "a move that throws on the way into a channel or out of it loses neither value nor room") {
    on_both_atomic_paths([] {
        in_fiber([] {
            {
                const channel<fragile> two(2);
                fragile first(1);
                fragile::moves_until_throw = 0;
                CHECK(message_of<std::runtime_error>([&] { two.send(std::move(first)); }) ==
                      "moved once too often");
                CHECK(first.number == 1);
                CHECK(two.size() == 0);
                two.send(std::move(first));
                two.send(fragile(2));
                fiber<> third([&] { two.send(fragile(3)); });
                let_others_run();
                fragile::moves_until_throw = 0;
                CHECK(message_of<std::runtime_error>([&] { two.recv(); }) ==
                      "moved once too often");
                CHECK(two.size() == 2);
                for (int i = 1; i <= 3; ++i) {
                    CHECK(two.recv()->number == i);
                    let_others_run();
                }
                third.join();

                // The one for which room was kept throws, and the next one gets it.
                two.send(fragile(4));
                two.send(fragile(5));
                fiber<> fourth([&] { two.send(fragile(6)); });
                fiber<> fifth([&] { two.send(fragile(7)); });
                let_others_run();
                fragile::moves_until_throw = 1;
                fragile::throws = 2;
                CHECK(two.recv()->number == 4);
                CHECK(message_of<std::runtime_error>([&] { fourth.join(); }) ==
                      "moved once too often");
                fifth.join();
                CHECK(two.recv()->number == 5);
                CHECK(two.recv()->number == 7);
                two.send(fragile(8));  // left in the channel
            }
            CHECK(fragile::alive == 0);
        });
    });
}

TEST_CASE("if a receiver cannot move the value of one who waits for room, the sender tries again") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<fragile> one(1);
            one.send(fragile(1));
            fiber<> waits([&] { one.send(fragile(2)); });
            let_others_run();
            fragile::moves_until_throw = 1;
            CHECK(one.recv()->number == 1);
            CHECK(one.size() == 0);
            CHECK(fragile::moves_until_throw == -1);
            waits.join();
            CHECK(one.recv()->number == 2);
        });
        CHECK(fragile::alive == 0);
    });
}

TEST_CASE("values whose moves might throw keep their order, and so do those who wait") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<fragile> one(1);
            one.send(fragile(0));
            std::vector<fiber<>> senders;
            for (int i = 1; i <= 3; ++i) {
                senders.push_back(spawn([&one, i] { one.send(fragile(i)); }));
            }
            let_others_run();
            for (int i = 0; i <= 3; ++i) {
                CHECK(one.recv()->number == i);  // no turn for the senders in between
            }
            for (auto& each : senders) {
                each.join();
            }
            // Whoever begins to send when room has been made comes behind one who waited for it.
            one.send(fragile(4));
            fiber<> waited([&] { one.send(fragile(5)); });
            let_others_run();
            CHECK(one.recv()->number == 4);
            fiber<int> receiver([&] { return one.recv()->number; });
            fiber<> late([&] { one.send(fragile(6)); });
            waited.join();
            late.join();
            CHECK(receiver.join() == 5);
            CHECK(one.recv()->number == 6);
            // Nor does a sender take back what one waits for.
            one.send(fragile(7));
            fiber<bool> sender([&] {
                one.send(fragile(8));
                return one.try_recv().has_value();
            });
            let_others_run();
            CHECK(one.recv()->number == 7);
            CHECK(one.recv()->number == 8);
            CHECK_FALSE(sender.join());
        });
        CHECK(fragile::alive == 0);
    });
}

TEST_CASE("nobody comes in between while the next value is on its way") {
    on_both_atomic_paths([] {
        for (const int move : {1, 2}) {  // of the receiver, out of the channel and into it
            in_fiber([move] {
                const channel<fragile> one(1);
                one.send(fragile(0));
                fiber<> first([&] { one.send(fragile(1)); });
                fiber<> second([&] { one.send(fragile(2)); });
                let_others_run();
                fragile::gives_way = true;
                fragile::moves = 0;
                const auto await_move = [move] {
                    while (fragile::moves < move) {
                        this_fiber::yield();
                    }
                };
                fiber<int> receiver([&] {
                    await_move();
                    return one.recv()->number;
                });
                fiber<> late([&] {
                    await_move();
                    one.send(fragile(3));
                });
                CHECK(one.recv()->number == 0);
                CHECK(receiver.join() == 1);
                fragile::gives_way = false;
                CHECK(one.recv()->number == 2);
                CHECK(one.recv()->number == 3);
                first.join();
                second.join();
                late.join();
            });
        }
        CHECK(fragile::alive == 0);
    });
}

TEST_CASE("values whose move gives way are delivered once each, however others come between") {
    on_both_atomic_paths([] {
        in_fiber([] {
            fragile::gives_way = true;
            for (const std::size_t room : {0U, 1U, 3U}) {
                const channel<fragile> values(room);
                std::vector<int> seen(60);
                std::vector<fiber<>> senders;
                std::vector<fiber<>> receivers;
                for (int s = 0; s < 3; ++s) {
                    senders.push_back(spawn([&, s] {
                        for (int i = 0; i < 20; ++i) {
                            values.send(fragile(s * 20 + i));
                        }
                    }));
                    receivers.push_back(spawn([&] {
                        for (fragile& value : values) {
                            ++seen[static_cast<std::size_t>(value.number)];
                        }
                    }));
                }
                for (auto& one : senders) {
                    one.join();
                }
                values.close();
                for (auto& one : receivers) {
                    one.join();
                }
                CHECK(seen == std::vector<int>(60, 1));
            }
            fragile::gives_way = false;
            CHECK(fragile::alive == 0);
        });
    });
}

TEST_CASE("a channel that is closed while a value is on its way into it ends after that value") {
    in_fiber([] {
        const channel<fragile> one(1);
        fragile::gives_way = true;
        fiber<> sender([&] { one.send(fragile(1)); });
        this_fiber::yield();  // it is moving its value
        fiber<int> receiver([&] { return one.recv()->number; });
        fiber<> late([&] { CHECK_FALSE(one.recv()); });
        this_fiber::yield();
        one.close();
        sender.join();
        CHECK(receiver.join() == 1);
        late.join();
        fragile::gives_way = false;
        CHECK(fragile::alive == 0);
    });
}

TEST_CASE("a receiver that is cancelled on its way to a value leaves none behind unseen") {
    in_fiber([] {
        const channel<fragile> one(1);
        fiber<int> first;
        fragile::gives_way = true;
        fiber<> sender([&] {
            one.send(fragile(1));  // wakes the first receiver, which is then
            fragile::gives_way = false;
            first.request_stop();
        });
        this_fiber::yield();  // it is moving its value
        const auto receive = [&] { return one.recv()->number; };
        first = spawn(receive);
        fiber<int> second(receive);
        sender.join();
        std::error_code ec;
        const auto got = first.join(ec);
        CHECK((got == 1 || ec == std::errc::operation_canceled));
        if (got) {
            one.send(fragile(2));
        }
        CHECK(second.join() == (got ? 2 : 1));
    });
}

TEST_CASE("a value whose destructor waits may be sent, received and left behind") {
    struct ending {
        bool ends = true;
        ending() = default;
        ending(ending&& other) noexcept : ends(std::exchange(other.ends, false)) {}
        ending& operator=(ending&&) = delete;
        ~ending() {
            if (ends) {
                this_fiber::sleep_for(100us);
            }
        }
    };
    in_fiber([] {
        for (const std::size_t room : {0U, 3U}) {
            const channel<ending> endings(room);
            const channel<fiber<>> fibers(room);
            fiber<> receiver([&] {
                for (int i = 0; i < 5; ++i) {
                    CHECK(endings.recv());
                    CHECK(fibers.recv());
                }
            });
            for (int i = 0; i < 5; ++i) {
                endings.send(ending());
                fibers.send(fiber<>([] { this_fiber::sleep_for(10us); }));
            }
            receiver.join();
            if (room > 0) {
                endings.send(ending());
                fibers.send(fiber<>([] { this_fiber::sleep_for(10us); }));
            }
        }
    });
}

TEST_CASE("copying a value to be sent may throw, and nothing has happened") {
    struct uncopied {
        uncopied() = default;
        uncopied(const uncopied&) { throw std::runtime_error("no copies"); }
        uncopied(uncopied&&) noexcept {}
        uncopied& operator=(const uncopied&) = delete;
        ~uncopied() = default;
    };
    in_fiber([] {
        const channel<uncopied> values(1);
        const uncopied value;
        CHECK(message_of<std::runtime_error>([&] { values.send(value); }) == "no copies");
        CHECK(message_of<std::runtime_error>([&] { return values.try_send(value); }) ==
              "no copies");
        CHECK(values.size() == 0);
    });
}

TEST_CASE("what is left in a channel is destroyed with its last handle") {
    const auto counted = std::make_shared<int>(0);
    {
        const channel<std::shared_ptr<int>> pointers(4);
        {
            const channel<std::shared_ptr<int>> other = pointers;
            other.send(counted);
            other.send(counted);
            other.send(counted);
            other.recv();
        }
        CHECK(counted.use_count() == 3);
    }
    CHECK(counted.use_count() == 1);
}

}  // namespace

}  // namespace heddle::test
