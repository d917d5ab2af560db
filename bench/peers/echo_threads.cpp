// The question (load.cpp): what does one request cost an echo server?
// This is the answer of the operating system's own threads: one per connection, blocking calls,
// the program that one would write first.
#include "listen.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <thread>

namespace {

void serve(int connection) {
    std::array<char, 4096> buffer;
    bool alive = true;
    while (alive) {
        const ssize_t received = recv(connection, buffer.data(), buffer.size(), 0);
        if (received < 0 && errno == EINTR)
            continue;
        alive = received > 0;
        for (ssize_t done = 0; alive && done < received;) {
            const ssize_t sent = send(connection, buffer.data() + done,
                                      static_cast<std::size_t>(received - done), MSG_NOSIGNAL);
            if (sent > 0)
                done += sent;
            else
                alive = errno == EINTR;
        }
    }
    close(connection);
}

}  // namespace

int main(int argc, char** argv) {
    const int listener = bench::listen_on(argc, argv);
    for (;;) {
        const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0)
            continue;
        bench::set_no_delay(connection);
        std::thread(serve, connection).detach();
    }
}
