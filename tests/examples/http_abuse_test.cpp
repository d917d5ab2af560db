// What clients do to an HTTP server that they should not: each gets an answer or a clean close, the
// server lives, and nothing of theirs is left.
#include "http_client.hpp"
#include "runtime/base/sanitizer.hpp"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <system_error>
#include <vector>

using namespace heddle::test;

namespace {

const std::string chunked = "Transfer-Encoding: chunked\r\n";

std::string post_chunked(const std::string& body) {
    return "POST /echo HTTP/1.1\r\nHost: test\r\n" + chunked + "\r\n" + body;
}

// Sends something bad with a good request behind it, which must not be taken for one. Gives the
// status of the only answer.
int refusal_of(const http_server& server, const std::string& text) {
    const std::vector<http_answer> answers = server.talk(text + get("/smuggled"));
    if (answers.size() != 1 || answers[0]["connection"] != "close") {
        return -static_cast<int>(answers.size());
    }
    return answers[0].status;
}

}  // namespace

TEST_CASE("the HTTP server refuses what is no request") {
    http_server server;
    const std::string every_byte = [] {
        std::string text;
        for (int byte = 0; byte < 256; ++byte) {
            text += static_cast<char>(byte);
        }
        return text;
    }();
    const std::string empty_lines = [] {  // more than a client could send by mistake
        std::string text;
        for (int line = 0; line < 100; ++line) {
            text += "\r\n";
        }
        return text;
    }();
    const std::string bad[] = {
        every_byte,
        std::string(100, '\0'),
        empty_lines,
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  // the start of TLS
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\n\n",
        "GET  / HTTP/1.1\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : test\r\n\r\n",
        "GET / HTTP/1.1\r\n: test\r\nHost: test\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: test\r\n\r\n",
        get("/", std::string("X: a\0b\r\n", 8)),
        get("/", "X: a\rb\r\n"),
        get("/", "X: a\nb\r\n"),
        get("/", "Host: twice\r\n"),
        "GET / HTTP/1.1\r\n\r\n",  // without a host
        get("/", "Connection: \x01\r\n"),
    };
    for (const std::string& text : bad) {
        CAPTURE(text);
        CHECK(refusal_of(server, text) == 400);
    }
}

TEST_CASE("the HTTP server refuses bodies on whose end two readers could disagree") {
    http_server server;
    const std::string bad[] = {
        "Content-Length: 5\r\n" + chunked,
        chunked + "Content-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
        chunked + chunked,
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding : chunked\r\n",
    };
    for (const std::string& fields : bad) {
        CAPTURE(fields);
        CHECK(refusal_of(server, "POST /echo HTTP/1.1\r\nHost: test\r\n" + fields +
                                     "\r\n0\r\n\r\n") == 400);
    }
    CHECK(refusal_of(server, "POST /echo HTTP/1.0\r\n" + chunked + "\r\n0\r\n\r\n") == 400);
    for (const std::string coding :
         {"chunked, identity", "identity", "gzip, chunked", "chunked;q=1", "xchunked", "chunke"}) {
        CAPTURE(coding);
        const std::string text =
            "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: " + coding;
        CHECK(refusal_of(server, text + "\r\n\r\n0\r\n\r\n") == 501);
    }
}

TEST_CASE("the HTTP server refuses chunks with bad sizes and ends") {
    http_server server({"--body-bytes", "1000"});
    for (const std::string bad :
         {"x\r\n", "-1\r\n", "\r\n", "5\nhello\r\n", "5 5\r\nhello\r\n", "0x5\r\nhello\r\n",
          "5;=\r\nhello\r\n", "5\r\nhello", "5\r\nhello!\r\n", "fffffffffffffffff\r\n",
          "3\r\nabc\r\n0\r\nno field\r\n\r\n", "3\r\nabc\r\n0\r\nX: y\n\r\n\r\n"}) {
        CAPTURE(bad);
        CHECK(refusal_of(server, post_chunked(bad)) == 400);
    }
    CHECK(refusal_of(server, post_chunked("ffffffffffffffff\r\n")) == 413);
    // A line that never ends.
    CHECK(refusal_of(server, post_chunked("5;" + std::string(100'000, 'x'))) == 400);
    CHECK(refusal_of(server, post_chunked("0\r\nX: " + std::string(100'000, 'x'))) == 400);
}

TEST_CASE("the HTTP server limits the head of a request") {
    http_server server({"--header-bytes", "1000"});
    const std::string long_text(1'000'000, 'x');
    CHECK(refusal_of(server, get("/" + long_text)) == 414);
    CHECK(refusal_of(server, long_text) == 414);
    CHECK(refusal_of(server, get("/", "X: " + long_text + "\r\n")) == 431);
    CHECK(refusal_of(server, get("/", long_text + ": x\r\n")) == 431);
    const std::string nearly(1000 - get("/", "X: \r\n").size(), 'x');
    http_client one(server.port);
    CHECK(one.ask(get("/", "X: " + nearly + "\r\n")).status == 200);
    CHECK(one.ask(get("/", "X: x" + nearly + "\r\n")).status == 431);
}

TEST_CASE("the HTTP server limits a head that comes line by line") {
    http_server server({"--header-bytes", "1000"});
    http_client one(server.port);
    // Each piece ends with the first byte of the next line, since only that completes the one
    // before: a field could go on there.
    one.connection.send("GET / HTTP/1.1\r\nHost: test\r\nX");
    for (int line = 0; line < 100; ++line) {
        server.settle();  // has taken the piece before, and so parses this one by itself
        one.connection.send(": a line of the head\r\nX");
    }
    CHECK(one.read_answer().status == 431);
    CHECK(one.ended());
}

TEST_CASE("the HTTP server limits the body of a request") {
    http_server server({"--body-bytes", "1000"});
    http_client one(server.port);
    CHECK(one.ask(post("/echo", std::string(1000, 'x'))).status == 200);
    CHECK(one.ask(post_chunked("3e8\r\n" + std::string(1000, 'x') + "\r\n0\r\n\r\n")).status ==
          200);
    CHECK(refusal_of(server, post("/echo", std::string(1001, 'x'))) == 413);
    CHECK(refusal_of(server, post("/echo", std::string(3'000'000, 'x'))) == 413);
    CHECK(refusal_of(server, post("/echo", "", "X: y\r\nContent-Length: 1001\r\n")) == 400);
    // Before a client that asks sends it.
    CHECK(one.ask("POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
                  "Content-Length: 1001\r\n\r\n")
              .status == 413);
    std::string crumbs;
    for (int chunk = 0; chunk < 1001; ++chunk) {
        crumbs += "1\r\nx\r\n";
    }
    CHECK(refusal_of(server, post_chunked(crumbs + "0\r\n\r\n")) == 413);
}

TEST_CASE("the HTTP server serves requests that come byte by byte") {
    http_server server;
    http_client one(server.port);
    const std::string requests[] = {
        get("/"),
        post("/echo", "hello"),
        post_chunked("0\r\n\r\n"),
        post_chunked("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"),
    };
    for (const std::string& request : requests) {
        for (const char byte : request) {
            one.connection.send(std::string(1, byte));
            server.settle();  // has parsed it by itself
        }
        CHECK(one.read_answer().status == 200);
    }
}

TEST_CASE("the HTTP server answers a request that ends too early") {
    http_server server;
    for (const std::string& text :
         {std::string("G"), std::string("GET / HTTP/1.1\r\nHost: test\r\n"),
          post("/echo", "hello").substr(0, post("/echo", "hello").size() - 1),
          post_chunked("5\r\nhel"), post_chunked("5\r\nhello\r\n0\r\n")}) {
        const std::vector<http_answer> answers = server.talk(text, true);
        REQUIRE(answers.size() == 1);
        CHECK(answers[0].status == 400);
    }
    CHECK(server.talk("", true).empty());
}

TEST_CASE("the HTTP server tells slow clients that they are too slow") {
    http_server server({"--header-ms", "50", "--body-ms", "50"});
    for (const std::string& text :
         {std::string("GET / HT"), post("/echo", "hello").substr(0, post("/echo", "").size()),
          post_chunked("5\r\nhel")}) {
        const std::vector<http_answer> answers = server.talk(text);
        REQUIRE(answers.size() == 1);
        CHECK(answers[0].status == 408);
    }
}

TEST_CASE("the HTTP server is not kept waiting by a client that goes on slowly") {
    http_server server({"--header-ms", "50", "--header-bytes", "60000"});
    http_client one(server.port);
    one.connection.send("GET / HTTP/1.1\r\n");
    while (!one.connection.has_something()) {
        one.connection.send("X: y\r\n");
        server.settle();
    }
    CHECK(one.read_answer().status == 408);
}

TEST_CASE("the HTTP server closes connections that are idle for too long") {
    http_server server({"--idle-ms", "50"});
    http_client silent(server.port);
    CHECK(silent.ended());
    // A pause may be too long on a busy machine: then there is no answer, and a clean end.
    http_client brief(server.port);
    brief.connection.send(get("/"));
    while (!brief.ended()) {
        CHECK(brief.read_answer().status == 200);
    }
}

TEST_CASE("the HTTP server closes a connection whose client does not read") {
    http_server server({"--write-ms", "50"});
    http_client deaf(server.port);
    const std::string request = post("/echo", std::string(1'000'000, 'x'));
    CHECK_THROWS_AS(
        for (;;) { deaf.connection.send(request); }, std::system_error);
}

TEST_CASE("the HTTP server survives clients that vanish at any moment") {
    http_server server;
    const std::string body(1'000'000, 'x');
    const std::string echo = post("/echo", body);
    const std::string texts[] = {
        "",   "GET",       get("/"),           get("/") + get("/chunked"), echo.substr(0, 1000),
        echo, echo + echo, "nonsense\r\n\r\n", post_chunked("5\r\nhel"),
    };
    for (int turn = 0; turn < 10; ++turn) {
        for (const std::string& text : texts) {
            http_client early(server.port);
            early.connection.send(text);
            early.connection.reset();
            http_client late(server.port);
            late.connection.send(text);
            server.settle();
            late.connection.reset();
        }
        http_client listener(server.port);
        listener.connection.send(echo);
        CHECK(listener.connection.receive(100'000).size() == 100'000);
        listener.connection.reset();
    }
}

TEST_CASE("the HTTP server turns connections away that are too many") {
    http_server server({"--connections", "3"});
    std::vector<std::unique_ptr<http_client>> clients;
    for (int number = 0; number < 3; ++number) {
        clients.push_back(std::make_unique<http_client>(server.port));
        CHECK(clients.back()->ask(get("/")).status == 200);
    }
    http_client fourth(server.port);
    CHECK(fourth.read_answer().status == 503);
    CHECK(fourth.ended());
    for (const auto& one : clients) {
        CHECK(one->ask(get("/")).status == 200);
    }
}

TEST_CASE("the HTTP server keeps no large buffers for idle connections") {
#ifdef HEDDLE_ASAN
    return skip("the tool keeps what was freed");
#endif
    http_server server;
    const std::size_t before = server.process.resident_bytes();
    const std::string body(1'000'000, 'x');
    std::vector<std::unique_ptr<http_client>> clients;
    while (clients.size() < 50) {
        clients.push_back(std::make_unique<http_client>(server.port));
        CHECK(clients.back()->ask(post("/echo", body)).status == 200);
    }
    server.settle();
    CHECK(server.process.resident_bytes() < before + 20 * body.size());
}

TEST_CASE("the HTTP server without a free descriptor serves the next when one is freed") {
#ifdef HEDDLE_ASAN
    // To see whether it may read an object, it opens a pipe, and takes a failure for a no.
    return skip("the tool needs descriptors itself");
#endif
    http_server server({}, 30);
    std::vector<std::unique_ptr<http_client>> clients;
    for (int number = 0; number < 60; ++number) {
        clients.push_back(std::make_unique<http_client>(server.port));
        clients.back()->connection.send(get("/"));
    }
    for (auto& one : clients) {
        CHECK(one->read_answer().status == 200);
        one.reset();
    }
}
