// What a user's first program asks of an installed heddle; the checks of this folder build and run
// it in many ways.
#include <heddle/heddle.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace {

thread_local int mine = 0;

std::string turns() {
    std::string order;
    const auto body = [&order](char name) {
        for (int turn = 0; turn < 2; ++turn) {
            order += name;
            heddle::this_fiber::yield();
        }
    };
    heddle::fiber first = heddle::spawn(body, 'a');
    heddle::fiber second = heddle::spawn(body, 'b');
    first.join();
    second.join();
    return order;
}

std::string thrown() {
    heddle::fiber thrower([]() -> int { throw std::runtime_error("thrown"); });
    try {
        return std::to_string(thrower.join());
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

std::string cancelled() {
    const char* how = "not cancelled";
    {
        const heddle::fiber sleeper([&how] {
            try {
                heddle::this_fiber::sleep_for(std::chrono::hours(1));
            } catch (const heddle::cancelled&) {
                how = "cancelled";
                throw;
            }
        });
        heddle::this_fiber::yield();
    }
    return how;
}

std::string same_thread() {
    const int* const before = &mine;
    mine = 7;
    heddle::this_fiber::sleep_for(std::chrono::microseconds(1));
    return before == &mine && *before == 7 ? "same" : "another";
}

std::string echoed() {
    heddle::tcp_listener listener(heddle::address("127.0.0.1", 0));
    heddle::fiber server([&listener] {
        heddle::tcp_stream peer = listener.accept();
        std::array<char, 16> bytes{};
        const std::size_t count = peer.read(bytes);
        peer.write_all(std::string_view(bytes.data(), count));
    });
    heddle::tcp_stream client = heddle::tcp_stream::connect(listener.local_address());
    client.write_all("echo");
    std::array<char, 4> answer{};
    client.read_exactly(answer);
    server.join();
    return std::string(answer.data(), answer.size());
}

}  // namespace

int main() {
    const std::string seen = heddle::run([] {
        return turns() + ' ' + thrown() + ' ' + cancelled() + ' ' + same_thread() + ' ' + echoed();
    });
    std::puts(seen.c_str());
    return seen == "abab thrown cancelled same echo" ? 0 : 1;
}
