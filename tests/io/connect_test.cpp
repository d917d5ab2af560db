// tcp_stream::connect: whom it reaches, how it fails, and how it waits.
#include "tests/io/sockets.hpp"
#include "tests/support/refused.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/socket.h>

using namespace std::chrono_literals;
using namespace heddle::test;
using heddle::address;
using heddle::tcp_listener;
using heddle::tcp_stream;

namespace {

// A port of the loopback device that is taken and that nobody listens on.
struct refusing_port {
    refusing_port() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in ipv4{};
        ipv4.sin_family = AF_INET;
        ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof ipv4;
        auto* const generic = reinterpret_cast<sockaddr*>(&ipv4);
        REQUIRE(::bind(fd.get(), generic, size) == 0);
        REQUIRE(::getsockname(fd.get(), generic, &size) == 0);
        at = address("127.0.0.1", ntohs(ipv4.sin_port));
    }
    owning_fd fd;
    address at;
};

// A listener whose queue of connections is full: the system answers no further one.
struct silent_port {
    silent_port() { await_readable(listener.native_handle()); }
    tcp_listener listener{any_port(), {.backlog = 0}};
    address at = listener.local_address();
    owning_fd filling = connect_plainly(at);  // Linux takes one more than the backlog says
};

}  // namespace

TEST_CASE("connect reaches a listener over IPv4") {
    in_fiber([] {
        tcp_listener listener(any_port());
        tcp_stream client = tcp_stream::connect(listener.local_address());
        tcp_stream server = listener.accept();
        CHECK(client.remote_address() == listener.local_address());
        CHECK(client.local_address() == server.remote_address());
        CHECK(server.local_address() == listener.local_address());
        client.write_all("weft");
        char bytes[4];
        server.read_exactly(bytes);
        CHECK(std::string_view(bytes, 4) == "weft");
    });
}

TEST_CASE("connect reaches a listener over IPv6") {
    if (!has_ipv6()) {
        return skip("no IPv6 loopback");
    }
    in_fiber([] {
        tcp_listener listener(address("::1", 0));
        const std::string text = listener.local_address().to_string();
        CHECK(text == "[::1]:" + std::to_string(listener.local_address().port()));
        tcp_stream client = tcp_stream::connect(listener.local_address());
        tcp_stream server = listener.accept();
        CHECK(server.remote_address() == client.local_address());
        client.write_all("weft");
        char bytes[4];
        server.read_exactly(bytes);
        CHECK(std::string_view(bytes, 4) == "weft");
    });
}

TEST_CASE("a wildcard of IPv6 takes IPv4 connections unless told not to") {
    if (!has_ipv6()) {
        return skip("no IPv6 loopback");
    }
    in_fiber([] {
        tcp_listener both(address("::", 0));
        tcp_stream client = tcp_stream::connect("127.0.0.1", both.local_address().port());
        CHECK(both.accept().remote_address() ==
              address("::ffff:127.0.0.1", client.local_address().port()));

        const refusing_port taken;  // or somebody else could listen there on IPv4
        tcp_listener one(address("::", taken.at.port()), {.ipv6_only = true});
        std::error_code ec;
        tcp_stream::connect("127.0.0.1", taken.at.port(), ec);
        CHECK(ec == refused());
    });
}

TEST_CASE("connect takes a host and a port") {
    in_fiber([] {
        tcp_listener listener(any_port());
        const std::uint16_t port = listener.local_address().port();
        tcp_stream first = tcp_stream::connect("127.0.0.1", port);
        tcp_stream second = tcp_stream::connect("localhost", port, 10s);
        std::error_code ec;
        tcp_stream third = tcp_stream::connect("localhost", port, ec);
        CHECK_FALSE(ec);
        CHECK(third.remote_address() == listener.local_address());
    });
}

TEST_CASE("localhost is also the one of IPv6") {
    if (!has_ipv6()) {
        return skip("no IPv6 loopback");
    }
    in_fiber([] {
        // A port that is free in both, so that 127.0.0.1 refuses and ::1 answers.
        const refusing_port taken;
        tcp_listener listener(address("::1", taken.at.port()));
        tcp_stream client = tcp_stream::connect("localhost", taken.at.port());
        CHECK(client.remote_address() == listener.local_address());
    });
}

TEST_CASE("a refused connection names the call and the address") {
    in_fiber([] {
        const refusing_port taken;
        const std::string text = taken.at.to_string();
        caught_error error = error_of([&] { tcp_stream::connect(taken.at); });
        CHECK(error.code == refused());
        CHECK(error.text == "heddle: connect to " + text + ": " + refused().message());

        std::error_code ec;
        const tcp_stream none = tcp_stream::connect(taken.at, ec);
        CHECK(ec == refused());
        CHECK(none.native_handle() == -1);

        error = error_of([&] { tcp_stream::connect("localhost", taken.at.port()); });
        CHECK(error.code == refused());
        CHECK(error.text == "heddle: connect to localhost:" + std::to_string(taken.at.port()) +
                                ": " + refused().message());
    });
}

TEST_CASE("a name is refused clearly until names are looked up") {
    in_fiber([] {
        const caught_error error = error_of([] { tcp_stream::connect("example.com", 80); });
        CHECK(error.code == std::errc::not_supported);
        CHECK(error.text ==
              "heddle: connect to example.com:80 (no IP address, and this version looks up no "
              "names but localhost): Operation not supported");
        std::error_code ec;
        tcp_stream::connect("example.com", 80, ec);
        CHECK(ec == std::errc::not_supported);
        tcp_stream::connect("", 80, 1s, ec);
        CHECK(ec == std::errc::not_supported);
    });
}

TEST_CASE("an address that is not one of IP cannot be connected to") {
    in_fiber([] {
        const caught_error error =
            error_of([] { tcp_stream::connect(address::parse("unix:/heddle")); });
        CHECK(error.code == std::errc::address_family_not_supported);
        CHECK(error.text.find("connect to unix:/heddle") != std::string::npos);
        std::error_code ec;
        tcp_stream::connect(address(), ec);
        CHECK(ec == std::errc::address_family_not_supported);
    });
}

TEST_CASE("a connect that is not answered ends at its deadline") {
    in_fiber([] {
        const silent_port silent;
        const heddle::deadline soon = 1ms;
        const caught_error error = error_of([&] { tcp_stream::connect(silent.at, soon); });
        CHECK(error.code == std::errc::timed_out);
        CHECK(soon.has_passed());
        CHECK(error.text.find("heddle: connect to " + silent.at.to_string()) == 0);
        std::error_code ec;
        tcp_stream::connect("localhost", silent.at.port(), 1ms, ec);
        CHECK(ec == std::errc::timed_out);
        tcp_stream::connect(silent.at, in_the_past(), ec);
        CHECK(ec == std::errc::timed_out);
    });
}

TEST_CASE("a connect is cancelled before it begins and while it waits") {
    in_fiber([] {
        const silent_port silent;
        for (const bool reporting : {false, true}) {
            const auto connect = [&] {
                std::error_code ec;
                const outcome end = outcome_of([&] {
                    reporting ? tcp_stream::connect(silent.at, ec) : tcp_stream::connect(silent.at);
                });
                return ec ? to_outcome(ec) : end;
            };
            const outcome expected = reporting ? outcome::operation_canceled : outcome::cancelled;
            heddle::fiber before(connect);
            before.request_stop();
            CHECK(before.join() == expected);
            heddle::fiber meanwhile(connect);
            let_others_run();
            meanwhile.request_stop();
            CHECK(meanwhile.join() == expected);
        }
    });
}

TEST_CASE("a connect that failed leaves no descriptor behind") {
    in_fiber([] {
        const refusing_port taken;
        std::error_code ec;
        tcp_stream::connect(taken.at, ec);
        const owning_fd before(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        for (int attempt = 0; attempt < 10; ++attempt) {
            tcp_stream::connect(taken.at, ec);
            tcp_stream::connect(taken.at, in_the_past(), ec);
        }
        const owning_fd after(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        CHECK(after.get() == before.get() + 1);
    });
}
