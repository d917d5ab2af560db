// wait_readable, wait_writable, read, write and write_all on descriptors that are not heddle's.
#include "tests/io/sockets.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

using namespace std::chrono_literals;
using namespace heddle::test;

namespace {

std::string read_some(int fd, std::size_t most = 100) {
    std::string bytes(most, '\0');
    bytes.resize(heddle::read(fd, bytes, 10s));
    return bytes;
}

bool is_blocking(int fd) {
    return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

}  // namespace

TEST_CASE("a pipe is read and written, in either mode, and keeps its mode") {
    for (const int flags : {0, O_NONBLOCK}) {
        in_fiber([flags] {
            pipe_ends ends = make_pipe(flags);
            heddle::fiber reader([&] { return read_some(ends.reading.get()); });
            let_others_run();
            CHECK(heddle::write(ends.writing.get(), "weft") == 4);
            CHECK(reader.join() == "weft");
            CHECK(is_blocking(ends.reading.get()) == (flags == 0));
            CHECK(is_blocking(ends.writing.get()) == (flags == 0));
            ends.writing.reset();
            CHECK(read_some(ends.reading.get()).empty());
            CHECK(read_some(ends.reading.get()).empty());
        });
    }
}

TEST_CASE("a pipe carries more than it holds, without blocking the thread") {
    for (const int flags : {0, O_NONBLOCK}) {
        in_fiber([flags] {
            pipe_ends ends = make_pipe(flags);
            const std::string sent = pattern(500'000);
            heddle::fiber writer([&] {
                heddle::write_all(ends.writing.get(), sent);
                ends.writing.reset();
            });
            std::string received;
            for (std::string part; !(part = read_some(ends.reading.get(), 70'000)).empty();) {
                received += part;
            }
            CHECK((received == sent));
        });
    }
}

TEST_CASE("waiting transfers nothing, and is done as long as data is unread") {
    in_fiber([] {
        const pipe_ends ends = make_pipe(0);
        const int fd = ends.reading.get();
        put(ends.writing.get(), "x");
        heddle::wait_readable(fd);
        heddle::wait_readable(fd, 10s);
        std::error_code ec;
        heddle::wait_readable(fd, in_the_past(), ec);
        CHECK_FALSE(ec);
        CHECK(read_some(fd) == "x");
        heddle::wait_readable(fd, 1ms, ec);
        CHECK(ec == std::errc::timed_out);
        heddle::wait_writable(ends.writing.get());
    });
}

TEST_CASE("the end of a pipe and a lost reader end a wait") {
    in_fiber([] {
        pipe_ends ends = make_pipe(0);
        heddle::fiber waiter([&] { heddle::wait_readable(ends.reading.get()); });
        let_others_run();
        ends.writing.reset();
        waiter.join();

        pipe_ends full = make_pipe(0);
        fill(full.writing.get());
        heddle::fiber writer([&] { heddle::wait_writable(full.writing.get()); });
        let_others_run();
        full.reading.reset();
        writer.join();
    });
}

TEST_CASE("writing where nobody reads is an error and no signal") {
    for (const int flags : {0, O_NONBLOCK}) {
        in_fiber([flags] {
            pipe_ends ends = make_pipe(flags);
            ends.reading.reset();
            const caught_error error = error_of([&] { heddle::write(ends.writing.get(), "x"); });
            CHECK(error.code == std::errc::broken_pipe);
            CHECK(error.text == "heddle: write to descriptor " +
                                    std::to_string(ends.writing.get()) + ": Broken pipe");
            std::error_code ec;
            heddle::write_all(ends.writing.get(), "x", ec);
            CHECK(ec == std::errc::broken_pipe);
        });
    }
}

TEST_CASE("a number that is not open is an error") {
    in_fiber([] {
        int unused = 0;
        {
            const pipe_ends ends = make_pipe(0);
            unused = ends.reading.get();
        }
        char byte[1];
        for (const int fd : {unused, -1}) {
            CAPTURE(fd);
            const auto is_bad = [](auto f) {
                return error_of(f).code == std::errc::bad_file_descriptor;
            };
            CHECK(is_bad([&] { heddle::wait_readable(fd); }));
            CHECK(is_bad([&] { heddle::wait_writable(fd); }));
            CHECK(is_bad([&] { heddle::read(fd, byte); }));
            CHECK(is_bad([&] { heddle::write(fd, "x"); }));
            CHECK(is_bad([&] { heddle::write_all(fd, "x"); }));
        }
        CHECK(error_of([] { heddle::wait_readable(-1); }).text ==
              "heddle: wait to read from descriptor -1: Bad file descriptor");
    });
}

TEST_CASE("an empty buffer is done at once, whatever the descriptor is") {
    in_fiber([] {
        std::string none;
        CHECK(heddle::read(-1, none) == 0);
        CHECK(heddle::write(-1, none) == 0);
        heddle::write_all(-1, "");
    });
}

TEST_CASE("a regular file is always ready") {
    in_fiber([] {
        const owning_fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        REQUIRE(file);
        heddle::wait_writable(file.get());
        heddle::wait_readable(file.get(), in_the_past());
        heddle::write_all(file.get(), pattern(100'000));
        REQUIRE(::lseek(file.get(), 0, SEEK_SET) == 0);
        heddle::wait_readable(file.get());
        std::string received;
        for (std::string part; !(part = read_some(file.get(), 10'000)).empty();) {
            received += part;
        }
        CHECK((received == pattern(100'000)));
    });
}

TEST_CASE("a socket of one's own is read and written") {
    in_fiber([] {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        const owning_fd a(ends[0]);
        const owning_fd b(ends[1]);
        heddle::fiber reader([&] { return read_some(b.get()); });
        let_others_run();
        heddle::write_all(a.get(), "weft");
        CHECK(reader.join() == "weft");
        CHECK(is_blocking(a.get()));
    });
}

TEST_CASE("two fibers wait on the two directions of one descriptor") {
    in_fiber([] {
        // A TCP connection may have bytes under way, and so find room a little later.
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        const owning_fd there(ends[0]);
        const owning_fd here(ends[1]);
        const int fd = there.get();
        fill(fd);
        bool writable = false;
        heddle::fiber writer([&] {
            heddle::wait_writable(fd);
            writable = true;
        });
        heddle::fiber reader([&] { heddle::wait_readable(fd); });
        let_others_run();
        put(here.get(), "x");
        reader.join();
        let_others_run();
        CHECK_FALSE(writable);
        take(here.get());
        writer.join();
    });
}

// Trap: descriptors that travel over a Unix socket cut a read short, although more is there.
TEST_CASE("a read that passed descriptors cut short is followed by the rest") {
    in_fiber([] {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        const owning_fd a(ends[0]);
        const owning_fd b(ends[1]);
        heddle::fiber reader([&] {
            std::string all;
            while (all.size() < 6) {
                all += read_some(b.get());
            }
            return all;
        });
        let_others_run();
        put(a.get(), "ab");
        char bytes[] = {'c', 'd'};
        iovec data = {bytes, sizeof bytes};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        const int passed = a.get();
        std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
        REQUIRE(::sendmsg(a.get(), &message, 0) == 2);
        put(a.get(), "ef");
        CHECK(reader.join() == "abcdef");
    });
}

// Trap: the number is another descriptor's by now, and nobody has told.
TEST_CASE("a descriptor may be closed behind a wait, and its number used again") {
    in_fiber([] {
        for (int round = 0; round < 10; ++round) {
            pipe_ends first = make_pipe(0);
            const int number = first.reading.get();
            std::error_code ec;
            heddle::wait_readable(number, 1ms, ec);
            CHECK(ec == std::errc::timed_out);
            first.reading.reset();
            const pipe_ends second = make_pipe(0);
            REQUIRE(second.reading.get() == number);
            heddle::fiber waiter([&] { heddle::wait_readable(number, 10s); });
            let_others_run();
            put(second.writing.get(), "x");
            waiter.join();
            CHECK(read_some(number) == "x");
        }
    });
}

TEST_CASE("a descriptor may be closed while a fiber waits on it") {
    in_fiber([] {
        pipe_ends first = make_pipe(0);
        const int number = first.reading.get();
        heddle::fiber forgotten([&] {
            std::error_code ec;
            heddle::wait_readable(number, ec);
            return to_outcome(ec);
        });
        let_others_run();
        first.reading.reset();
        const pipe_ends second = make_pipe(0);
        REQUIRE(second.reading.get() == number);
        put(second.writing.get(), "x");
        heddle::wait_readable(number, 10s);
        CHECK(read_some(number) == "x");
        // What became of the first wait is the system's choice; the fiber can be stopped.
        forgotten.request_stop();
        const outcome end = forgotten.join();
        CHECK(end != outcome::timed_out);
    });
}
