#include "tests/io/sockets.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace heddle::test {
namespace {

int checked(int result, const char* call) {
    if (result < 0) {
        throw std::system_error(errno, std::generic_category(), call);
    }
    return result;
}

void make_non_blocking(int fd) {
    checked(::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK), "fcntl");
}

bool is_writable(int fd) {
    pollfd question = {.fd = fd, .events = POLLOUT, .revents = 0};
    return ::poll(&question, 1, 0) == 1;
}

}  // namespace

address any_port() {
    return address("127.0.0.1", 0);
}

bool has_ipv6() {
    std::error_code ec;
    const tcp_listener listener(address("::1", 0), ec);
    return !ec;
}

owning_fd connect_plainly(const address& to) {
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(to.port());
    ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    owning_fd fd(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    checked(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&ipv4), sizeof ipv4), "connect");
    return fd;
}

connection connect_pair() {
    tcp_listener listener(any_port());
    owning_fd there = connect_plainly(listener.local_address());
    make_non_blocking(there.get());
    return {listener.accept(), std::move(there)};
}

stream_pair connect_streams() {
    tcp_listener listener(any_port());
    tcp_stream a = tcp_stream::connect(listener.local_address());
    return {std::move(a), listener.accept()};
}

pipe_ends make_pipe(int flags) {
    int ends[2] = {};
    checked(::pipe2(ends, flags | O_CLOEXEC), "pipe2");
    return {owning_fd(ends[0]), owning_fd(ends[1])};
}

void shrink_buffers(int fd) {
    const int least = 1;
    checked(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), "SO_SNDBUF");
    checked(::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least), "SO_RCVBUF");
}

std::string more_than_fits() {
    return std::string(30'000'000, '.');
}

void put(int fd, std::string_view bytes) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count != static_cast<ssize_t>(bytes.size())) {
        throw std::runtime_error("the system did not take all bytes of a test");
    }
}

void await_readable(int fd) {
    pollfd question = {.fd = fd, .events = POLLIN, .revents = 0};
    while (::poll(&question, 1, -1) != 1) {
    }
}

std::string take(int fd) {
    std::string all;
    pollfd question = {.fd = fd, .events = POLLIN, .revents = 0};
    while (::poll(&question, 1, 0) == 1) {
        char bytes[65536];
        const ssize_t count = ::read(fd, bytes, sizeof bytes);
        if (count <= 0) {
            break;
        }
        all.append(bytes, static_cast<std::size_t>(count));
    }
    return all;
}

std::size_t fill(int fd) {
    // A pipe takes a page without blocking as long as it is writable. A socket's bytes are under
    // way to its peer for a while, and make room when they arrive: it is full when it stays full.
    const std::string page(4096, '.');
    std::size_t sum = 0;
    for (int full = 0; full < 3;) {
        ssize_t count = ::send(fd, page.data(), page.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno == ENOTSOCK) {
            count = is_writable(fd) ? ::write(fd, page.data(), page.size()) : -1;
            full = count < 0 ? 3 : 0;
        } else if (count < 0) {
            ++full;
            ::poll(nullptr, 0, 1);
        }
        if (count > 0) {
            sum += static_cast<std::size_t>(count);
            full = 0;
        }
    }
    return sum;
}

void drain(int from, int to) {
    for (int turn = 0; turn < 1000 && !is_writable(to); ++turn) {
        take(from);
        ::poll(nullptr, 0, turn / 10);
    }
    take(from);
}

void reset_on_close(int fd) {
    const linger at_once = {.l_onoff = 1, .l_linger = 0};
    checked(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), "SO_LINGER");
}

std::string pattern(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t index = 0;
    std::generate(bytes.begin(), bytes.end(),
                  [&] { return static_cast<char>('!' + (index++ * 2654435761U >> 7) % 94); });
    return bytes;
}

doctest::String toString(outcome how) {
    constexpr const char* names[] = {
        "done", "timed out", "cancelled", "operation canceled", "bad descriptor", "another error"};
    return names[static_cast<std::size_t>(how)];
}

outcome to_outcome(const std::error_code& ec) {
    return !ec                                    ? outcome::done
           : ec == std::errc::timed_out           ? outcome::timed_out
           : ec == std::errc::operation_canceled  ? outcome::operation_canceled
           : ec == std::errc::bad_file_descriptor ? outcome::bad_descriptor
                                                  : outcome::another_error;
}

}  // namespace heddle::test
