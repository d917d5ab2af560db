// How a refused connection looks to a program: ECONNREFUSED, unless an emulator is at work whose
// CPU numbers errors differently. qemu 7.2 hands out what SO_ERROR holds in the host's numbers,
// and on MIPS those differ (its other errors it translates).
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace heddle::test {

/// Asks the system without heddle: connects a socket to a port that is bound and does not listen.
inline std::error_code refused() {
    const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* const name = reinterpret_cast<sockaddr*>(&at);
    ::bind(taken, name, size);
    ::getsockname(taken, name, &size);
    int error = ::connect(client, name, size) < 0 ? errno : 0;
    if (error == EINPROGRESS) {
        pollfd ready = {.fd = client, .events = POLLOUT, .revents = 0};
        ::poll(&ready, 1, -1);
        size = sizeof error;
        ::getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    ::close(client);
    ::close(taken);
    return std::error_code(error, std::system_category());
}

}  // namespace heddle::test
