// select among descriptors and other things: what is ready, and that nothing of the rest is left
// with the reactor.
#include "runtime/core/worker.hpp"
#include "tests/io/sockets.hpp"
#include "tests/support/in_fiber.hpp"

#include "heddle/select.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <system_error>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

std::size_t operations_pending() {
    return detail::current_worker->events().pending();
}

TEST_CASE("a descriptor that is ready is taken at once") {
    in_fiber([] {
        const pipe_ends pipe = make_pipe(0);
        const channel<int> numbers;
        int seen = 0;
        CHECK(select(on_readable(pipe.reading.get(), [] { CHECK(false); }),
                     on_writable(pipe.writing.get(), [&] { seen = 1; }), on_send(numbers, 1)) == 1);
        CHECK(seen == 1);
        put(pipe.writing.get(), "x");
        CHECK(select(on_send(numbers, 1), on_readable(pipe.reading.get(), [&] { seen = 2; })) == 1);
        CHECK(seen == 2);
        std::array<char, 1> byte{};
        CHECK(read(pipe.reading.get(), byte) == 1);
        CHECK(select(on_readable(pipe.reading.get()), otherwise()) == 1);
        CHECK(select(on_readable(pipe.reading.get()), after(in_the_past())) == 1);
        CHECK(operations_pending() == 0);
    });
}

TEST_CASE("whatever ends the wait, no operation of it is left with the reactor") {
    in_fiber([] {
        const pipe_ends first = make_pipe(0);
        const pipe_ends second = make_pipe(O_NONBLOCK);
        connection peer = connect_pair();
        tcp_listener listener(any_port());
        const channel<int> numbers;
        event happened;
        std::array<char, 8> bytes{};
        for (int round = 0; round < 3; ++round) {
            for (int which = 0; which < 8; ++which) {
                fiber<std::size_t> selecting([&] {
                    std::error_code ec;
                    const std::size_t taken =
                        select(ec, on_readable(first.reading.get()),
                               on_readable(second.reading.get()), on_readable(peer.here),
                               on_readable(listener), on_recv(numbers, [](std::optional<int>) {}),
                               on_event(happened), after(which == 6 ? 1ms : 1h));
                    CHECK(operations_pending() == 0);
                    CHECK((ec == std::errc::operation_canceled) == (which == 7));
                    return taken;
                });
                let_others_run();
                CHECK((which == 6 || operations_pending() == 4));  // or the millisecond is over
                owning_fd caller;
                switch (which) {
                case 0:
                    put(first.writing.get(), "x");
                    break;
                case 1:
                    put(second.writing.get(), "x");
                    break;
                case 2:
                    put(peer.there.get(), "x");
                    break;
                case 3:
                    caller = connect_plainly(listener.local_address());
                    break;
                case 4:
                    numbers.send(1);
                    break;
                case 5:
                    happened.set();
                    happened.reset();
                    break;
                case 6:
                    break;
                default:
                    selecting.request_stop();
                    break;
                }
                const std::size_t taken = selecting.join();
                CHECK(taken == (which == 7 ? no_case : static_cast<std::size_t>(which)));
                CHECK(operations_pending() == 0);
                switch (which) {
                case 0:
                    CHECK(read(first.reading.get(), bytes) == 1);
                    break;
                case 1:
                    CHECK(read(second.reading.get(), bytes) == 1);
                    break;
                case 2:
                    CHECK(peer.here.read(bytes) == 1);
                    break;
                case 3:
                    listener.accept();
                    break;
                default:
                    break;
                }
            }
        }
    });
}

TEST_CASE("a stream that a select was about to read has lost nothing") {
    in_fiber([] {
        stream_pair pair = connect_streams();
        const channel<int> numbers;
        fiber<> writer([&] {
            for (int i = 0; i < 50; ++i) {
                if (i % 3 == 0) {
                    this_fiber::sleep_for(50us);
                }
                pair.b.write_all("abc");
                numbers.send(i);
            }
            pair.b.shutdown_write();
            numbers.close();
        });
        std::size_t bytes = 0;
        int count = 0;
        bool stream_is_open = true;
        bool channel_is_open = true;
        while (stream_is_open || channel_is_open) {
            const auto read_some = [&] {
                std::array<char, 2> into{};
                const std::size_t got = pair.a.read(into);
                bytes += got;
                stream_is_open = got != 0;
            };
            const auto take_number = [&](std::optional<int> number) {
                channel_is_open = number.has_value();
                count += number ? 1 : 0;
            };
            if (stream_is_open && channel_is_open) {
                select(on_readable(pair.a, read_some), on_recv(numbers, take_number));
            } else if (stream_is_open) {
                select(on_readable(pair.a, read_some), after(1h));
            } else {
                take_number(numbers.recv());
            }
        }
        CHECK(bytes == 150);
        CHECK(count == 50);
        writer.join();
    });
}

TEST_CASE("a stream that is closed under a select ends it with an error, and so does no stream") {
    in_fiber([] {
        connection peer = connect_pair();
        event happened;
        fiber<> selecting([&] {
            CHECK(error_of([&] {
                      select(on_event(happened), on_readable(peer.here, [] { CHECK(false); }));
                  }).code == std::errc::operation_canceled);
            CHECK(operations_pending() == 0);
        });
        let_others_run();
        peer.here.close();
        selecting.join();
        std::error_code ec;
        CHECK(select(ec, on_event(happened), on_readable(peer.here)) == 1);
        CHECK(ec == std::errc::bad_file_descriptor);
        const int closed = make_pipe(0).reading.get();
        CHECK(contains(
            message_of<std::system_error>([&] { return select(on_readable(closed), after(1h)); }),
            "heddle::select: descriptor " + std::to_string(closed)));
        CHECK(operations_pending() == 0);
    });
}

TEST_CASE("descriptors and other cases are chosen with the same probability") {
    in_fiber([] {
        const pipe_ends pipe = make_pipe(0);
        event happened(true);
        std::array<int, 3> counts{};
        const int rounds = 3000;
        for (int i = 0; i < rounds; ++i) {
            ++counts.at(select(on_writable(pipe.writing.get()), on_event(happened),
                               on_writable(pipe.writing.get())));
        }
        // Off by six standard deviations: once in a hundred million.
        const double expected = rounds / 3.0;
        for (const int count : counts) {
            const double off = count - expected;
            CHECK(off * off < 36.0 * expected);
        }
    });
}

}  // namespace

}  // namespace heddle::test
