// The same calls on a plain thread, which they block, and objects that outlive run().
#include "tests/io/sockets.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <optional>
#include <string>
#include <thread>

using namespace std::chrono_literals;
using namespace heddle::test;
using heddle::tcp_listener;
using heddle::tcp_stream;

TEST_CASE("threads talk over streams without any run()") {
    tcp_listener listener(any_port());
    std::string received(100'000, '\0');
    std::thread server([&] {
        tcp_stream peer = listener.accept();
        peer.read_exactly(received);
        peer.write_all(received);
    });
    tcp_stream client = tcp_stream::connect(listener.local_address());
    const std::string sent = pattern(received.size());
    client.write_all(sent);
    std::string answer(sent.size(), '\0');
    client.read_exactly(answer);
    server.join();
    CHECK((answer == sent));
    CHECK(client.read(answer) == 0);
}

TEST_CASE("deadlines hold on a thread") {
    tcp_listener listener(any_port());
    CHECK(outcome_of([&] { listener.accept(1ms); }) == outcome::timed_out);
    CHECK(outcome_of([&] { listener.accept(in_the_past()); }) == outcome::timed_out);
    connection ends = connect_pair();
    char byte[1];
    CHECK(outcome_of([&] { ends.here.read(byte, 1ms); }) == outcome::timed_out);
    CHECK(outcome_of([&] { ends.here.write_all(more_than_fits(), 1ms); }) == outcome::timed_out);
    for (const int flags : {0, O_NONBLOCK}) {
        const pipe_ends pipe = make_pipe(flags);
        CHECK(outcome_of([&] { heddle::wait_readable(pipe.reading.get(), 1ms); }) ==
              outcome::timed_out);
        CHECK(outcome_of([&] { heddle::read(pipe.reading.get(), byte, 1ms); }) ==
              outcome::timed_out);
        fill(pipe.writing.get());
        CHECK(outcome_of([&] { heddle::wait_writable(pipe.writing.get(), 1ms); }) ==
              outcome::timed_out);
        CHECK(outcome_of([&] { heddle::write(pipe.writing.get(), "x", 1ms); }) ==
              outcome::timed_out);
    }
}

TEST_CASE("a pipe carries more than it holds between a thread and a fiber") {
    const pipe_ends ends = make_pipe(0);
    const std::string sent = pattern(300'000);
    std::thread writer([&] { heddle::write_all(ends.writing.get(), sent); });
    const std::string received = in_fiber([&] {
        std::string all;
        while (all.size() < sent.size()) {
            char bytes[10'000];
            all.append(bytes, heddle::read(ends.reading.get(), bytes));
        }
        return all;
    });
    writer.join();
    CHECK((received == sent));
}

TEST_CASE("a number that is not open is an error on a thread, too") {
    char byte[1];
    CHECK(outcome_of([] { heddle::wait_readable(-1); }) == outcome::bad_descriptor);
    CHECK(outcome_of([] { heddle::wait_writable(-1); }) == outcome::bad_descriptor);
    CHECK(outcome_of([&] { heddle::read(-1, byte); }) == outcome::bad_descriptor);
    CHECK(outcome_of([] { heddle::write(-1, "x"); }) == outcome::bad_descriptor);
    CHECK(outcome_of([&] { tcp_stream().read(byte); }) == outcome::bad_descriptor);
    CHECK(outcome_of([] { tcp_stream().write("x"); }) == outcome::bad_descriptor);
    CHECK(outcome_of([] { tcp_listener().accept(); }) == outcome::bad_descriptor);
}

TEST_CASE("objects made outside work inside one run after the other, and outside again") {
    tcp_listener listener(any_port());
    tcp_stream client = tcp_stream::connect(listener.local_address());
    tcp_stream server = listener.accept();
    const auto exchange = [&] {
        heddle::fiber answering([&] {
            char bytes[4];
            server.read_exactly(bytes);
            server.write_all(bytes);
        });
        let_others_run();
        client.write_all("weft");
        char bytes[4] = {};
        client.read_exactly(bytes);
        return std::string(bytes, 4);
    };
    CHECK(in_fiber(exchange) == "weft");
    CHECK(in_fiber(exchange) == "weft");
    client.write_all("warp");
    char bytes[4] = {};
    server.read_exactly(bytes);
    CHECK(std::string(bytes, 4) == "warp");
}

TEST_CASE("streams go from one run to another, and close anywhere") {
    std::optional<tcp_stream> kept;
    std::optional<tcp_stream> peer;
    in_fiber([&] {
        stream_pair ends = connect_streams();
        ends.a.write_all("x");
        kept = std::move(ends.a);
        peer = std::move(ends.b);
    });
    char byte[1] = {};
    in_fiber([&] {
        CHECK(peer->read(byte) == 1);
        kept.reset();
    });
    CHECK(peer->read(byte) == 0);
    peer->close();
    CHECK(outcome_of([&] { peer->read(byte); }) == outcome::bad_descriptor);
}

TEST_CASE("a fiber and a thread talk over a stream") {
    tcp_listener listener(any_port());
    std::thread client([at = listener.local_address()] {
        tcp_stream stream = tcp_stream::connect(at, 10s);
        stream.write_all("weft");
        stream.shutdown_write();
        char bytes[4];
        stream.read_exactly(bytes, 10s);
    });
    in_fiber([&] {
        tcp_stream peer = listener.accept(10s);
        char bytes[4];
        peer.read_exactly(bytes, 10s);
        peer.write_all(bytes);
        CHECK(peer.read(bytes, 10s) == 0);
    });
    client.join();
}
