// What the HTTP server does for clients that know how to ask.
#include "http_client.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace heddle::test;

namespace {

std::string pieces() {
    std::string text;
    for (int number = 1; number <= 10; ++number) {
        text += "piece " + std::to_string(number) + '\n';
    }
    return text;
}

// Whether the text is as the shape: a digit where that has 0, a letter for a letter of its case.
// (std::regex makes gcc 12 warn under sanitizers.)
bool has_shape(const std::string& text, const std::string& shape) {
    const auto fits = [](char real, char wanted) {
        const auto within = [&](char first, char last) {
            return wanted >= first && wanted <= last && real >= first && real <= last;
        };
        return real == wanted || within('0', '9') || within('a', 'z') || within('A', 'Z');
    };
    return std::equal(text.begin(), text.end(), shape.begin(), shape.end(), fits);
}

}  // namespace

TEST_CASE("the HTTP server answers many requests on one connection") {
    http_server server;
    http_client one(server.port);
    for (int turn = 0; turn < 100; ++turn) {
        const http_answer answer = one.ask(get("/"));
        CHECK(answer.status == 200);
        CHECK(answer["connection"] == "keep-alive");
        CHECK(answer["content-type"] == "text/html");
        CHECK(answer.body.find("heddle") != std::string::npos);
    }
}

TEST_CASE("the HTTP server ignores empty lines in front of a request") {
    http_server server;
    http_client one(server.port);
    CHECK(one.ask("\r\n" + get("/")).status == 200);
    CHECK(one.ask(post("/echo", "hello") + "\r\n").body == "hello");
    CHECK(one.ask("\r\n\r\n" + get("/")).status == 200);
    CHECK(one.ask(post("/echo", "sent") + "\r\n" + get("/")).body == "sent");
    CHECK(one.read_answer().status == 200);
    // A line may come in two halves, and is no request that has begun.
    for (const char* const part : {"\r", "\n\r", "\n"}) {
        one.connection.send(part);
        server.settle();
    }
    CHECK(one.ask(get("/")).status == 200);
    CHECK(server.talk("\r\n", true).empty());
    CHECK(server.talk("\r", true).empty());
}

TEST_CASE("the HTTP server says who it is and what time it is") {
    http_server server;
    const http_answer answer = http_client(server.port).ask(get("/"));
    CHECK(answer["server"] == "heddle");
    CHECK(has_shape(answer["date"], "Aaa, 00 Aaa 0000 00:00:00 GMT"));
}

TEST_CASE("the HTTP server closes the connection after an answer where the client wants that") {
    http_server server;
    http_client one(server.port);
    const http_answer answer = one.ask(get("/", "Connection: close\r\n") + get("/"));
    CHECK(answer.status == 200);
    CHECK(answer["connection"] == "close");
    CHECK(one.ended());
}

TEST_CASE("the HTTP server keeps a connection of HTTP/1.0 only where the client asks for it") {
    http_server server;
    http_client brief(server.port);
    const http_answer last = brief.ask("GET / HTTP/1.0\r\n\r\n");
    CHECK(last.status == 200);
    CHECK(last["connection"] == "close");
    CHECK(brief.ended());

    http_client lasting(server.port);
    for (int turn = 0; turn < 3; ++turn) {
        const http_answer answer = lasting.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        CHECK(answer.status == 200);
        CHECK(answer["connection"] == "keep-alive");
    }
}

TEST_CASE("the HTTP server gives back bodies of a known length") {
    http_server server;
    http_client one(server.port);
    for (std::size_t size = 0; size < 1'000'000; size = size * 7 + 1) {
        const std::string body(size, static_cast<char>('a' + size % 26));
        const http_answer answer = one.ask(post("/echo", body));
        CHECK(answer.status == 200);
        CHECK((answer.body == body));
    }
    const std::string bytes("\0\r\n\r\n\xff", 6);
    CHECK((one.ask(post("/echo", bytes)).body == bytes));
}

TEST_CASE("the HTTP server gives back chunked bodies") {
    http_server server;
    http_client one(server.port);
    const std::string head =
        "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    CHECK(one.ask(head + "0\r\n\r\n").body.empty());
    CHECK(one.ask(head + "5\r\nhello\r\n1;why=not\r\n,\r\n6\r\n world\r\n0\r\n\r\n").body ==
          "hello, world");
    CHECK(one.ask(head + "00A\r\n0123456789\r\n000\r\nX-Sum: 45\r\n\r\n").body == "0123456789");
    const std::string large(0x12345, 'x');
    CHECK((one.ask(head + "12345\r\n" + large + "\r\n0\r\n\r\n").body == large));
    CHECK(one.ask(get("/")).status == 200);
}

TEST_CASE("the HTTP server streams an answer in chunks, or to the end of the connection") {
    http_server server;
    http_client one(server.port);
    const http_answer chunked = one.ask(get("/chunked"));
    CHECK(chunked.status == 200);
    CHECK(chunked["transfer-encoding"] == "chunked");
    CHECK(chunked.body == pieces());
    CHECK(one.ask(get("/")).status == 200);

    http_client old(server.port);
    const http_answer plain = old.ask("GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(plain.status == 200);
    CHECK(plain["connection"] == "close");
    CHECK(plain["transfer-encoding"].empty());
    CHECK(plain.body == pieces());
}

TEST_CASE("the HTTP server answers HEAD as it would answer GET, without the body") {
    http_server server;
    http_client one(server.port);
    for (const std::string target : {"/", "/chunked", "/nowhere"}) {
        http_answer whole = one.ask(get(target));
        const http_answer head = one.ask("HEAD" + get(target).substr(3), asked::head);
        CHECK(head.status == whole.status);
        whole.fields["date"] = head["date"];
        CHECK(head.fields == whole.fields);
    }
}

TEST_CASE("the HTTP server answers requests that are sent ahead, in their order") {
    http_server server;
    http_client one(server.port);
    one.connection.send(get("/") + post("/echo", "first") + get("/nowhere") + get("/chunked") +
                        "HEAD" + get("/").substr(3) + post("/echo", "second"));
    CHECK(one.read_answer().status == 200);
    CHECK(one.read_answer().body == "first");
    CHECK(one.read_answer().status == 404);
    CHECK(one.read_answer().body == pieces());
    CHECK(one.read_answer(asked::head).status == 200);
    CHECK(one.read_answer().body == "second");

    std::string many;
    for (int number = 0; number < 2000; ++number) {
        many += post("/echo", std::to_string(number));
    }
    one.connection.send(many);
    for (int number = 0; number < 2000; ++number) {
        REQUIRE(one.read_answer().body == std::to_string(number));
    }
}

TEST_CASE("the HTTP server understands targets with a query and with an authority") {
    http_server server;
    http_client one(server.port);
    CHECK(one.ask(get("/?a=b")).status == 200);
    CHECK(one.ask(get("http://test/chunked?x")).body == pieces());
    CHECK(one.ask(get("http://test")).status == 404);
    CHECK(one.ask(get("*")).status == 404);
    CHECK(one.ask(get("/nowhere")).status == 404);
}

TEST_CASE("the HTTP server refuses a wrong method and names the right ones") {
    http_server server;
    http_client one(server.port);
    http_answer answer = one.ask(get("/echo"));
    CHECK(answer.status == 405);
    CHECK(answer["allow"] == "POST");
    answer = one.ask("OPTIONS" + get("/").substr(3));
    CHECK(answer.status == 405);
    CHECK(answer["allow"] == "GET, HEAD");
    CHECK(one.ask("get" + get("/").substr(3)).status == 405);
    // With a body that nobody has read, the connection cannot go on.
    answer = one.ask(post("/", get("/")));
    CHECK(answer.status == 405);
    CHECK(answer["connection"] == "close");
    CHECK(one.ended());
}

TEST_CASE("the HTTP server says when it is ready for a body") {
    http_server server;
    http_client one(server.port);
    const std::string expecting = "Expect: 100-continue\r\n";
    const std::string head = post("/echo", "hello", expecting);
    for (int turn = 0; turn < 2; ++turn) {
        CHECK(one.ask(head.substr(0, head.size() - 5)).status == 100);
        CHECK(one.ask("hello").body == "hello");
    }
    CHECK(one.ask(post("/echo", "", expecting)).status == 200);  // no body to wait for
    CHECK(one.ask(post("/echo", "impatient", expecting)).body == "impatient");
    CHECK(one.ask("POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n" +
                  expecting + "\r\nold")
              .body == "old");
    // Nobody is invited to send what is not wanted.
    CHECK(one.ask("POST /nowhere HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n" + expecting +
                  "\r\n")
              .status == 404);
    CHECK(one.ended());
    const std::vector<http_answer> strange =
        server.talk(post("/echo", "hello", "Expect: miracles\r\n"));
    REQUIRE(strange.size() == 1);
    CHECK(strange[0].status == 417);
}

TEST_CASE("the HTTP server answers a client that has ended its side") {
    http_server server;
    const std::vector<http_answer> answers =
        server.talk(get("/") + post("/echo", "the last"), true);
    REQUIRE(answers.size() == 2);
    CHECK(answers[1].body == "the last");
}

TEST_CASE("the HTTP server says what is wrong with its command line and ends") {
    const std::vector<std::vector<std::string>> wrong = {
        {"not an address"},       {"127.0.0.1:0", "--body-bytes"},
        {"--body-bytes", "many"}, {"--body-bytes", "-1"},
        {"--answer", "42"},       {"--header-bytes", "60001"},
    };
    for (std::vector<std::string> command : wrong) {
        command.insert(command.begin(), HTTP_SERVER_PROGRAM);
        program server(command);
        CHECK(server.read_all().empty());
        CHECK(server.wait() == 1);
    }
}
