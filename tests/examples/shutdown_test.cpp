// The example of a server that ends gracefully: a real signal meets idle clients and busy ones.
#include "program.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <string>

using namespace heddle::test;

namespace {

// A graceful_shutdown that runs on a port of the system's choice.
struct ending_server {
    explicit ending_server(const std::string& grace_ms)
        : process(GRACEFUL_SHUTDOWN_PROGRAM, std::string("127.0.0.1:0"), grace_ms) {
        const std::string said = process.read_line();
        const std::string expected = "listening on 127.0.0.1:";
        REQUIRE(said.substr(0, expected.size()) == expected);
        port = static_cast<std::uint16_t>(std::stoi(said.substr(expected.size())));
    }

    program process;
    std::uint16_t port = 0;
};

// Begins a request; when this returns, it is in progress.
void begin_sum(const client& one) {
    one.send("sum 3\n1\n");
    REQUIRE(one.receive(6) == "go on\n");
}

}  // namespace

TEST_CASE("the server that ends gracefully finishes what is in progress and closes what is idle") {
    ending_server server("100000");
    const client busy(server.port);
    begin_sum(busy);
    const client idle(server.port);
    begin_sum(idle);
    idle.send("2\n3\n");
    CHECK(idle.receive(2) == "6\n");

    server.process.send_signal(SIGTERM);
    CHECK(server.process.read_line() == "ending; requests in progress: 1");
    CHECK(idle.receive(1).empty());
    CHECK(refuses(server.port));
    busy.send("20\n300\n");
    CHECK(busy.receive(100) == "321\n");  // and the end of the stream
    CHECK(server.process.read_all() == "ended in peace; requests cut short: 0\n");
    CHECK(server.process.wait() == 0);
}

TEST_CASE("the server that ends gracefully cuts short what lasts longer than the grace period") {
    ending_server server("1");
    const client slow(server.port);
    begin_sum(slow);
    server.process.send_signal(SIGINT);
    CHECK(slow.receive(1).empty());
    CHECK(server.process.read_all() == "ending; requests in progress: 1\n"
                                       "ended after the grace period; requests cut short: 1\n");
    CHECK(server.process.wait() == 1);
}

TEST_CASE("a second signal ends the grace period of the server that ends gracefully") {
    ending_server server("100000");
    const client slow(server.port);
    begin_sum(slow);
    server.process.send_signal(SIGTERM);
    CHECK(server.process.read_line() == "ending; requests in progress: 1");
    server.process.send_signal(SIGTERM);
    CHECK(slow.receive(1).empty());
    CHECK(server.process.read_all() == "ended at once; requests cut short: 1\n");
    CHECK(server.process.wait() == 1);
}

TEST_CASE("the server that ends gracefully survives clients that vanish in the middle") {
    ending_server server("100000");
    client rude(server.port);
    begin_sum(rude);
    rude.reset();
    const client polite(server.port);
    begin_sum(polite);
    polite.send("2\n3\n");
    CHECK(polite.receive(2) == "6\n");
    server.process.send_signal(SIGTERM);
    CHECK(server.process.read_all() ==
          "ending; requests in progress: 0\nended in peace; requests cut short: 0\n");
    CHECK(server.process.wait() == 0);
}
