// How the HTTP server ends: what is idle at once, what is in progress with the time it was given.
#include "http_client.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <string>

using namespace heddle::test;

namespace {

// Half a head, and half a request with a body.
const std::string head_begins = "GET / HTTP/1.1\r\nHo";
const std::string head_ends = "st: test\r\n\r\n";
const std::string body_begins = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhel";
const std::string body_ends = "lo";

}  // namespace

TEST_CASE("the HTTP server finishes requests in progress when it is told to end") {
    http_server server({"--grace-ms", "100000", "--linger-ms", "100000"});
    http_client fresh(server.port);
    http_client idle(server.port);
    CHECK(idle.ask(get("/")).status == 200);
    http_client heading(server.port);
    heading.connection.send(head_begins);
    http_client sending(server.port);
    sending.connection.send(body_begins);
    http_client refused(server.port);
    CHECK(refused.ask("nonsense\r\n\r\n").status == 400);  // and now it lingers
    server.settle();

    server.process.send_signal(SIGTERM);
    CHECK(idle.ended());
    CHECK(fresh.ended());
    CHECK(refuses(server.port));
    const http_answer page = heading.ask(head_ends);
    CHECK(page.status == 200);
    CHECK(page["connection"] == "close");
    CHECK(heading.ended());
    const http_answer echo = sending.ask(body_ends);
    CHECK(echo.body == "hello");
    CHECK(echo["connection"] == "close");
    CHECK(sending.ended());
    CHECK(refused.ended());
    for (http_client* const one : {&heading, &sending, &refused}) {
        one->connection.end_sending();
    }
    CHECK(server.process.wait() == 0);
}

TEST_CASE("the HTTP server answers what was sent ahead before it was told to end") {
    http_server server({"--grace-ms", "100000"});
    http_client one(server.port);
    one.connection.send(get("/") + post("/echo", "also this").substr(0, 60));
    CHECK(one.read_answer().status == 200);
    server.settle();
    server.process.send_signal(SIGINT);
    one.connection.send(post("/echo", "also this").substr(60));
    CHECK(one.read_answer().body == "also this");
    CHECK(one.ended());
    one.connection.end_sending();
    CHECK(server.process.wait() == 0);
}

TEST_CASE("the HTTP server ends in spite of clients in every phase when its patience is over") {
    http_server server({"--grace-ms", "50"});
    http_client fresh(server.port);
    http_client idle(server.port);
    CHECK(idle.ask(get("/")).status == 200);
    http_client heading(server.port);
    heading.connection.send(head_begins);
    http_client sending(server.port);
    sending.connection.send(body_begins);
    http_client invited(server.port);
    CHECK(invited
              .ask("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n"
                   "Expect: 100-continue\r\n\r\n")
              .status == 100);
    http_client refused(server.port);
    CHECK(refused.ask("nonsense\r\n\r\n").status == 400);
    http_client deaf(server.port);
    for (int number = 0; number < 5; ++number) {
        deaf.connection.send(post("/echo", std::string(200'000, 'x')));
    }
    server.settle();

    server.process.send_signal(SIGTERM);
    CHECK(server.process.wait() == 0);
    for (http_client* const one : {&fresh, &idle, &refused}) {
        CHECK(one->ended());
    }
    for (http_client* const one : {&heading, &sending, &invited}) {
        CHECK(one->connection.receive(1).empty());
    }
}

TEST_CASE("an HTTP server without clients ends at once when it is told to") {
    for (const int number : {SIGTERM, SIGINT}) {
        http_server server({"--grace-ms", "100000"});
        server.process.send_signal(number);
        CHECK(server.process.wait() == 0);
    }
}
