// A server that ends well: on SIGTERM or SIGINT it takes no more connections, closes those that
// are idle, and finishes the requests in progress, as long as a grace period lasts. A second signal
// ends that at once.
//
//     graceful_shutdown [ADDRESS [GRACE_MS]]      default 127.0.0.1:7777 and 5000
//
// Its first line of output says where it listens. It exits with 0 if every request that was begun
// was answered, else with 1.
//
// A request is a line "sum N" and then N lines with a number each. The server says "go on" after
// the first line, and the sum after the last.
#include <heddle/heddle.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace {

using namespace std::chrono_literals;

constexpr std::size_t line_bytes_max = 100;

struct server {
    explicit server(const heddle::address& at) : listener(at) {}

    heddle::tcp_listener listener;
    heddle::event ending;
    int requests = 0;           // in progress
    heddle::scope connections;  // the last member: its fibers use the others
};

struct counted {
    explicit counted(int& in) : count(in) { ++count; }
    ~counted() { --count; }
    counted(const counted&) = delete;
    int& count;
};

// Gives a stream line by line.
class line_reader {
public:
    explicit line_reader(heddle::tcp_stream& from) : from_(from) {}

    // Whether something has been read that next() has not given yet.
    bool has_some() const { return !unread_.empty(); }

    // Empty at the end of the stream, and where a line is too long to be one of ours.
    std::optional<std::string> next() {
        for (;;) {
            if (const auto end = unread_.find('\n'); end != std::string::npos) {
                std::string line = unread_.substr(0, end);
                unread_.erase(0, end + 1);
                return line;
            }
            char buffer[line_bytes_max];
            const std::size_t count = from_.read(buffer);
            if (count == 0 || unread_.size() + count > line_bytes_max) {
                return std::nullopt;
            }
            unread_.append(buffer, count);
        }
    }

private:
    heddle::tcp_stream& from_;
    std::string unread_;
};

// Answers a request that has begun to come; false if it did not come whole.
bool answer(line_reader& lines, heddle::tcp_stream& peer) {
    const std::optional<std::string> head = lines.next();
    if (!head || head->substr(0, 4) != "sum ") {
        return false;
    }
    peer.write_all("go on\n");
    long long sum = 0;
    for (int left = std::atoi(head->c_str() + 4); left > 0; --left) {
        const std::optional<std::string> number = lines.next();
        if (!number) {
            return false;
        }
        sum += std::atoll(number->c_str());
    }
    peer.write_all(std::to_string(sum) + "\n");
    return true;
}

void serve(server& home, heddle::tcp_stream peer) try {
    peer.set_no_delay(true);
    line_reader lines(peer);
    bool whole = true;
    while (whole) {
        if (!lines.has_some()) {
            // Between two requests: which comes first, another one or the end?
            bool another = false;
            heddle::select(heddle::on_readable(peer, [&] { another = true; }),
                           heddle::on_event(home.ending));
            if (!another) {
                return;
            }
        }
        const counted in_progress(home.requests);
        whole = answer(lines, peer);
    }
} catch (const std::system_error&) {
    // The client vanished. An exception that left this fiber would cancel the other connections.
}

void accept_all(server& home) {
    for (;;) {
        std::error_code failed;
        heddle::tcp_stream peer = home.listener.accept(failed);
        if (!failed) {
            home.connections.spawn(serve, std::ref(home), std::move(peer));
        } else if (failed == std::errc::operation_canceled) {
            return;
        } else {
            // Out of descriptors, as a rule: connections that end give some back.
            std::fprintf(stderr, "graceful_shutdown: accept: %s\n", failed.message().c_str());
            heddle::this_fiber::sleep_for(10ms);
        }
    }
}

int serve_until_told(const heddle::address& at, std::chrono::milliseconds grace) {
    heddle::signal_set signals{SIGINT, SIGTERM};
    server home(at);
    std::printf("listening on %s\n", home.listener.local_address().to_string().c_str());
    std::fflush(stdout);
    {
        const heddle::fiber acceptor{accept_all, std::ref(home)};
        signals.wait();
    }  // The acceptor's handle stops it here.
    home.listener.close();
    home.ending.set();
    std::printf("ending; requests in progress: %d\n", home.requests);
    std::fflush(stdout);

    // Which of three things comes first?
    heddle::fiber all_ended{[&] { home.connections.join(); }};
    heddle::fiber second_signal{[&] { signals.wait(); }};
    const char* how = "in peace";
    heddle::select(heddle::on_join(all_ended),
                   heddle::on_join(second_signal, [&] { how = "at once"; }),
                   heddle::after(grace, [&] { how = "after the grace period"; }));

    const int cut_short = home.requests;
    home.connections.cancel();
    all_ended.join();
    std::printf("ended %s; requests cut short: %d\n", how, cut_short);
    return cut_short == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return heddle::run([&] {
            return serve_until_told(
                heddle::address::parse(argc > 1 ? argv[1] : "127.0.0.1:7777"),
                std::chrono::milliseconds(argc > 2 ? std::atoi(argv[2]) : 5000));
        });
    } catch (const std::exception& error) {
        std::fprintf(stderr, "graceful_shutdown: %s\n", error.what());
        return 2;
    }
}
