// An echo server: one fiber per connection, until SIGINT or SIGTERM.
//
//     echo_server [ADDRESS]      default 127.0.0.1:7777; port 0 lets the system choose
//
// Its first line of output says where it listens.
#include <heddle/heddle.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string_view>
#include <system_error>
#include <utility>

namespace {

using namespace std::chrono_literals;

// Sends back what comes until the peer has had enough, vanishes, or the server ends.
void serve(heddle::tcp_stream peer) {
    char buffer[4096];
    std::error_code failed;
    peer.set_no_delay(true, failed);  // small answers go at once
    while (const std::size_t count = peer.read(buffer, failed)) {
        peer.write_all(std::string_view(buffer, count), failed);
        if (failed) {
            break;
        }
    }
}

void accept_all(heddle::tcp_listener& listener) {
    for (;;) {
        std::error_code failed;
        heddle::tcp_stream peer = listener.accept(failed);
        if (!failed) {
            heddle::spawn_detached(serve, std::move(peer));
        } else if (failed == std::errc::operation_canceled) {
            return;
        } else {
            // Out of descriptors, as a rule: connections that end give some back.
            std::fprintf(stderr, "echo_server: accept: %s\n", failed.message().c_str());
            heddle::this_fiber::sleep_for(10ms);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        heddle::run([&] {
            heddle::signal_set ending{SIGINT, SIGTERM};
            heddle::tcp_listener listener(
                heddle::address::parse(argc > 1 ? argv[1] : "127.0.0.1:7777"));
            std::printf("listening on %s\n", listener.local_address().to_string().c_str());
            std::fflush(stdout);
            const heddle::fiber acceptor{accept_all, std::ref(listener)};
            ending.wait();
            // The acceptor's handle stops it here, and run() stops the connections.
        });
    } catch (const std::exception& error) {
        std::fprintf(stderr, "echo_server: %s\n", error.what());
        return 1;
    }
}
