#include "tests/reactor/harness.hpp"

#include "runtime/base/system.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace heddle::test {

namespace sys = detail::sys;
using std::chrono::steady_clock;

namespace {

// How long anything may take before the test is given up. Long, since what runs beside the test may
// keep it or the network waiting for seconds.
constexpr std::chrono::minutes patience{1};

// Polls after which the late back-end has done all that it can: several times its longest delay.
constexpr int polls_to_settle = 40;

// As in_flight(), by the table of all sockets: the retransmission timer runs, which is the first
// number in the sixth column (Linux, Documentation/networking/proc_net_tcp.rst). The tenth is the
// inode, by which to find the socket. The table may have thousands of lines, of other programs.
bool timer_runs(int fd) {
    struct stat own = {};
    REQUIRE(::fstat(fd, &own) == 0);
    const std::string inode = std::to_string(own.st_ino);
    std::ifstream table("/proc/net/tcp");
    for (std::string line; std::getline(table, line);) {
        if (line.find(inode) == std::string::npos) {
            continue;
        }
        std::istringstream words(line);
        const std::vector<std::string> columns(std::istream_iterator<std::string>(words), {});
        if (columns.size() > 9 && columns[9] == inode) {
            return columns[5].rfind("01:", 0) == 0;
        }
    }
    return false;
}

// Whether a TCP socket of this machine waits for the other end to confirm what it has sent.
bool in_flight(int fd) {
    tcp_info now = {};
    socklen_t size = sizeof now;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &now, &size) != 0) {
        return false;  // it is no TCP socket
    }
    // qemu 7.2 hands on the first word only.
    const bool whole = size >= offsetof(tcp_info, tcpi_unacked) + sizeof now.tcpi_unacked;
    return whole ? now.tcpi_unacked > 0 : timer_runs(fd);
}

}  // namespace

harness::harness(maker make) : descriptors_before_(open_descriptors()), events_(make(note, this)) {}

harness::~harness() {
    CHECK(events_->pending() == 0);
    events_.reset();
    CHECK(open_descriptors() == descriptors_before_);
}

void harness::note(void* self, operation& ended) {
    CHECK_FALSE(ended.pending);
    static_cast<harness*>(self)->completed.push_back(&ended);
}

bool harness::submit(operation& what, bool may_wait) {
    const std::size_t pending = events_->pending();
    const std::size_t told = completed.size();
    const bool ended = events_->submit(what, may_wait);
    CHECK(what.pending != ended);
    CHECK((ended || may_wait));
    // What others are told meanwhile is counted too.
    CHECK(events_->pending() + (completed.size() - told) == pending + (ended ? 0 : 1));
    return ended;
}

std::int64_t harness::finish(operation& what) {
    const auto give_up = steady_clock::now() + patience;
    while (what.pending) {
        if (steady_clock::now() > give_up) {
            FAIL("an operation never ends");
        }
        events_->poll(100'000'000);
    }
    return what.result;
}

std::int64_t harness::perform(operation& what) {
    submit(what);
    return finish(what);
}

void harness::settle() {
    for (int i = 0; i < polls_to_settle; ++i) {
        events_->poll(0);
    }
}

request::request(operation_kind what, descriptor_handle where, std::size_t capacity,
                 descriptor_traits of)
    : storage_(capacity, '?') {
    kind = what;
    handle = where;
    traits = of;
    buffer = storage_.data();
    length = storage_.size();
}

request::request(operation_kind what, descriptor_handle where, std::string_view content)
    : storage_(content) {
    kind = what;
    handle = where;
    buffer = storage_.data();
    length = storage_.size();
}

std::string_view request::text() const {
    const std::string_view all = storage_;
    return all.substr(0, result > 0 ? static_cast<std::size_t>(result) : 0);
}

descriptor_handle attached(int fd) {
    static std::uint64_t last_id = 0;
    return {fd, ++last_id};
}

pair make_pipe(bool blocking) {
    int ends[2] = {};
    REQUIRE(sys::pipe(ends, O_CLOEXEC | (blocking ? 0 : O_NONBLOCK)) == 0);
    return {owning_fd(ends[0]), owning_fd(ends[1])};
}

pair make_socket_pair(int type) {
    int ends[2] = {};
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    return {owning_fd(ends[0]), owning_fd(ends[1])};
}

pair make_tcp_pair() {
    const listener here(1);
    owning_fd client = make_tcp_socket();
    sys::connect(client.get(), reinterpret_cast<const sockaddr*>(&here.address), here.length);
    await(here.fd.get(), POLLIN);
    owning_fd server(sys::accept4(here.fd.get(), nullptr, nullptr));
    REQUIRE(server);
    await(client.get(), POLLOUT);
    sys::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    sys::setsockopt(server.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    return {std::move(client), std::move(server)};
}

listener::listener(int backlog) : fd(make_tcp_socket()) {
    sockaddr_in loopback{};
    loopback.sin_family = AF_INET;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(sys::bind(fd.get(), reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) ==
            0);
    REQUIRE((backlog == not_listening || sys::listen(fd.get(), backlog) == 0));
    REQUIRE(sys::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
}

connect_request::connect_request(descriptor_handle where, const listener& to) {
    kind = operation_kind::connect;
    handle = where;
    address = reinterpret_cast<const sockaddr*>(&to.address);
    length = to.length;
}

owning_fd make_tcp_socket() {
    owning_fd made(sys::socket(AF_INET, SOCK_STREAM));
    REQUIRE(made);
    return made;
}

void give(int fd, std::string_view content) {
    REQUIRE(::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
}

std::string take(int fd, std::size_t most) {
    std::string content(most, '\0');
    const ssize_t count = ::read(fd, content.data(), most);
    content.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return content;
}

std::size_t fill(int fd) {
    const std::string content(1024, 'f');
    const auto give_up = steady_clock::now() + patience;
    std::size_t written = 0;
    std::size_t before = 0;
    do {
        before = written;
        ssize_t count = 0;
        while ((count = ::write(fd, content.data(), content.size())) > 0) {
            written += static_cast<std::size_t>(count);
        }
        // A stream that takes no more does so again when the other end has what is on its way.
        while (in_flight(fd)) {
            REQUIRE(steady_clock::now() < give_up);
        }
    } while (written != before);
    return written;
}

void await(int fd, short events) {
    const auto give_up = steady_clock::now() + patience;
    pollfd one{.fd = fd, .events = events, .revents = 0};
    while ((one.revents & events) != events) {
        REQUIRE(steady_clock::now() < give_up);
        sys::poll(&one, 1, (one.revents & events) != 0 ? 0 : 100'000'000);
    }
}

void await_bytes(int fd, int count) {
    const auto give_up = steady_clock::now() + patience;
    int there = 0;
    while (::ioctl(fd, FIONREAD, &there) == 0 && there < count) {
        REQUIRE(steady_clock::now() < give_up);
    }
}

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator listing("/proc/self/fd");
    // Less the one that lists.
    return static_cast<std::size_t>(std::distance(begin(listing), end(listing))) - 1;
}

}  // namespace heddle::test
