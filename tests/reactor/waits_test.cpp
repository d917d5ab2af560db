// Readiness: what ends a wait, and what does not.
#include "tests/reactor/harness.hpp"

#include "runtime/base/system.hpp"
#include "tests/support/report.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#include <array>

namespace heddle::test {
namespace {

constexpr auto wait_readable = operation_kind::wait_readable;
constexpr auto wait_writable = operation_kind::wait_writable;

// A descriptor is waited for raw, and then as an attached one.
std::array<descriptor_handle, 2> both(const owning_fd& fd) {
    return {raw(fd.get()), attached(fd.get())};
}

TEST_CASE_TEMPLATE("a wait ends when there is something to read, and takes nothing", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const pair& ends : {make_pipe(), make_pipe(true), make_socket_pair(), make_tcp_pair()}) {
        for (const descriptor_handle handle : both(ends.a)) {
            request wait(wait_readable, handle);
            CHECK_FALSE(under_test.submit(wait));
            under_test.settle();
            CHECK(wait.pending);
            give(ends.b.get(), "x");
            CHECK(under_test.finish(wait) == 0);
            CHECK(under_test.completed == std::vector<operation*>{&wait});
            CHECK(take(ends.a.get()) == "x");
            under_test.completed.clear();
        }
    }
}

TEST_CASE_TEMPLATE("a wait ends when there is room to write", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const pair& ends : {make_pipe(), make_socket_pair(), make_tcp_pair()}) {
        for (const descriptor_handle handle : both(ends.b)) {
            request at_once(wait_writable, handle);
            CHECK(under_test.perform(at_once) == 0);
            std::size_t inside = fill(handle.fd);
            request wait(wait_writable, handle);
            CHECK_FALSE(under_test.submit(wait));
            under_test.settle();
            CHECK(wait.pending);
            while (inside > 0) {
                await(ends.a.get(), POLLIN);
                inside -= take(ends.a.get()).size();
            }
            CHECK(under_test.finish(wait) == 0);
        }
    }
}

TEST_CASE_TEMPLATE("unread data ends every wait, not only the first", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const pair& ends : {make_pipe(), make_tcp_pair()}) {
        give(ends.b.get(), "unread");
        await_bytes(ends.a.get(), 6);
        for (const descriptor_handle handle : both(ends.a)) {
            for (int round = 0; round < 3; ++round) {
                request wait(wait_readable, handle);
                CHECK(under_test.perform(wait) == 0);
            }
        }
    }
}

TEST_CASE_TEMPLATE("the end of a stream ends a wait for reading", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    pair kinds[] = {make_pipe(), make_socket_pair(), make_tcp_pair()};
    for (pair& ends : kinds) {
        request wait(wait_readable, raw(ends.a.get()));
        request other(wait_readable, attached(ends.a.get()));
        CHECK_FALSE(under_test.submit(wait));
        under_test.settle();
        ends.b.reset();
        CHECK(under_test.finish(wait) == 0);
        CHECK(under_test.perform(other) == 0);
        under_test.events().detach(other.handle);
    }
    const pair half = make_tcp_pair();
    request wait(wait_readable, attached(half.a.get()));
    CHECK_FALSE(under_test.submit(wait));
    detail::sys::shutdown(half.b.get(), SHUT_WR);
    CHECK(under_test.finish(wait) == 0);
}

TEST_CASE_TEMPLATE("a hang-up wakes both directions", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool by_id : {false, true}) {
        pair ends = make_socket_pair();
        fill(ends.a.get());
        const descriptor_handle handle = both(ends.a)[by_id ? 1 : 0];
        request reading(wait_readable, handle);
        request writing(wait_writable, handle);
        CHECK_FALSE(under_test.submit(reading));
        CHECK_FALSE(under_test.submit(writing));
        under_test.settle();
        CHECK(under_test.events().pending() == 2);
        ends.b.reset();
        CHECK(under_test.finish(reading) == 0);
        CHECK(under_test.finish(writing) == 0);
        under_test.events().detach(handle);
    }
}

TEST_CASE_TEMPLATE("a reset connection wakes both directions with its error", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool by_id : {false, true}) {
        pair ends = make_tcp_pair();
        fill(ends.a.get());
        const descriptor_handle handle = both(ends.a)[by_id ? 1 : 0];
        request reading(operation_kind::receive, handle, 100);
        request writing(wait_writable, handle);
        CHECK_FALSE(under_test.submit(reading));
        CHECK_FALSE(under_test.submit(writing));
        under_test.settle();
        const linger at_once = {.l_onoff = 1, .l_linger = 0};
        ::setsockopt(ends.b.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ends.b.reset();
        CHECK(under_test.finish(reading) == -ECONNRESET);
        CHECK(under_test.finish(writing) == 0);
        under_test.events().detach(handle);
    }
}

TEST_CASE_TEMPLATE("a pipe that nobody reads any more is writable: the write will say why", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool by_id : {false, true}) {
        pair ends = make_pipe();
        fill(ends.b.get());
        const descriptor_handle handle = both(ends.b)[by_id ? 1 : 0];
        request wait(wait_writable, handle);
        CHECK_FALSE(under_test.submit(wait));
        under_test.settle();
        CHECK(wait.pending);
        ends.a.reset();
        CHECK(under_test.finish(wait) == 0);
        request write(operation_kind::write, handle, "x");
        CHECK(under_test.perform(write) == -EPIPE);
        under_test.events().detach(handle);
    }
}

TEST_CASE_TEMPLATE("a regular file is always ready, although epoll refuses it", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const owning_fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    REQUIRE(file);
    for (const descriptor_handle handle : both(file)) {
        for (const operation_kind kind : {wait_readable, wait_writable}) {
            request wait(kind, handle);
            CHECK(under_test.perform(wait) == 0);
            request no_wait(kind, handle);
            CHECK(under_test.submit(no_wait, false));
            CHECK(no_wait.result == 0);
        }
    }
}

struct terminal {
    owning_fd master, line;

    terminal() : master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
        if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0) {
            return;
        }
        char name[100];
        if (::ptsname_r(master.get(), name, sizeof name) == 0) {
            line = owning_fd(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
        }
        termios how{};
        ::tcgetattr(line.get(), &how);
        how.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(line.get(), TCSANOW, &how);
    }
};

TEST_CASE_TEMPLATE("a terminal is waited for and read line by line, without blocking", Backend,
                   HEDDLE_BACKENDS) {
    const terminal tty;
    if (!tty.line) {
        return skip("no pseudo-terminals");
    }
    harness under_test(Backend::make);
    request wait(wait_readable, raw(tty.line.get()));
    request read(operation_kind::read, raw(tty.line.get()), 100);
    CHECK_FALSE(under_test.submit(wait));
    CHECK_FALSE(under_test.submit(read));
    give(tty.master.get(), "half a line");
    under_test.settle();
    CHECK(under_test.events().pending() == 2);
    give(tty.master.get(), " and more\nsecond\n");
    CHECK(under_test.finish(wait) == 0);
    CHECK(under_test.finish(read) == 21);
    CHECK(read.text() == "half a line and more\n");
    request second(operation_kind::read, raw(tty.line.get()), 100);
    CHECK(under_test.perform(second) == 7);
    CHECK(second.text() == "second\n");
    request write(operation_kind::write, raw(tty.line.get()), "to the master");
    CHECK(under_test.perform(write) == 13);
    request other_side(operation_kind::read, raw(tty.master.get()), 100);
    CHECK(under_test.perform(other_side) == 13);
}

TEST_CASE_TEMPLATE("inotify is waited for as a raw descriptor", Backend, HEDDLE_BACKENDS) {
    char folder[] = "/tmp/heddle-reactor-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    const std::string file = std::string(folder) + "/file";
    harness under_test(Backend::make);
    const owning_fd watch(::inotify_init1(IN_CLOEXEC));
    REQUIRE(::inotify_add_watch(watch.get(), folder, IN_CREATE | IN_DELETE) >= 0);
    for (int round = 0; round < 2; ++round) {
        request wait(wait_readable, raw(watch.get()));
        request read(operation_kind::read, raw(watch.get()), 4096);
        CHECK_FALSE(under_test.submit(wait));
        CHECK_FALSE(under_test.submit(read));
        under_test.settle();
        CHECK(under_test.events().pending() == 2);
        owning_fd(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)).reset();
        ::unlink(file.c_str());
        CHECK(under_test.finish(wait) == 0);
        CHECK(under_test.finish(read) > 0);
        request rest(operation_kind::read, raw(watch.get()), 4096);
        while (under_test.submit(rest, false) && rest.result > 0) {
        }
    }
    ::rmdir(folder);
}

TEST_CASE_TEMPLATE("several waits on one raw descriptor end by direction, all of them", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_socket_pair();
    std::size_t inside = fill(ends.a.get());
    const descriptor_handle handle = raw(ends.a.get());
    request readers[3] = {
        {wait_readable, handle}, {wait_readable, handle}, {wait_readable, handle}};
    request writers[2] = {{wait_writable, handle}, {wait_writable, handle}};
    CHECK_FALSE(under_test.submit(readers[0]));
    CHECK_FALSE(under_test.submit(writers[0]));
    CHECK_FALSE(under_test.submit(readers[1]));
    CHECK_FALSE(under_test.submit(writers[1]));
    CHECK_FALSE(under_test.submit(readers[2]));
    CHECK(under_test.events().pending() == 5);
    give(ends.b.get(), "x");
    for (request& one : readers) {
        CHECK(under_test.finish(one) == 0);
    }
    under_test.settle();
    CHECK(under_test.events().pending() == 2);
    while (inside > 0) {
        inside -= take(ends.b.get()).size();
    }
    for (request& one : writers) {
        CHECK(under_test.finish(one) == 0);
    }
}

TEST_CASE_TEMPLATE("a raw wait behind a read is not told of what the read took", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_pipe();
    request read(operation_kind::read, raw(ends.a.get()), 100);
    request wait(wait_readable, raw(ends.a.get()));
    CHECK_FALSE(under_test.submit(read));
    CHECK_FALSE(under_test.submit(wait));
    give(ends.b.get(), "all of it");
    CHECK(under_test.finish(read) == 9);
    under_test.settle();
    CHECK(wait.pending);
    give(ends.b.get(), "x");
    CHECK(under_test.finish(wait) == 0);
}

TEST_CASE_TEMPLATE("urgent data alone does not end a wait for reading", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    for (const descriptor_handle handle : both(ends.a)) {
        request wait(wait_readable, handle);
        CHECK_FALSE(under_test.submit(wait));
        CHECK(detail::sys::send(ends.b.get(), "!", 1, MSG_OOB) == 1);
        await(ends.a.get(), POLLPRI);
        under_test.settle();
        CHECK(wait.pending);
        give(ends.b.get(), "x");
        CHECK(under_test.finish(wait) == 0);
        CHECK(take(ends.a.get()) == "x");
    }
}

}  // namespace
}  // namespace heddle::test
