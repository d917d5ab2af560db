// Timeouts and retries: how to get an answer from a server that often gives none.
//
//     retries [MILLISECONDS]      how long a try may take; default 250
//
// The server, a bad one, runs in this program as well. Of its first connections it closes one, is
// silent on the next, and is too busy for a third; then it gets better.
#include <heddle/heddle.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// Up to the end of a line.
std::string read_line(heddle::tcp_stream& from) {
    std::string line;
    char byte = 0;
    while (from.read_exactly(std::span(&byte, 1)), byte != '\n') {
        line += byte;
    }
    return line;
}

// Which failures are worth another try. One that will come again the next time is not: the client
// throws that as another type.
bool may_pass(const std::error_code& failed) {
    return failed == std::errc::timed_out || failed == std::errc::connection_reset ||
           failed == std::errc::connection_refused || failed == std::errc::broken_pipe ||
           failed == std::errc::resource_unavailable_try_again ||
           failed == heddle::errc::end_of_stream;
}

struct retry_policy {
    milliseconds each_try_max;
    int tries_max;
    milliseconds pause_first;
    milliseconds pause_max;
};

// Calls `attempt` until it succeeds. Everything it waits for, in however many calls, has to be over
// in time: that is with_deadline(). The pauses double, and are of random length, so that clients
// that were disappointed together do not come back together.
template <class F>
auto with_retries(const retry_policy& policy, F attempt) {
    std::minstd_rand random(std::random_device{}());
    milliseconds pause = policy.pause_first;
    for (int tries = 1;; ++tries) {
        try {
            return heddle::with_deadline(policy.each_try_max, attempt);
        } catch (const std::system_error& error) {
            std::printf("try %d: %s\n", tries, error.code().message().c_str());
            if (tries == policy.tries_max || !may_pass(error.code())) {
                throw;
            }
        }
        std::uniform_int_distribution<milliseconds::rep> length(pause.count() / 2, pause.count());
        heddle::this_fiber::sleep_for(milliseconds(length(random)));
        pause = std::min(2 * pause, policy.pause_max);
    }
}

struct unknown_question : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string ask(const heddle::address& server, const std::string& question) {
    auto peer = heddle::tcp_stream::connect(server);
    peer.write_all(question + "\n");
    const std::string answer = read_line(peer);
    if (answer == "busy") {
        throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    }
    if (answer == "unknown") {
        throw unknown_question(question);
    }
    return answer;
}

// The server's side.

void serve(int number, heddle::tcp_stream peer) {
    try {
        if (number == 1) {
            return;
        }
        const std::string question = read_line(peer);
        if (number == 2 || question == "the meaning of silence") {
            read_line(peer);  // until the client has given up
        } else if (number == 3) {
            peer.write_all("busy\n");
        } else {
            peer.write_all(std::string_view(question == "six times seven" ? "42\n" : "unknown\n"));
        }
    } catch (const std::system_error&) {
        // The client is gone. That must not end the others, as an exception would in a scope.
    }
}

void serve_all(heddle::tcp_listener& listener) {
    heddle::scope connections;
    for (int number = 1;; ++number) {
        connections.spawn(serve, number, listener.accept());
    }
}

}  // namespace

int main(int argc, char** argv) {
    const milliseconds each_try_max(argc > 1 ? std::atoi(argv[1]) : 250);
    return heddle::run([&] {
        heddle::tcp_listener listener(heddle::address::parse("127.0.0.1:0"));
        const heddle::address server = listener.local_address();
        const heddle::fiber acceptor{serve_all, std::ref(listener)};  // stopped at the end
        const retry_policy policy{
            .each_try_max = each_try_max, .tries_max = 10, .pause_first = 1ms, .pause_max = 20ms};
        bool right = true;

        // Failures that pass: another try, and another.
        const std::string answer =
            with_retries(policy, [&] { return ask(server, "six times seven"); });
        std::printf("answer: %s\n", answer.c_str());
        right &= answer == "42";

        // One that does not: no other try.
        try {
            with_retries(policy, [&] { return ask(server, "what is it"); });
            right = false;
        } catch (const unknown_question& error) {
            std::printf("unknown: %s\n", error.what());
        }

        // And a limit on the whole, whatever goes on in it when the time is over. The nearest of
        // all deadlines counts, and the message says whose it was.
        retry_policy stubborn = policy;
        stubborn.tries_max = 1'000'000;
        try {
            heddle::with_deadline(2 * each_try_max, [&] {
                with_retries(stubborn, [&] { return ask(server, "the meaning of silence"); });
            });
            right = false;
        } catch (const std::system_error& error) {
            std::printf("given up: %s\n", error.what());
            right &= error.code() == std::errc::timed_out;
        }
        return right ? 0 : 1;
    });
}
