// The question (load.cpp): what does one request cost an echo server?
// This is the floor: one thread, one loop over level-triggered epoll, one recv and one send per
// request and nothing else, one buffer for all connections. Two system calls per request, and one
// epoll_wait for each batch.
#include "listen.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

namespace {

void watch(int epoll, int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        bench::fail("epoll_ctl");
}

void accept_one(int epoll, int listener) {
    const int connection = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection < 0)
        return;  // it gave up before we came
    bench::set_no_delay(connection);
    watch(epoll, connection);
}

/// False when the connection has failed. A full socket blocks the whole server, which is right
/// only because the load generator reads on while its own sends wait.
bool send_all(int connection, const char* data, std::size_t size) {
    while (size > 0) {
        const ssize_t sent = send(connection, data, size, MSG_NOSIGNAL);
        if (sent >= 0) {
            data += sent;
            size -= static_cast<std::size_t>(sent);
        } else if (errno == EAGAIN) {
            pollfd writable{connection, POLLOUT, 0};
            poll(&writable, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void answer(int connection) {
    static std::array<char, 64 * 1024> buffer;
    const ssize_t received = recv(connection, buffer.data(), buffer.size(), 0);
    if (received > 0 && send_all(connection, buffer.data(), static_cast<std::size_t>(received)))
        return;
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close(connection);
}

}  // namespace

int main(int argc, char** argv) {
    const int listener = bench::listen_on(argc, argv);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        bench::fail("epoll_create1");
    watch(epoll, listener);
    std::array<epoll_event, 1024> events;
    for (;;) {
        const int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
        if (ready < 0 && errno != EINTR)
            bench::fail("epoll_wait");
        for (int i = 0; i < ready; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd == listener)
                accept_one(epoll, listener);
            else
                answer(fd);
        }
    }
}
