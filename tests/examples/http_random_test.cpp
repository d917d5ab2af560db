// Requests that chance has spoiled: whatever they have become, the server answers or closes, and
// lives.
#include "http_client.hpp"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

using namespace heddle::test;

namespace {

class spoiler {
public:
    explicit spoiler(std::uint64_t seed) : random_(seed) {}

    /// A few requests, most of them spoiled a little.
    std::string requests() {
        std::string text;
        for (std::size_t count = below(4) + 1; count > 0; --count) {
            text += samples_[below(samples_.size())];
        }
        for (std::size_t count = below(6); count > 0; --count) {
            spoil(text);
        }
        return text;
    }

    std::size_t below(std::size_t limit) {
        return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
    }

private:
    void spoil(std::string& text) {
        const std::size_t at = below(text.size() + 1);
        const std::size_t count = below(8);
        switch (below(6)) {
        case 0:
            text.insert(at, 1, static_cast<char>(below(256)));
            break;
        case 1:
            text.erase(at, count);
            break;
        case 2:
            text.insert(at, text.substr(below(text.size() + 1), below(200)));
            break;
        case 3:
            text.insert(at, tokens_[below(tokens_.size())]);
            break;
        case 4:
            if (at < text.size()) {
                text[at] = static_cast<char>(text[at] ^ (1 << count));
            }
            break;
        default:
            text.insert(at, below(2000), "x\r\n \0a1"[count % 7]);
            break;
        }
    }

    std::mt19937_64 random_;
    const std::vector<std::string> samples_ = {
        get("/"),
        get("/chunked", "Connection: keep-alive\r\n"),
        get("/", "Connection: close\r\n"),
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "HEAD" + get("/").substr(3),
        post("/echo", "a body of some length"),
        post("/echo", "expected", "Expect: 100-continue\r\n"),
        "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n",
        get("/", "X: folded\r\n\tfield\r\n"),
    };
    const std::vector<std::string> tokens_ = {
        "\r\n",
        "\r\n\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 18446744073709551615\r\n",
        "Content-Length: 4294967296\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close, keep-alive, upgrade\r\n",
        "0\r\n\r\n",
        "ffffffffffffffff\r\n",
        " HTTP/1.1\r\n",
        ":",
        std::string(1, '\0'),
        "\xff",
    };
};

// In pieces, to meet the parser between two of them. Gives all that is answered, to the end.
std::string talk_in_pieces(http_client& one, const std::string& text, spoiler& chance) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t count = chance.below(2) == 0 ? text.size() : chance.below(20) + 1;
        one.connection.send(text.substr(at, count));
        at += std::min(count, text.size() - at);
    }
    one.connection.end_sending();
    std::string answers;
    for (std::string more = "-"; !more.empty();) {
        more = one.connection.receive_some();
        answers += more;
    }
    return answers;
}

}  // namespace

TEST_CASE("the HTTP server survives requests that chance has spoiled") {
    spoiler chance(seed());
    // Some minutes of it: HEDDLE_FUZZ_ROUNDS=100000 HEDDLE_TEST_SECONDS=0
    const char* const wished = std::getenv("HEDDLE_FUZZ_ROUNDS");
    const int rounds = wished != nullptr ? std::atoi(wished) : 500;
    http_server server({"--linger-ms", "100000"});
    for (int round = 0; round < rounds; ++round) {
        const std::string text = chance.requests();
        http_client one(server.port);
        if (chance.below(10) == 0) {
            one.connection.send(text);
            one.connection.reset();
            continue;
        }
        CAPTURE(text);
        std::string answers;
        CHECK_NOTHROW(answers = talk_in_pieces(one, text, chance));
        CHECK((answers.empty() ? text.empty() : answers.starts_with("HTTP/1.1 ")));
    }
}
