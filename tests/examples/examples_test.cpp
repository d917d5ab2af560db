// The examples, run as a user would run them.
#include "program.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using namespace heddle::test;

namespace {

std::uint16_t port_of(const std::string& first_line) {
    const std::string expected = "listening on 127.0.0.1:";
    REQUIRE(first_line.substr(0, expected.size()) == expected);
    return static_cast<std::uint16_t>(std::stoi(first_line.substr(expected.size())));
}

}  // namespace

TEST_CASE("hello prints what README says") {
    program hello(HELLO_PROGRAM);
    CHECK(hello.read_all() == "the answer is 42\ntick 1\ntick 2\ntick 3\n");
    CHECK(hello.wait() == 0);
}

TEST_CASE("what a library reports by callback is waited for, in three lines") {
    program callback(CALLBACK_PROGRAM);
    CHECK(callback.read_all() == "6 words\n3 words\n"
                                 "no answer: the library has dropped the callback\n");
    CHECK(callback.wait() == 0);
}

TEST_CASE("the echo server sends back what it receives, to many clients at once") {
    program server(ECHO_SERVER_PROGRAM, "127.0.0.1:0");
    const std::uint16_t port = port_of(server.read_line());
    std::vector<std::unique_ptr<client>> clients;
    for (int i = 0; i < 100; ++i) {
        clients.push_back(std::make_unique<client>(port));
    }
    for (const std::string text : {"the turn of 0", "the turn of 1", "the turn of 2"}) {
        for (const auto& one : clients) {
            one->send(text);
        }
        for (const auto& one : clients) {
            CHECK(one->receive(text.size()) == text);
        }
    }
    server.send_signal(SIGTERM);
    CHECK(server.wait() == 0);
    for (const auto& one : clients) {
        CHECK(one->receive(1).empty());
    }
}

TEST_CASE("the echo server serves clients in many threads") {
    program server(ECHO_SERVER_PROGRAM, "127.0.0.1:0");
    const std::uint16_t port = port_of(server.read_line());
    std::vector<int> answers(8);
    std::vector<std::thread> threads;
    for (int& right : answers) {
        threads.emplace_back([port, &right] {
            for (int number = 0; number < 30; ++number) {
                const client one(port);
                for (std::size_t size = 1; size < 10'000; size *= 7) {
                    const std::string text(size, static_cast<char>('a' + number % 26));
                    one.send(text);
                    right += one.receive(size) == text;
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(answers == std::vector<int>(8, 30 * 5));
    server.send_signal(SIGTERM);
    CHECK(server.wait() == 0);
}

TEST_CASE("the echo server carries more than the system holds") {
    program server(ECHO_SERVER_PROGRAM, "127.0.0.1:0");
    const client one(port_of(server.read_line()));
    std::string long_text;
    while (long_text.size() < 10'000'000) {
        long_text += std::to_string(long_text.size()) + ' ';
    }
    std::thread sender([&] {
        one.send(long_text);
        one.end_sending();
    });
    CHECK(one.receive(long_text.size() + 1) == long_text);
    sender.join();
    server.send_signal(SIGTERM);
    CHECK(server.wait() == 0);
}

TEST_CASE("the echo server ends although a client does not read its answers") {
    program server(ECHO_SERVER_PROGRAM, "127.0.0.1:0");
    const std::uint16_t port = port_of(server.read_line());
    const client deaf(port);
    std::thread sender([&] {
        try {
            deaf.send(std::string(50'000'000, 'x'));
        } catch (const std::system_error&) {
            // The server has ended in the middle of it.
        }
    });
    const client other(port);
    other.send("not deaf");
    CHECK(other.receive(8) == "not deaf");
    server.send_signal(SIGTERM);
    CHECK(server.wait() == 0);
    sender.join();
    CHECK(other.receive(1).empty());
    CHECK(refuses(port));
}

TEST_CASE("the echo server answers a half-closed connection and then closes it") {
    program server(ECHO_SERVER_PROGRAM, "127.0.0.1:0");
    const client one(port_of(server.read_line()));
    const std::string long_text(50'000, 'x');
    one.send(long_text);
    one.end_sending();
    CHECK(one.receive(long_text.size() + 1) == long_text);
    server.send_signal(SIGINT);
    CHECK(server.wait() == 0);
}

TEST_CASE("the echo server survives clients that vanish") {
    program server(ECHO_SERVER_PROGRAM, "127.0.0.1:0");
    const std::uint16_t port = port_of(server.read_line());
    for (int i = 0; i < 50; ++i) {
        client rude(port);
        rude.send("you will not reach me");
        rude.reset();
    }
    const client polite(port);
    polite.send("still there?");
    CHECK(polite.receive(12) == "still there?");
    server.send_signal(SIGTERM);
    CHECK(server.wait() == 0);
}

TEST_CASE("the echo server says what is wrong with its address and ends") {
    program server(ECHO_SERVER_PROGRAM, "not an address");
    CHECK(server.read_all().empty());
    CHECK(server.wait() == 1);
}

TEST_CASE("a second echo server on the same port ends") {
    program first(ECHO_SERVER_PROGRAM, "127.0.0.1:0");
    const std::uint16_t port = port_of(first.read_line());
    program second(ECHO_SERVER_PROGRAM, "127.0.0.1:" + std::to_string(port));
    CHECK(second.read_all().empty());
    CHECK(second.wait() == 1);
    const client one(port);
    one.send("first");
    CHECK(one.receive(5) == "first");
    first.send_signal(SIGTERM);
    CHECK(first.wait() == 0);
}
