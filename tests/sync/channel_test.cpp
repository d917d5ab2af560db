// Channels: order, room, ends, deadlines, cancellation.
#include "heddle/channel.hpp"

#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"

#include "heddle/cancel.hpp"
#include "heddle/error.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

static_assert(std::input_iterator<channel<int>::iterator>);

TEST_CASE("without room a sender waits for its receiver, and a receiver for its sender") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> numbers;
            CHECK(numbers.capacity() == 0);
            bool sent = false;
            fiber<> sender([&] {
                numbers.send(1);
                sent = true;
                numbers.send(2);
            });
            let_others_run();
            CHECK_FALSE(sent);
            CHECK(numbers.recv() == 1);
            CHECK(numbers.recv() == 2);
            sender.join();
            fiber<std::optional<int>> receiver([&] { return numbers.recv(); });
            let_others_run();
            numbers.send(3);
            CHECK(receiver.join() == 3);
        });
    });
}

TEST_CASE("with room senders run ahead by just that, and the order is kept") {
    on_both_atomic_paths([] {
        in_fiber([] {
            for (const std::size_t room : {1U, 2U, 3U, 64U}) {
                const channel<std::size_t> numbers(room);
                CHECK(numbers.capacity() == room);
                std::size_t sent = 0;
                fiber<> sender([&] {
                    for (; sent < 200; ++sent) {
                        numbers.send(sent);
                    }
                });
                let_others_run();
                CHECK(sent == room);
                CHECK(numbers.size() == room);
                for (std::size_t i = 0; i < 200; ++i) {
                    CHECK(numbers.recv() == i);
                }
                CHECK(numbers.size() == 0);
                sender.join();
            }
        });
    });
}

TEST_CASE("senders are served in the order in which they began to wait, and so are receivers") {
    on_both_atomic_paths([] {
        in_fiber([] {
            for (const std::size_t room : {0U, 2U}) {
                const channel<int> numbers(room);
                std::vector<fiber<>> fibers;
                for (int i = 0; i < 6; ++i) {
                    fibers.push_back(spawn([&numbers, i] { numbers.send(i); }));
                }
                let_others_run();
                for (int i = 0; i < 6; ++i) {
                    CHECK(numbers.recv() == i);
                }
                std::vector<int> order;
                for (int i = 0; i < 3; ++i) {
                    fibers.push_back(spawn([&, i] {
                        CHECK(numbers.recv() == i);
                        order.push_back(i);
                    }));
                }
                let_others_run();
                for (int i = 0; i < 3; ++i) {
                    numbers.send(i);
                }
                for (auto& one : fibers) {
                    one.join();
                }
                CHECK(order == std::vector{0, 1, 2});
            }
        });
    });
}

TEST_CASE("what cannot be done at once is not tried again") {
    in_fiber([] {
        const channel<int> meeting;
        CHECK_FALSE(meeting.try_send(1));
        CHECK_FALSE(meeting.try_recv());
        fiber<std::optional<int>> receiver([&] { return meeting.recv(); });
        let_others_run();
        CHECK(meeting.try_send(2));
        CHECK_FALSE(meeting.try_send(3));  // the only receiver has been served
        CHECK(receiver.join() == 2);
        fiber<> sender([&] { meeting.send(4); });
        let_others_run();
        CHECK(meeting.try_recv() == 4);
        CHECK_FALSE(meeting.try_recv());
        sender.join();

        const channel<int> with_room(1);
        CHECK(with_room.try_send(1));
        CHECK_FALSE(with_room.try_send(2));
        CHECK(with_room.try_recv() == 1);
        with_room.close();
        CHECK_FALSE(with_room.try_send(3));
        CHECK_FALSE(with_room.try_recv());
    });
}

TEST_CASE("a closed channel gives what is in it, and then nothing") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> numbers(3);
            numbers.send(1);
            numbers.send(2);
            CHECK_FALSE(numbers.closed());
            numbers.close();
            CHECK(numbers.closed());
            numbers.close();
            CHECK(code_of([&] { numbers.send(3); }) == errc::closed);
            std::error_code ec;
            numbers.send(3, ec);
            CHECK(ec == errc::closed);
            CHECK(numbers.recv() == 1);
            CHECK(numbers.try_recv() == 2);
            CHECK_FALSE(numbers.recv());
            ec = errc::closed;
            CHECK_FALSE(numbers.recv(ec));
            CHECK_FALSE(ec);
        });
    });
}

TEST_CASE("closing a channel wakes all that wait for it") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> full(1);
            full.send(0);
            const channel<int> empty(1);
            int senders = 0;
            int receivers = 0;
            std::vector<fiber<>> fibers;
            for (int i = 1; i < 4; ++i) {
                fibers.push_back(spawn([&, i] {
                    CHECK(code_of([&] { full.send(i); }) == errc::closed);
                    ++senders;
                }));
                fibers.push_back(spawn([&] {
                    CHECK_FALSE(empty.recv());
                    ++receivers;
                }));
            }
            let_others_run();
            full.close();
            empty.close();
            CHECK(senders == 0);
            for (auto& one : fibers) {
                one.join();
            }
            CHECK(senders == 3);
            CHECK(receivers == 3);
            CHECK(full.recv() == 0);
            CHECK_FALSE(full.recv());
        });
    });
}

TEST_CASE("a loop over a channel ends with it") {
    in_fiber([] {
        const channel<int> numbers;
        fiber<> sender([&] {
            for (int i = 0; i < 10; ++i) {
                numbers.send(i);
            }
            numbers.close();
        });
        int next = 0;
        for (int& number : numbers) {
            CHECK(number == next++);
        }
        CHECK(next == 10);
        sender.join();
        for (const int number : numbers) {
            CHECK(number == -1);
        }
    });
}

TEST_CASE("copies of a channel are the same channel, also sent over itself") {
    in_fiber([] {
        channel<int> first(1);
        const channel<int> second = first;
        CHECK(first == second);
        CHECK_FALSE(first == channel<int>(1));
        first.send(1);
        first = channel<int>(1);
        CHECK_FALSE(first == second);
        CHECK(second.recv() == 1);
        second.close();
        CHECK_FALSE(first.closed());

        const channel<channel<int>> replies;
        fiber<> server([&] {
            while (const auto reply = replies.recv()) {
                reply->send(42);
            }
        });
        for (int i = 0; i < 3; ++i) {
            const channel<int> answer;
            replies.send(answer);
            CHECK(answer.recv() == 42);
        }
        replies.close();
        server.join();
    });
}

TEST_CASE("a send whose deadline passes has sent nothing") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> meeting;
            CHECK(code_of([&] { meeting.send(1, 1ms); }) == std::errc::timed_out);
            CHECK(code_of([&] { meeting.send(1, in_the_past()); }) == std::errc::timed_out);
            std::error_code ec;
            meeting.send(1, 1ms, ec);
            CHECK(ec == std::errc::timed_out);
            CHECK_FALSE(meeting.try_recv());
            fiber<std::optional<int>> receiver([&] { return meeting.recv(); });
            let_others_run();
            meeting.send(2, in_the_past());  // tries once all the same
            CHECK(receiver.join() == 2);
            fiber<std::optional<int>> late([&] {
                this_fiber::sleep_for(1ms);
                return meeting.recv();
            });
            meeting.send(3, 1h, ec);
            CHECK_FALSE(ec);
            CHECK(late.join() == 3);
        });
    });
}

TEST_CASE("a receive whose deadline passes takes nothing, and others keep their order") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> numbers(1);
            CHECK(code_of([&] { numbers.recv(1ms); }) == std::errc::timed_out);
            CHECK(code_of([&] { numbers.recv(in_the_past()); }) == std::errc::timed_out);
            std::error_code ec;
            CHECK_FALSE(numbers.recv(1ms, ec));
            CHECK(ec == std::errc::timed_out);
            numbers.send(1);
            CHECK(numbers.recv(in_the_past()) == 1);
            fiber<> first(
                [&] { CHECK(code_of([&] { numbers.recv(1ms); }) == std::errc::timed_out); });
            fiber<std::optional<int>> second([&] { return numbers.recv(1h); });
            first.join();
            numbers.send(2);
            CHECK(second.join() == 2);
            CHECK(numbers.size() == 0);
        });
    });
}

TEST_CASE("a fiber that was asked to stop neither sends nor receives, though it could") {
    in_fiber([] {
        const channel<int> numbers(2);
        numbers.send(1);
        fiber<> stopped([&] {
            std::error_code ec;
            numbers.send(2, ec);
            CHECK(ec == std::errc::operation_canceled);
            CHECK_FALSE(numbers.recv(ec));
            CHECK(ec == std::errc::operation_canceled);
            numbers.recv();
            CHECK(false);
        });
        stopped.request_stop();
        CHECK(code_of([&] { stopped.join(); }) == std::errc::operation_canceled);
        CHECK(numbers.size() == 1);
    });
}

TEST_CASE("a request to stop ends a wait, and what was served before is done") {
    on_both_atomic_paths([] {
        in_fiber([] {
            const channel<int> meeting;
            fiber<> sender([&] { meeting.send(1); });
            let_others_run();
            sender.request_stop();
            CHECK(code_of([&] { sender.join(); }) == std::errc::operation_canceled);
            CHECK_FALSE(meeting.try_recv());

            fiber<> receiver([&] { meeting.recv(); });
            let_others_run();
            receiver.request_stop();
            CHECK_FALSE(meeting.try_send(1));
            CHECK(code_of([&] { receiver.join(); }) == std::errc::operation_canceled);

            fiber<std::optional<int>> served([&] { return meeting.recv(); });
            let_others_run();
            meeting.send(2);
            served.request_stop();
            CHECK(served.join() == 2);

            fiber<> shielded([&] {
                const shield through;
                CHECK(meeting.recv() == 3);
            });
            let_others_run();
            shielded.request_stop();
            meeting.send(3);
            shielded.join();
        });
    });
}

TEST_CASE("a busy pair gives way to others every so often") {
    in_fiber([] {
        const channel<int> numbers(1);
        bool others_ran = false;
        fiber<> other([&] { others_ran = true; });
        int rounds = 0;
        while (!others_ran) {
            numbers.send(1);
            numbers.recv();
            REQUIRE(++rounds < 1'000'000);
        }
        others_ran = false;
        fiber<> another([&] { others_ran = true; });
        const channel<int> ended;
        ended.close();
        while (!others_ran) {
            CHECK_FALSE(ended.recv());
            REQUIRE(++rounds < 1'000'000);
        }
        other.join();
        another.join();
    });
}

TEST_CASE("a channel that no memory can hold is refused, with its size") {
    CHECK(message_of<std::length_error>([] { channel<int>(SIZE_MAX / 4); }) ==
          "heddle::channel: no memory can hold " + std::to_string(SIZE_MAX / 4) +
              " places of 4 bytes");
}

TEST_CASE("the list of fibers says who sends to a channel and who receives") {
    in_fiber([] {
        const channel<int> meeting;
        fiber<> sender([&] { meeting.send(1); });
        let_others_run();
        CHECK(contains(dumped(), "sending to channel 0x"));
        meeting.recv();
        sender.join();
        fiber<> receiver([&] { meeting.recv(); });
        let_others_run();
        CHECK(contains(dumped(), "receiving from channel 0x"));
        meeting.send(1);
        receiver.join();
    });
}

}  // namespace

}  // namespace heddle::test
