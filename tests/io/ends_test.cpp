// How streams end: in order, by half, abruptly, and under those who wait on them.
#include "tests/io/sockets.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <sys/socket.h>

#include <optional>
#include <string>

using namespace std::chrono_literals;
using namespace heddle::test;
using heddle::tcp_listener;
using heddle::tcp_stream;

namespace {

std::string read_all(tcp_stream& from) {
    std::string all;
    char buffer[4096];
    while (const std::size_t count = from.read(buffer)) {
        all.append(buffer, count);
    }
    return all;
}

}  // namespace

TEST_CASE("the end of a stream is read again and again") {
    in_fiber([] {
        connection ends = connect_pair();
        ends.there.reset();
        char byte[1];
        CHECK(ends.here.read(byte) == 0);
        CHECK(ends.here.read(byte) == 0);
        std::error_code ec = std::make_error_code(std::errc::io_error);
        CHECK(ends.here.read(byte, ec) == 0);
        CHECK_FALSE(ec);
    });
}

// Trap: both come in one report, and a short read is no sign that nothing is left.
TEST_CASE("data and the end in one report are both seen") {
    for (const bool reader_waits : {true, false}) {
        in_fiber([reader_waits] {
            connection ends = connect_pair();
            heddle::fiber reader([&] { return read_all(ends.here); });
            if (reader_waits) {
                let_others_run();
            }
            put(ends.there.get(), "last words");
            ends.there.reset();
            CHECK(reader.join() == "last words");
        });
    }
}

TEST_CASE("the end that comes after a short read is seen") {
    in_fiber([] {
        connection ends = connect_pair();
        char buffer[100];
        put(ends.there.get(), "words");
        CHECK(ends.here.read(buffer) == 5);
        ends.there.reset();
        CHECK(ends.here.read(buffer) == 0);
    });
}

// Trap: a read stops where urgent data is, although more is there.
TEST_CASE("urgent data does not hide what follows it") {
    in_fiber([] {
        connection ends = connect_pair();
        heddle::fiber reader([&] {
            std::string all;
            char buffer[100];
            while (all.size() < 6) {
                all.append(buffer, ends.here.read(buffer));
            }
            return all;
        });
        let_others_run();
        put(ends.there.get(), "abc");
        REQUIRE(::send(ends.there.get(), "!", 1, MSG_OOB) == 1);
        put(ends.there.get(), "def");
        CHECK(reader.join() == "abcdef");
    });
}

TEST_CASE("a stream that is shut down for writing can still be read") {
    in_fiber([] {
        stream_pair ends = connect_streams();
        heddle::fiber server([&] {
            const std::string question = read_all(ends.b);
            ends.b.write_all(question + "?");
            ends.b.close();
        });
        ends.a.write_all("who");
        ends.a.shutdown_write();
        CHECK(read_all(ends.a) == "who?");
        std::error_code ec;
        ends.a.write("more", ec);
        CHECK(ec == std::errc::broken_pipe);
        CHECK(error_of([&] { ends.a.write_all("more"); }).code == std::errc::broken_pipe);
    });
}

TEST_CASE("read_exactly reports an end that comes too early") {
    in_fiber([] {
        connection ends = connect_pair();
        put(ends.there.get(), "wef");
        ends.there.reset();
        const std::string peer = ends.here.remote_address().to_string();
        char bytes[4];
        const caught_error error = error_of([&] { ends.here.read_exactly(bytes); });
        CHECK(error.code == heddle::errc::end_of_stream);
        CHECK(error.text == "heddle: read from " + peer + ": end of stream");
        std::error_code ec;
        ends.here.read_exactly(bytes, ec);
        CHECK(ec == heddle::errc::end_of_stream);
        CHECK(ends.here.read(bytes) == 0);
    });
}

TEST_CASE("read_exactly keeps one deadline for all of its steps") {
    in_fiber([] {
        connection ends = connect_pair();
        put(ends.there.get(), "wef");
        await_readable(ends.here.native_handle());
        char bytes[4];
        std::error_code ec;
        ends.here.read_exactly(bytes, in_the_past(), ec);
        CHECK(ec == std::errc::timed_out);
        put(ends.there.get(), "warp");
        await_readable(ends.here.native_handle());
        ends.here.read_exactly(bytes, in_the_past(), ec);
        CHECK_FALSE(ec);
        CHECK(std::string_view(bytes, 4) == "warp");
    });
}

TEST_CASE("a reset is an error for the reader") {
    for (const bool reader_waits : {true, false}) {
        in_fiber([reader_waits] {
            connection ends = connect_pair();
            caught_error error;
            heddle::fiber reader([&] {
                char byte[1];
                error = error_of([&] { ends.here.read(byte); });
                // The error was reported; what is left is the end.
                std::error_code ec;
                CHECK(ends.here.read(byte, ec) == 0);
            });
            if (reader_waits) {
                let_others_run();
            }
            reset_on_close(ends.there.get());
            ends.there.reset();
            reader.join();
            CHECK(error.code == std::errc::connection_reset);
            CHECK(error.text.find("heddle: read from ") == 0);
            CHECK(error.text.find(": Connection reset by peer") != std::string::npos);
        });
    }
}

TEST_CASE("a reset is an error for the writer, and no signal") {
    in_fiber([] {
        connection ends = connect_pair();
        shrink_buffers(ends.here.native_handle());
        heddle::fiber writer(
            [&] { return error_of([&] { ends.here.write_all(more_than_fits()); }).code; });
        let_others_run();
        reset_on_close(ends.there.get());
        ends.there.reset();
        const std::error_code code = writer.join();
        CHECK((code == std::errc::connection_reset || code == std::errc::broken_pipe));
        std::error_code ec;
        ends.here.write("x", ec);
        CHECK(ec == std::errc::broken_pipe);
        ends.here.shutdown_write(ec);
        CHECK(ec == std::errc::not_connected);
        CHECK(error_of([&] { ends.here.remote_address(); }).code == std::errc::not_connected);
    });
}

TEST_CASE("writing to a peer that is gone ends, and is no signal") {
    in_fiber([] {
        connection ends = connect_pair();
        ends.there.reset();
        std::error_code ec;
        for (int attempt = 0; attempt < 1000 && !ec; ++attempt) {
            ends.here.write("x", ec);
        }
        CHECK((ec == std::errc::connection_reset || ec == std::errc::broken_pipe));
    });
}

TEST_CASE("a closed stream says so") {
    in_fiber([] {
        connection ends = connect_pair();
        ends.here.close();
        ends.here.close();
        CHECK(take(ends.there.get()).empty());
        char byte[1];
        CHECK(error_of([&] { ends.here.read(byte); }).text ==
              "heddle: read from a closed stream: Bad file descriptor");
        CHECK(error_of([&] { ends.here.write("x"); }).text ==
              "heddle: write to a closed stream: Bad file descriptor");
        const auto is_bad = [](auto f) {
            return error_of(f).code == std::errc::bad_file_descriptor;
        };
        CHECK(is_bad([&] { ends.here.read_exactly(byte); }));
        CHECK(is_bad([&] { ends.here.write_all("x"); }));
        CHECK(is_bad([&] { ends.here.shutdown_write(); }));
        CHECK(is_bad([&] { ends.here.set_no_delay(true); }));
        CHECK(is_bad([&] { ends.here.local_address(); }));
        CHECK(is_bad([&] { ends.here.remote_address(); }));
        CHECK(is_bad([&] { tcp_stream().read(byte); }));
        std::error_code ec;
        CHECK(ends.here.remote_address(ec) == heddle::address());
        CHECK(ec == std::errc::bad_file_descriptor);
        CHECK(ends.here.native_handle() == -1);
    });
}

TEST_CASE("a read that the close of its stream ended names no address") {
    in_fiber([] {
        connection ends = connect_pair();
        heddle::fiber reader([&] {
            char byte[1];
            return error_of([&] { ends.here.read(byte); }).text;
        });
        let_others_run();
        ends.here.close();
        CHECK(reader.join() ==
              "heddle: read from a stream that was closed meanwhile: Operation canceled");
    });
}

TEST_CASE("a stream may be destroyed under its reader and its writer") {
    in_fiber([] {
        std::optional<connection> ends = connect_pair();
        heddle::fiber reader([&stream = ends->here] {
            char byte[1];
            return outcome_of([&] { stream.read_exactly(byte); });
        });
        heddle::fiber writer([&stream = ends->here] {
            return outcome_of([&] { stream.write_all(more_than_fits()); });
        });
        let_others_run();
        ends.reset();
        CHECK(reader.join() == outcome::operation_canceled);
        CHECK(writer.join() == outcome::operation_canceled);
    });
}

// Trap: the number of a closed descriptor goes to the next one, and so did what was waited for.
TEST_CASE("a reader of a closed stream never sees the data of the next one with its number") {
    in_fiber([] {
        tcp_listener listener(any_port());
        tcp_stream client = tcp_stream::connect(listener.local_address());
        tcp_stream victim = listener.accept();
        std::string stolen(10, '\0');
        heddle::fiber reader([&] { return outcome_of([&] { victim.read(stolen, 10s); }); });
        let_others_run();
        const owning_fd other = connect_plainly(listener.local_address());
        put(other.get(), "secret");
        const int number = victim.native_handle();
        victim.close();
        tcp_stream next = listener.accept();
        REQUIRE(next.native_handle() == number);
        CHECK(reader.join() == outcome::operation_canceled);
        CHECK(stolen == std::string(10, '\0'));
        std::string received(6, '\0');
        next.read_exactly(received, 10s);
        CHECK(received == "secret");
    });
}

TEST_CASE("a number is reused many times over, with waiters each time") {
    in_fiber([] {
        tcp_listener listener(any_port());
        for (int round = 0; round < 200; ++round) {
            tcp_stream client = tcp_stream::connect(listener.local_address());
            tcp_stream server = listener.accept();
            char byte[1] = {};
            heddle::fiber reader([&] { return outcome_of([&] { server.read(byte); }); });
            if (round % 3 != 0) {
                let_others_run();
            }
            if (round % 2 == 0) {
                server.close();
                CHECK(reader.join() ==
                      (round % 3 != 0 ? outcome::operation_canceled : outcome::bad_descriptor));
            } else {
                client.write_all("x");
                CHECK(reader.join() == outcome::done);
                CHECK(byte[0] == 'x');
            }
        }
    });
}

TEST_CASE("bytes that were written before a close still arrive") {
    in_fiber([] {
        stream_pair ends = connect_streams();
        heddle::fiber reader([&] { return read_all(ends.b); });
        ends.a.write_all(pattern(100'000));
        ends.a.close();
        CHECK((reader.join() == pattern(100'000)));
    });
}
