// tcp_stream: bytes arrive, all of them, in order, in small and in large pieces.
#include "tests/io/sockets.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace heddle::test;
using heddle::tcp_listener;
using heddle::tcp_stream;

namespace {

// Reads to the end of the stream with a buffer of the given size.
std::string read_all(tcp_stream& from, std::size_t step) {
    std::string all;
    std::string buffer(step, '\0');
    while (const std::size_t count = from.read(buffer)) {
        all.append(buffer, 0, count);
    }
    return all;
}

// Sends back what comes, until the peer ends its side.
void echo(tcp_stream& peer) {
    std::array<char, 4096> buffer;
    while (const std::size_t count = peer.read(buffer)) {
        peer.write_all(std::span(buffer).first(count));
    }
}

}  // namespace

TEST_CASE("a read returns what there is, and waits for no more") {
    in_fiber([] {
        connection ends = connect_pair();
        char bytes[100] = {};
        put(ends.there.get(), "over");
        CHECK(ends.here.read(bytes) == 4);
        put(ends.there.get(), "and under");
        CHECK(ends.here.read(std::span(bytes).first(3)) == 3);
        CHECK(ends.here.read(bytes) == 6);
        CHECK(std::string_view(bytes, 6) == " under");
    });
}

TEST_CASE("every kind of buffer carries its bytes") {
    in_fiber([] {
        stream_pair ends = connect_streams();
        const std::array<std::byte, 2> bytes = {std::byte{1}, std::byte{2}};
        const unsigned char array[] = {3, 0};
        ends.a.write_all("lit");
        ends.a.write_all(std::string("str") + "ing");
        ends.a.write_all(std::string_view("view"));
        ends.a.write_all(bytes);
        ends.a.write_all(array);
        std::vector<unsigned char> got(17);
        ends.b.read_exactly(got);
        CHECK(std::string(got.begin(), got.end()) == std::string("litstringview\1\2\3\0", 17));
    });
}

TEST_CASE("an empty buffer is done at once") {
    in_fiber([] {
        stream_pair ends = connect_streams();
        std::string none;
        std::error_code ec = std::make_error_code(std::errc::io_error);
        CHECK(ends.a.read(none) == 0);
        CHECK(ends.a.read(none, in_the_past(), ec) == 0);
        CHECK_FALSE(ec);
        ends.a.read_exactly(none);
        CHECK(ends.a.write("") == 0);
        ends.a.write_all(none);
        ends.a.close();
        CHECK(ends.a.read(none) == 0);
        CHECK(ends.a.write(none) == 0);
    });
}

TEST_CASE("read_exactly waits for all of its bytes") {
    in_fiber([] {
        connection ends = connect_pair();
        bool ended = false;
        heddle::fiber reader([&] {
            char bytes[10];
            ends.here.read_exactly(bytes);
            ended = true;
            return std::string(bytes, 10);
        });
        for (const char digit : std::string_view("0123456789")) {
            let_others_run();
            CHECK_FALSE(ended);
            put(ends.there.get(), std::string_view(&digit, 1));
        }
        CHECK(reader.join() == "0123456789");
    });
}

TEST_CASE("large transfers arrive whole, whatever the steps") {
    for (const std::size_t step : {std::size_t{1000}, std::size_t{65536}, std::size_t{1} << 22}) {
        in_fiber([step] {
            stream_pair ends = connect_streams();
            const std::string sent = pattern(3'000'017);
            heddle::fiber writer([&] {
                ends.a.write_all(sent);
                ends.a.close();
            });
            CHECK((read_all(ends.b, step) == sent));
        });
    }
}

TEST_CASE("write takes a part of what is too much, and says how much") {
    in_fiber([] {
        connection ends = connect_pair();
        shrink_buffers(ends.here.native_handle());
        const std::string sent = pattern(200'000);
        const std::size_t first = ends.here.write(sent);
        CHECK(first > 0);
        CHECK(first < sent.size());
        std::string received;
        std::size_t written = first;
        while (written < sent.size()) {
            received += take(ends.there.get());
            std::error_code ec;
            const auto rest = std::string_view(sent).substr(written);
            written += ends.here.write(rest, 1ms, ec);
        }
        ends.here.close();
        while (received.size() < sent.size()) {
            received += take(ends.there.get());
        }
        CHECK((received == sent));
    });
}

TEST_CASE("both directions of a stream flow at once") {
    in_fiber([] {
        stream_pair ends = connect_streams();
        const std::string sent = pattern(2'000'000);
        heddle::fiber left([&] {
            ends.a.write_all(sent);
            ends.a.shutdown_write();
        });
        heddle::fiber right([&] {
            ends.b.write_all(sent);
            ends.b.shutdown_write();
        });
        heddle::fiber reader([&] { return read_all(ends.a, 10'000) == sent; });
        CHECK((read_all(ends.b, 100'000) == sent));
        CHECK(reader.join());
    });
}

TEST_CASE("several readers of a stream are served in turn") {
    in_fiber([] {
        connection ends = connect_pair();
        std::string order;
        std::vector<heddle::fiber<>> readers;
        for (const char name : {'a', 'b', 'c'}) {
            readers.emplace_back([&, name] {
                char byte[1];
                for (int turn = 0; turn < 2; ++turn) {
                    ends.here.read(byte);
                    order += name;
                    order += byte[0];
                }
            });
        }
        let_others_run();
        for (const char byte : std::string_view("123456")) {
            put(ends.there.get(), std::string_view(&byte, 1));
            const std::size_t before = order.size();
            while (order.size() == before) {
                heddle::this_fiber::yield();
            }
        }
        CHECK(order == "a1b2c3a4b5c6");
    });
}

TEST_CASE("10 000 small messages go to and fro") {
    in_fiber([] {
        stream_pair ends = connect_streams();
        ends.a.set_no_delay(true);
        ends.b.set_no_delay(true);
        heddle::fiber server([&] { echo(ends.b); });
        int wrong = 0;
        for (std::uint32_t number = 0; number < 10'000; ++number) {
            const auto sent = std::as_bytes(std::span(&number, 1));
            ends.a.write_all(sent);
            std::array<std::byte, sizeof number> answer;
            ends.a.read_exactly(answer);
            wrong += !std::equal(sent.begin(), sent.end(), answer.begin());
        }
        CHECK(wrong == 0);
        ends.a.shutdown_write();
        server.join();
    });
}

TEST_CASE("500 connections talk at once") {
    in_fiber([] {
        tcp_listener listener(any_port());
        heddle::fiber server([&] {
            for (;;) {
                heddle::spawn_detached([peer = listener.accept()]() mutable { echo(peer); });
            }
        });
        std::vector<heddle::fiber<bool>> clients;
        for (int i = 0; i < 500; ++i) {
            clients.emplace_back([&listener, i] {
                tcp_stream stream = tcp_stream::connect(listener.local_address());
                const std::string sent = pattern(1000 + static_cast<std::size_t>(i));
                for (int turn = 0; turn < 3; ++turn) {
                    stream.write_all(sent);
                    std::string answer(sent.size(), '\0');
                    stream.read_exactly(answer);
                    if (answer != sent) {
                        return false;
                    }
                }
                stream.shutdown_write();
                char byte[1];
                return stream.read(byte) == 0;
            });
        }
        for (heddle::fiber<bool>& client : clients) {
            CHECK(client.join());
        }
    });
}

TEST_CASE("a busy stream does not keep other fibers from running") {
    in_fiber([] {
        connection ends = connect_pair();
        put(ends.there.get(), pattern(60'000));
        bool ran = false;
        heddle::fiber other([&] { ran = true; });
        // Every read is served at once. Nothing here gives way but the reads.
        char byte[1];
        int reads = 0;
        while (!ran && reads < 60'000) {
            ends.here.read(byte);
            ++reads;
        }
        CHECK(ran);
    });
}

TEST_CASE("no delay is a property of the socket") {
    in_fiber([] {
        stream_pair ends = connect_streams();
        const auto is_on = [&] {
            int value = -1;
            heddle::detail::sys::getsockopt(ends.a.native_handle(), IPPROTO_TCP, TCP_NODELAY,
                                            value);
            return value != 0;
        };
        CHECK_FALSE(is_on());
        ends.a.set_no_delay(true);
        CHECK(is_on());
        std::error_code ec = std::make_error_code(std::errc::io_error);
        ends.a.set_no_delay(false, ec);
        CHECK_FALSE(ec);
        CHECK_FALSE(is_on());
    });
}

TEST_CASE("a stream that is moved goes on, also under its reader") {
    in_fiber([] {
        connection ends = connect_pair();
        char bytes[4] = {};
        heddle::fiber reader([&] { return ends.here.read(bytes); });
        let_others_run();
        tcp_stream moved = std::move(ends.here);
        CHECK(ends.here.native_handle() == -1);
        put(ends.there.get(), "weft");
        CHECK(reader.join() == 4);
        CHECK(std::string_view(bytes, 4) == "weft");
        put(ends.there.get(), "warp");
        CHECK(moved.read(bytes) == 4);
        tcp_stream& same = moved;
        moved = std::move(same);
        put(ends.there.get(), "warp");
        CHECK(moved.read(bytes) == 4);
    });
}

TEST_CASE("assigning over a stream closes it") {
    in_fiber([] {
        stream_pair first = connect_streams();
        stream_pair second = connect_streams();
        first.a = std::move(second.a);
        char byte[1];
        CHECK(first.b.read(byte) == 0);
        second.b.write_all("x");
        CHECK(first.a.read(byte) == 1);
    });
}
