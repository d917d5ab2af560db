// A program without exceptions: every call in its error_code form. With an argument it does what
// must end such a program. The functions that are declared here only are in throwing.cpp, which is
// compiled with exceptions.
#include <heddle/heddle.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#ifdef __cpp_exceptions
#error "to be compiled with -fno-exceptions"
#endif

void throw_at_caller();
bool joining_still_throws();

namespace {

using std::chrono::hours;

/// Counts the frames that were left in order.
struct leaving {
    explicit leaving(int& count) noexcept : count_(count) {}
    leaving(const leaving&) = delete;
    leaving& operator=(const leaving&) = delete;
    ~leaving() { ++count_; }

private:
    int& count_;
};

/// What each kind of wait of a cancelled fiber reports; the frames are left one after the other.
int waits_of_a_cancelled_fiber(int& left) {
    const leaving outer(left);
    std::error_code code;
    int told = 0;
    const auto count = [&] {
        const leaving inner(left);
        told += code == std::errc::operation_canceled ? 1 : 0;
    };
    heddle::this_fiber::sleep_for(hours(1), code);
    count();
    heddle::this_fiber::check_cancelled(code);
    count();
    heddle::fiber child([] { heddle::this_fiber::yield(); });
    if (!child.join(code)) {
        count();
    }
    heddle::tcp_listener listener(heddle::address("127.0.0.1", 0, code), code);
    if (!code) {
        listener.accept(code);
        count();
    }
    return told;
}

bool a_cancelled_fiber_returns() {
    int left = 0;
    heddle::fiber sleeper(waits_of_a_cancelled_fiber, std::ref(left));
    heddle::this_fiber::yield();
    sleeper.request_stop();
    std::error_code code;
    const std::optional<int> told = sleeper.join(code);
    return !code && told == 4 && left == 5;
}

bool a_dropped_fiber_returns() {
    int left = 0;
    { const heddle::fiber dropped(waits_of_a_cancelled_fiber, std::ref(left)); }
    return left == 5;
}

bool echoes() {
    std::error_code code;
    heddle::tcp_listener listener(heddle::address("127.0.0.1", 0, code), code);
    heddle::fiber server([&listener] {
        std::error_code ignored;
        heddle::tcp_stream peer = listener.accept(ignored);
        std::array<char, 16> bytes{};
        const std::size_t count = peer.read(bytes, ignored);
        peer.write_all(std::string_view(bytes.data(), count), ignored);
    });
    heddle::tcp_stream client = heddle::tcp_stream::connect(listener.local_address(code), code);
    client.write_all("echo", code);
    std::array<char, 4> answer{};
    client.read_exactly(answer, code);
    return server.join(code) && !code && std::string_view(answer.data(), 4) == "echo";
}

bool joins_all_and_the_first() {
    std::error_code code;
    const auto all = heddle::join_all(
        code, [] { return 1; }, [] {});
    const std::optional<int> first = heddle::race(code, [] { return 2; });
    return all.has_value() && std::get<0>(*all) == 1 && first == 2 && !code;
}

int run_all() {
    int left_behind = 0;
    const bool good = heddle::run([&left_behind] {
        // Still asleep when its run() ends, which stops it.
        heddle::spawn_detached([&left_behind] { waits_of_a_cancelled_fiber(left_behind); });
        return a_cancelled_fiber_returns() && a_dropped_fiber_returns() && echoes() &&
               joins_all_and_the_first() && joining_still_throws();
    });
    std::puts(good && left_behind == 5 ? "bare" : "not as it should be");
    return good && left_behind == 5 ? 0 : 1;
}

/// What ends the program; returns only if it did not.
void end_by(std::string_view what) {
    if (what == "spawn outside") {
        heddle::spawn_detached([] {});
    } else if (what == "run inside") {
        heddle::run([] { heddle::run([] {}); });
    } else if (what == "no such worker") {
        heddle::run([] { heddle::spawn_detached({.name = "lost", .worker = 9}, [] {}); });
    } else if (what == "empty handle") {
        heddle::run([] { heddle::fiber<>().detach(); });
    } else if (what == "deadlock") {
        heddle::run([] {
            std::error_code code;
            heddle::this_fiber::sleep_until(heddle::deadline::never(), code);
        });
    } else if (what == "thrown at") {
        heddle::run([] {
            std::error_code code;
            heddle::fiber victim({.name = "victim"}, throw_at_caller);
            victim.join(code);
        });
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count == 1) {
        return run_all();
    }
    end_by(arguments[1]);
    return 0;
}
