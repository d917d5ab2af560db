// What the system may refuse, and what a signal may interrupt: every error is reported as it is,
// and the object goes on working.
#include "tests/io/sockets.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace heddle::test;
using heddle::tcp_listener;
using heddle::tcp_stream;
using heddle::detail::sys::call;

namespace {

// The calls to fail, and with what: the next `times` calls of `which` give `verdict`.
struct failing {
    call which = call::close;
    std::int64_t verdict = 0;
    int times = 0;
};
failing plan;

std::int64_t fail_as_planned(call which, int) {
    if (which != plan.which || plan.times == 0) {
        return 0;
    }
    --plan.times;
    return plan.verdict;
}

// Fails `times` calls while it lives.
class failure {
public:
    failure(call which, std::int64_t verdict, int times = 1) : active_(fail_as_planned) {
        plan = {which, verdict, times};
    }
    bool has_happened() const { return plan.times == 0; }

private:
    interception active_;
};

// Takes all descriptors that the process may have.
class no_descriptors {
public:
    no_descriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        next_ = ::dup(0);
        ::close(next_);
        const rlimit none = {static_cast<rlim_t>(next_), before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    no_descriptors(const no_descriptors&) = delete;
    no_descriptors& operator=(const no_descriptors&) = delete;
    ~no_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

    /// What an error says of the limit that the last one set.
    static std::string note() {
        return " (this process may have " + std::to_string(next_) +
               " descriptors: RLIMIT_NOFILE, ulimit -n)";
    }

private:
    static inline int next_ = 0;
    rlimit before_{};
};

}  // namespace

TEST_CASE("accept without a descriptor left says so, and the connection goes on waiting") {
    for (const bool acceptor_waits : {false, true}) {
        in_fiber([acceptor_waits] {
            tcp_listener listener(any_port());
            const std::string at = listener.local_address().to_string();
            const owning_fd first = connect_plainly(listener.local_address());
            // The first connection makes sure that the listener is known to the reactor.
            listener.accept();
            std::optional<owning_fd> client;
            if (!acceptor_waits) {
                client = connect_plainly(listener.local_address());
            }
            heddle::fiber acceptor([&] { return error_of([&] { listener.accept(); }); });
            if (acceptor_waits) {
                let_others_run();
                client = connect_plainly(listener.local_address());
            }
            caught_error error;
            {
                const no_descriptors left;
                error = acceptor.join();
            }
            CHECK(error.code == std::errc::too_many_files_open);
            CHECK(error.text ==
                  "heddle: accept at " + at + no_descriptors::note() + ": Too many open files");
            CHECK(listener.accept(10s).native_handle() >= 0);
        });
    }
}

TEST_CASE("accept reports a system without descriptors") {
    in_fiber([] {
        tcp_listener listener(any_port());
        const owning_fd client = connect_plainly(listener.local_address());
        {
            const failure full(call::accept4, -ENFILE);
            std::error_code ec;
            listener.accept(ec);
            CHECK(ec == std::errc::too_many_files_open_in_system);
        }
        CHECK(listener.accept().native_handle() >= 0);
    });
}

TEST_CASE("connect and listen report that no descriptor is left") {
    in_fiber([] {
        tcp_listener listener(any_port());
        const heddle::address at = listener.local_address();
        caught_error connecting;
        caught_error listening;
        std::error_code ec;
        {
            const no_descriptors left;
            connecting = error_of([&] { tcp_stream::connect(at); });
            listening = error_of([&] { tcp_listener second(any_port()); });
            tcp_listener third(any_port(), ec);
        }
        CHECK(connecting.code == std::errc::too_many_files_open);
        CHECK(connecting.text == "heddle: connect to " + at.to_string() + no_descriptors::note() +
                                     ": Too many open files");
        CHECK(listening.code == std::errc::too_many_files_open);
        CHECK(listening.text ==
              "heddle: listen on 127.0.0.1:0" + no_descriptors::note() + ": Too many open files");
        CHECK(ec == std::errc::too_many_files_open);
        CHECK(tcp_stream::connect(at).native_handle() >= 0);
    });
}

TEST_CASE("accept passes over connections that their peers gave up") {
    in_fiber([] {
        tcp_listener listener(any_port());
        for (const int error : {ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH}) {
            const owning_fd client = connect_plainly(listener.local_address());
            const failure gone(call::accept4, -error, 3);
            CHECK(listener.accept().native_handle() >= 0);
            CHECK(gone.has_happened());
            std::error_code ec;
            listener.accept(in_the_past(), ec);
            CHECK(ec == std::errc::timed_out);
        }
    });
}

TEST_CASE("the deadline of accept holds however many peers give up") {
    in_fiber([] {
        tcp_listener listener(any_port());
        const owning_fd client = connect_plainly(listener.local_address());
        for (const bool past : {false, true}) {
            const failure gone(call::accept4, -ECONNABORTED, 1'000'000'000);
            std::error_code ec;
            listener.accept(past ? in_the_past() : heddle::deadline(2ms), ec);
            CHECK(ec == std::errc::timed_out);
        }
        CHECK(listener.accept().native_handle() >= 0);
    });
}

TEST_CASE("accept survives a peer that resets before it is accepted") {
    in_fiber([] {
        tcp_listener listener(any_port());
        owning_fd gone = connect_plainly(listener.local_address());
        reset_on_close(gone.get());
        gone.reset();
        // The system hands the dead connection out or drops it; the next one comes through.
        heddle::fiber server([&] {
            for (;;) {
                tcp_stream peer = listener.accept();
                char byte[1];
                std::error_code ec;
                if (peer.read(byte, ec) == 1) {
                    return byte[0];
                }
            }
        });
        const owning_fd client = connect_plainly(listener.local_address());
        put(client.get(), "x");
        CHECK(server.join() == 'x');
    });
}

TEST_CASE("a send that finds no memory is reported, and the next one works") {
    in_fiber([] {
        stream_pair ends = connect_streams();
        {
            const failure full(call::send, -ENOBUFS);
            std::error_code ec;
            CHECK(ends.a.write("weft", ec) == 0);
            CHECK(ec == std::errc::no_buffer_space);
        }
        {
            const failure full(call::send, -ENOMEM);
            CHECK(error_of([&] { ends.a.write_all("weft"); }).code == std::errc::not_enough_memory);
        }
        ends.a.write_all("weft");
        char bytes[4];
        ends.b.read_exactly(bytes);
        CHECK(std::string_view(bytes, 4) == "weft");
    });
}

TEST_CASE("an interrupted call is made again") {
    in_fiber([] {
        tcp_listener listener(any_port());
        pipe_ends ends = make_pipe(0);
        const auto interrupted = [](call which, auto f) {
            const failure by_signal(which, -EINTR, 2);
            f();
            CHECK(by_signal.has_happened());
        };
        tcp_stream client;
        tcp_stream server;
        char bytes[4];
        interrupted(call::connect, [&] { client = tcp_stream::connect(listener.local_address()); });
        interrupted(call::accept4, [&] { server = listener.accept(); });
        interrupted(call::send, [&] { client.write_all("weft"); });
        interrupted(call::recv, [&] { server.read_exactly(bytes); });
        CHECK(std::string_view(bytes, 4) == "weft");
        interrupted(call::write, [&] { heddle::write_all(ends.writing.get(), "warp"); });
        interrupted(call::read, [&] { heddle::read(ends.reading.get(), bytes); });
        CHECK(std::string_view(bytes, 4) == "warp");
        interrupted(call::setsockopt, [&] { client.set_no_delay(true); });
        interrupted(call::getpeername, [&] { client.remote_address(); });
        interrupted(call::shutdown, [&] { client.shutdown_write(); });
    });
}

TEST_CASE("transfers that the system cuts short lose nothing") {
    in_fiber([] {
        const std::string sent = pattern(5000);
        stream_pair ends = connect_streams();
        pipe_ends pipe = make_pipe(0);
        {
            const failure sending(call::send, 7, 10'000);
            CHECK(ends.a.write(sent) == 7);
            ends.a.write_all(std::string_view(sent).substr(7));
        }
        std::string received(sent.size(), '\0');
        ends.b.read_exactly(received);
        CHECK((received == sent));
        {
            const failure writing(call::write, 11, 10'000);
            CHECK(heddle::write(pipe.writing.get(), sent) == 11);
            heddle::write_all(pipe.writing.get(), std::string_view(sent).substr(11));
        }
        {
            const failure reading(call::read, 13, 10'000);
            received.clear();
            while (received.size() < sent.size()) {
                char bytes[100];
                received.append(bytes, heddle::read(pipe.reading.get(), bytes));
            }
        }
        CHECK((received == sent));
    });
}

TEST_CASE("a stream that is closed between two steps of a call ends the call") {
    in_fiber([] {
        stream_pair ends = connect_streams();
        const failure small_steps(call::send, 1, 1'000'000);
        heddle::fiber closer([&] { ends.a.close(); });
        // Every step succeeds at once, so that the call is between two of them when it gives way.
        const caught_error error = error_of([&] { ends.a.write_all(pattern(1'000'000)); });
        CHECK(error.code == std::errc::operation_canceled);
        CHECK(error.text ==
              "heddle: write to a stream that was closed meanwhile: Operation canceled");
        closer.join();
    });
}

TEST_CASE("errors of a wait are reported, and the object goes on working") {
    in_fiber([] {
        connection ends = connect_pair();
        put(ends.there.get(), "weft");
        char bytes[4];
        std::error_code ec;
        {
            const failure broken(call::recv, -EIO);
            ends.here.read(bytes, ec);
            CHECK(ec == std::errc::io_error);
        }
        ends.here.read_exactly(bytes);
        CHECK(std::string_view(bytes, 4) == "weft");
    });
}

TEST_CASE("a step of listening that fails is reported and leaves nothing behind") {
    for (const call which : {call::socket, call::setsockopt, call::bind, call::listen}) {
        const failure broken(which, -EACCES);
        const caught_error error = error_of([] { tcp_listener listener(any_port()); });
        CHECK(error.code == std::errc::permission_denied);
        CHECK(error.text == "heddle: listen on 127.0.0.1:0: Permission denied");
    }
}

TEST_CASE("an option that cannot be set names the peer") {
    in_fiber([] {
        connection ends = connect_pair();
        const failure broken(call::setsockopt, -EINVAL);
        CHECK(error_of([&] { ends.here.set_no_delay(true); }).text ==
              "heddle: set TCP_NODELAY of " + ends.here.remote_address().to_string() +
                  ": Invalid argument");
    });
}
