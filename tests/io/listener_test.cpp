// tcp_listener: listening, accepting, and sharing a listener.
#include "tests/io/sockets.hpp"
#include "tests/support/refused.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace heddle::test;
using heddle::address;
using heddle::tcp_listener;
using heddle::tcp_stream;

TEST_CASE("port 0 lets the system choose") {
    const tcp_listener a(any_port());
    const tcp_listener b(any_port());
    CHECK(a.local_address().port() != 0);
    CHECK(a.local_address().port() != b.local_address().port());
    CHECK(a.native_handle() >= 0);
}

TEST_CASE("an address that is taken is refused, and named") {
    const tcp_listener first(any_port());
    const address taken = first.local_address();
    const caught_error error = error_of([&] { tcp_listener second(taken); });
    CHECK(error.code == std::errc::address_in_use);
    CHECK(error.text == "heddle: listen on " + taken.to_string() + ": Address already in use");
    std::error_code ec;
    const tcp_listener second(taken, ec);
    CHECK(ec == std::errc::address_in_use);
    CHECK(second.native_handle() == -1);
}

TEST_CASE("listeners that say so share a port") {
    in_fiber([] {
        tcp_listener first(any_port(), {.reuse_port = true});
        tcp_listener second(first.local_address(), {.reuse_port = true});
        tcp_stream client = tcp_stream::connect(first.local_address());
        std::error_code in_first;
        std::error_code in_second;
        do {  // which of them gets it is the system's choice, and when is the machine's
            first.accept(1ms, in_first);
            second.accept(1ms, in_second);
        } while (in_first && in_second);
        CHECK((!in_first) != (!in_second));
    });
}

TEST_CASE("a port can be listened on again while its connections die out") {
    in_fiber([] {
        std::optional<tcp_listener> listener(any_port());
        const address at = listener->local_address();
        tcp_stream client = tcp_stream::connect(at);
        listener->accept().close();  // this side ends first, and keeps the port for a while
        char byte[1];
        CHECK(client.read(byte) == 0);
        client.close();
        listener.reset();
        listener.emplace(at);
        CHECK(listener->local_address() == at);
    });
}

TEST_CASE("an address that is not this machine's, or not one of IP, is refused") {
    CHECK(error_of([] { tcp_listener l(address("192.0.2.1", 0)); }).code ==
          std::errc::address_not_available);
    CHECK(error_of([] { tcp_listener l(address::parse("unix:/heddle")); }).code ==
          std::errc::address_family_not_supported);
    CHECK(error_of([] { tcp_listener l{address()}; }).text ==
          "heddle: listen on (none): Address family not supported by protocol");
}

TEST_CASE("connections that wait are accepted in their order") {
    in_fiber([] {
        tcp_listener listener(any_port());
        std::vector<tcp_stream> clients;
        for (int i = 0; i < 10; ++i) {
            clients.push_back(tcp_stream::connect(listener.local_address()));
        }
        for (const tcp_stream& client : clients) {
            CHECK(listener.accept().remote_address() == client.local_address());
        }
    });
}

TEST_CASE("several acceptors are served in turn") {
    in_fiber([] {
        tcp_listener listener(any_port());
        std::string order;
        std::vector<heddle::fiber<>> acceptors;
        for (const char name : {'a', 'b', 'c'}) {
            acceptors.emplace_back([&listener, &order, name] {
                for (int turn = 0; turn < 3; ++turn) {
                    listener.accept();
                    order += name;
                }
            });
        }
        let_others_run();
        for (std::size_t served = 1; served <= 9; ++served) {
            const tcp_stream client = tcp_stream::connect(listener.local_address());
            while (order.size() < served) {
                heddle::this_fiber::yield();
            }
        }
        CHECK(order == "abcabcabc");
    });
}

TEST_CASE("connections that come together reach as many acceptors") {
    in_fiber([] {
        tcp_listener listener(any_port());
        int accepted = 0;
        std::vector<heddle::fiber<>> acceptors;
        for (int i = 0; i < 5; ++i) {
            acceptors.emplace_back([&] {
                listener.accept();
                ++accepted;
            });
        }
        let_others_run();
        // All of them are one edge to a reactor that counts edges.
        std::vector<owning_fd> clients;
        for (int i = 0; i < 5; ++i) {
            clients.push_back(connect_plainly(listener.local_address()));
        }
        for (heddle::fiber<>& acceptor : acceptors) {
            acceptor.join();
        }
        CHECK(accepted == 5);
    });
}

TEST_CASE("an acceptor that is cancelled leaves the connection to the next") {
    in_fiber([] {
        tcp_listener listener(any_port());
        heddle::fiber first([&] { listener.accept(); });
        heddle::fiber second([&] { return listener.accept().native_handle(); });
        let_others_run();
        first.request_stop();
        std::error_code stopped;
        first.join(stopped);  // a reactor that completes late could still give it the connection
        CHECK(stopped == std::errc::operation_canceled);
        const owning_fd client = connect_plainly(listener.local_address());
        CHECK(second.join() >= 0);
    });
}

TEST_CASE("an accepted stream neither blocks nor is inherited") {
    in_fiber([] {
        const connection ends = connect_pair();
        CHECK((heddle::detail::sys::get_flags(ends.here.native_handle()) & O_NONBLOCK) != 0);
        CHECK((::fcntl(ends.here.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
    });
}

TEST_CASE("a closed listener says so") {
    in_fiber([] {
        tcp_listener listener(any_port());
        listener.close();
        listener.close();
        CHECK(listener.native_handle() == -1);
        CHECK(error_of([&] { listener.accept(); }).text ==
              "heddle: accept at a closed listener: Bad file descriptor");
        CHECK(error_of([&] { listener.local_address(); }).code == std::errc::bad_file_descriptor);
        std::error_code ec;
        CHECK(listener.local_address(ec) == address());
        CHECK(ec == std::errc::bad_file_descriptor);
        CHECK(listener.accept(ec).native_handle() == -1);
        CHECK(ec == std::errc::bad_file_descriptor);
        CHECK(error_of([] { tcp_listener().accept(); }).code == std::errc::bad_file_descriptor);
    });
}

TEST_CASE("a listener that is moved goes on, and leaves a closed one") {
    in_fiber([] {
        tcp_listener from(any_port());
        const address at = from.local_address();
        tcp_listener to = std::move(from);
        CHECK(to.local_address() == at);
        std::error_code ec;
        from.accept(ec);
        CHECK(ec == std::errc::bad_file_descriptor);
        tcp_listener another(any_port());
        to = std::move(another);
        std::error_code gone;
        do {  // somebody else may listen there by now, for a moment
            tcp_stream::connect(at, gone);
        } while (!gone);
        CHECK(gone == refused());
        tcp_listener& same = to;
        to = std::move(same);
        CHECK(to.native_handle() >= 0);
    });
}

TEST_CASE("a listener that was closed under an acceptor names no address") {
    in_fiber([] {
        tcp_listener listener(any_port());
        heddle::fiber acceptor([&] { return error_of([&] { listener.accept(); }).text; });
        let_others_run();
        listener.close();
        CHECK(acceptor.join() ==
              "heddle: accept at a listener that was closed meanwhile: Operation canceled");
    });
}

TEST_CASE("a timeout of accept names the listener's address") {
    in_fiber([] {
        tcp_listener listener(any_port());
        CHECK(error_of([&] { listener.accept(in_the_past()); }).text ==
              "heddle: accept at " + listener.local_address().to_string() +
                  ": Connection timed out");
    });
}
