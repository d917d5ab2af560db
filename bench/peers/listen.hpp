// What every server in this folder does alike: listen, and say where.
//
// A server takes an address ("127.0.0.1:0" for a port that the system chooses), prints
// `listening on ADDRESS:PORT` as its first line, answers every connection, and lives until it gets
// SIGTERM. They answer the question of load.cpp.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace bench {

[[noreturn]] inline void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

/// A listening socket for the address in the first argument, or for any port of the loopback.
inline int listen_on(int argc, char** argv) {
    const std::string text = argc > 1 ? argv[1] : "127.0.0.1:0";
    const std::size_t colon = text.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (colon == std::string::npos ||
        inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
        std::fprintf(stderr, "not an IPv4 address and port: %s\n", text.c_str());
        std::exit(2);
    }
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));

    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        fail("socket");
    socklen_t length = sizeof address;
    if (bind(listener, reinterpret_cast<const sockaddr*>(&address), length) != 0)
        fail("bind");
    if (listen(listener, SOMAXCONN) != 0)
        fail("listen");
    if (getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0)
        fail("getsockname");
    std::printf("listening on %s:%u\n", text.substr(0, colon).c_str(),
                unsigned{ntohs(address.sin_port)});
    std::fflush(stdout);
    return listener;
}

/// Sends small answers at once instead of waiting for more to send.
inline void set_no_delay(int connection) {
    const int yes = 1;
    if (setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0)
        fail("TCP_NODELAY");
}

}  // namespace bench
