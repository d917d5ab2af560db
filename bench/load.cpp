// The question: what does one request cost an echo server, and how long does its client wait?
//
// This is the load generator; the servers are programs of their own (heddle's is the example in
// tests/examples, the others are peers/echo_*.cpp). It keeps a number of messages in flight on
// each of many connections and sends the next as soon as an answer is complete: a closed loop, so
// that a server on a CPU of its own is always busy, and the latencies are those under full load.
// Every byte of every answer is checked.
//
// What is measured is the server's CPU time, user and system, over the requests answered between
// two moments. The kernel charges the work of the loopback device to whoever sends, so that an
// answer's way to the client is in it, as it would be with a network card. The result goes to
// standard output as JSON.
//
// Everything is bounded: the phases by time or by a count of requests, and a server that stays
// silent for silence_max ends the run with an error.
#include "call_counter.hpp"
#include "histogram.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using nanoseconds = std::int64_t;

constexpr nanoseconds second = 1'000'000'000;
constexpr nanoseconds silence_max = 10 * second;
constexpr std::size_t receive_bytes = 256 * 1024;
constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

struct options {
    sockaddr_in server{};
    std::size_t connections = 100;
    std::size_t message_bytes = 64;
    std::size_t in_flight = 1;          ///< messages per connection that wait for their answer
    double warm_up_seconds = 0.3;       ///< 0: measured from the first request on
    double seconds = 1.0;               ///< the measured phase ends after this time at the latest,
    std::uint64_t requests = no_limit;  ///< and after this many answers
    bool spin = false;                  ///< never sleep while waiting for answers
    bool count_calls = false;           ///< report the server's system calls; slows both a little
    std::optional<pid_t> server_pid;    ///< whose CPU time is reported
};

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "load: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "load: %s\n", what);
    std::exit(1);
}

nanoseconds read_clock(clockid_t clock) {
    timespec now{};
    if (clock_gettime(clock, &now) != 0)
        fail("clock_gettime");
    return now.tv_sec * second + now.tv_nsec;
}

nanoseconds now() {
    return read_clock(CLOCK_MONOTONIC);
}

/// The state of everything that is reported as a difference between two moments.
struct moment {
    nanoseconds wall = 0;
    nanoseconds server_cpu = 0;
    std::uint64_t server_calls = 0;
    nanoseconds client_cpu = 0;
    std::uint64_t answers = 0;
};

/// One connection. Messages are all alike, so a position in the stream is known by its distance
/// from the beginning of a message.
struct connection {
    int fd = -1;
    std::size_t send_offset = 0;        ///< in the message that is being sent
    std::size_t receive_offset = 0;     ///< in the answer that is being received
    std::size_t bytes_to_send = 0;      ///< of messages begun, not yet taken by the socket
    std::size_t outstanding = 0;        ///< messages begun, not yet answered
    std::vector<nanoseconds> begun_at;  ///< ring: when each outstanding message was begun
    std::size_t oldest = 0;             ///< in begun_at
};

class load {
public:
    explicit load(const options& chosen);
    void run();

private:
    void connect_all();
    void begin_messages(connection& c, std::size_t count, nanoseconds at);
    void send_pending(connection& c);
    void receive(connection& c, bool closing);
    void take_answers(connection& c, const char* data, std::size_t size);
    void start_measuring();
    void stop_measuring();
    moment observe() const;
    void report() const;

    const options options_;
    clockid_t server_clock_{};
    std::optional<bench::call_counter> server_calls_;
    int epoll_ = -1;
    std::vector<connection> connections_;
    std::vector<char> stream_;  ///< messages end to end, long enough to send or compare with
    std::vector<char> received_;
    std::uint64_t budget_ = no_limit;  ///< messages that may still be begun
    std::uint64_t outstanding_ = 0;    ///< over all connections
    std::uint64_t answers_ = 0;
    enum { warming_up, measuring, draining } phase_ = warming_up;
    moment start_;
    moment end_;
    bench::histogram latencies_;
};

load::load(const options& chosen)
    : options_(chosen),
      connections_(chosen.connections),
      received_(receive_bytes) {
    if (options_.server_pid && clock_getcpuclockid(*options_.server_pid, &server_clock_) != 0)
        give_up("no process with that --server-pid");
    if (options_.server_pid && options_.count_calls)
        server_calls_.emplace(*options_.server_pid);
    // One byte has its value from its place in the message, so that a shifted answer is noticed.
    const std::size_t length =
        std::max(receive_bytes, options_.message_bytes * options_.in_flight) +
        options_.message_bytes;
    stream_.resize(length);
    for (std::size_t i = 0; i < length; ++i)
        stream_[i] = static_cast<char>(i % options_.message_bytes * 31 % 251);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0)
        fail("epoll_create1");
}

void load::connect_all() {
    for (connection& c : connections_) {
        c.begun_at.resize(options_.in_flight);
        c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c.fd < 0)
            fail("socket");
        const auto* const address = reinterpret_cast<const sockaddr*>(&options_.server);
        if (connect(c.fd, address, sizeof options_.server) != 0)
            fail("connect");
        const int yes = 1;
        if (setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0)
            fail("TCP_NODELAY");
        if (fcntl(c.fd, F_SETFL, O_NONBLOCK) != 0)
            fail("O_NONBLOCK");
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
        event.data.ptr = &c;
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event) != 0)
            fail("epoll_ctl");
    }
}

void load::begin_messages(connection& c, std::size_t count, nanoseconds at) {
    count = static_cast<std::size_t>(std::min<std::uint64_t>(count, budget_));
    budget_ -= count;
    for (std::size_t i = 0; i < count; ++i)
        c.begun_at[(c.oldest + c.outstanding + i) % options_.in_flight] = at;
    c.outstanding += count;
    outstanding_ += count;
    c.bytes_to_send += count * options_.message_bytes;
    send_pending(c);
}

void load::send_pending(connection& c) {
    while (c.bytes_to_send > 0) {
        const std::size_t size = std::min(c.bytes_to_send, stream_.size() - c.send_offset);
        const ssize_t sent = send(c.fd, stream_.data() + c.send_offset, size, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN)
                return;  // the edge of EPOLLOUT brings us back
            if (errno == EINTR)
                continue;
            fail("send");
        }
        c.bytes_to_send -= static_cast<std::size_t>(sent);
        c.send_offset = (c.send_offset + static_cast<std::size_t>(sent)) % options_.message_bytes;
    }
}

/// Edge-triggered: reads until a short count, which on a TCP socket means drained unless the peer
/// is closing.
void load::receive(connection& c, bool closing) {
    for (;;) {
        const ssize_t size = recv(c.fd, received_.data(), received_.size(), 0);
        if (size == 0)
            give_up("the server closed a connection");
        if (size < 0) {
            if (errno == EAGAIN)
                return;
            if (errno == EINTR)
                continue;
            fail("recv");
        }
        take_answers(c, received_.data(), static_cast<std::size_t>(size));
        if (!closing && static_cast<std::size_t>(size) < received_.size())
            return;
    }
}

void load::take_answers(connection& c, const char* data, std::size_t size) {
    if (std::memcmp(data, stream_.data() + c.receive_offset, size) != 0)
        give_up("an answer differs from its request");
    const std::size_t complete = (c.receive_offset + size) / options_.message_bytes;
    c.receive_offset = (c.receive_offset + size) % options_.message_bytes;
    if (complete > c.outstanding)
        give_up("more answers than requests");
    const nanoseconds at = now();
    for (std::size_t i = 0; i < complete; ++i) {
        if (phase_ == measuring)
            latencies_.record(static_cast<std::uint64_t>(at - c.begun_at[c.oldest]));
        c.oldest = c.oldest + 1 == options_.in_flight ? 0 : c.oldest + 1;
    }
    c.outstanding -= complete;
    outstanding_ -= complete;
    answers_ += complete;
    if (complete > 0)
        begin_messages(c, complete, at);
}

moment load::observe() const {
    moment seen;
    seen.wall = now();
    seen.server_cpu = options_.server_pid ? read_clock(server_clock_) : 0;
    seen.server_calls = server_calls_ ? server_calls_->count() : 0;
    seen.client_cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    seen.answers = answers_;
    return seen;
}

void load::start_measuring() {
    phase_ = measuring;
    start_ = observe();
    // With a count, exactly that many are answered from here on: those in flight are part of it.
    if (options_.requests != no_limit)
        budget_ = options_.requests - std::min(options_.requests, outstanding_);
}

void load::stop_measuring() {
    phase_ = draining;
    end_ = observe();
    budget_ = 0;
}

void load::run() {
    connect_all();
    const nanoseconds begin = now();
    const auto warm_up = static_cast<nanoseconds>(options_.warm_up_seconds * second);
    const auto limit = static_cast<nanoseconds>(options_.seconds * second);
    if (warm_up == 0)
        start_measuring();
    for (connection& c : connections_)
        begin_messages(c, options_.in_flight, now());

    std::vector<epoll_event> events(options_.connections);
    nanoseconds last_event = begin;
    while (phase_ != draining || outstanding_ > 0) {
        const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                     options_.spin ? 0 : 100);
        if (ready < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < ready; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            auto& c = *static_cast<connection*>(event.data.ptr);
            if (event.events & EPOLLOUT)
                send_pending(c);
            if (event.events & ~std::uint32_t{EPOLLOUT})
                receive(c, event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
        }
        const nanoseconds at = now();
        if (ready > 0)
            last_event = at;
        if (at - last_event > silence_max)
            give_up("the server has been silent for too long");
        if (phase_ == warming_up && at - begin >= warm_up)
            start_measuring();
        else if (phase_ == measuring &&
                 (at - start_.wall >= limit || (budget_ == 0 && outstanding_ == 0)))
            stop_measuring();
    }
    for (const connection& c : connections_)
        close(c.fd);
    report();
}

void load::report() const {
    const auto requests = static_cast<double>(end_.answers - start_.answers);
    if (requests == 0)
        give_up("no request was answered in the measured phase");
    const auto wall = static_cast<double>(end_.wall - start_.wall);
    const auto server = static_cast<double>(end_.server_cpu - start_.server_cpu);
    const auto client = static_cast<double>(end_.client_cpu - start_.client_cpu);
    const auto latency = [&](double part) {
        return static_cast<double>(latencies_.quantile(part)) / 1000;
    };
    std::printf(
        "{\n  \"requests\": %.0f,\n  \"seconds\": %.6f,\n  \"requests_per_second\": %.1f,\n",
        requests, wall / second, requests / (wall / second));
    std::printf(
        "  \"latency_us\": {\"p50\": %.2f, \"p99\": %.2f, \"p99_9\": %.2f, \"max\": %.2f},\n",
        latency(0.5), latency(0.99), latency(0.999), static_cast<double>(latencies_.max()) / 1000);
    if (options_.server_pid)
        std::printf("  \"server_cpu_us_per_request\": %.4f,\n  \"server_busy\": %.4f,\n",
                    server / requests / 1000, server / wall);
    if (server_calls_)
        std::printf("  \"server_calls_per_request\": %.4f,\n",
                    static_cast<double>(end_.server_calls - start_.server_calls) / requests);
    std::printf("  \"client_cpu_us_per_request\": %.4f,\n  \"client_busy\": %.4f\n}\n",
                client / requests / 1000, client / wall);
}

constexpr const char* usage =
    "usage: load ADDRESS:PORT [options]\n"
    "  --connections N       how many connections (100)\n"
    "  --bytes N             size of a message (64)\n"
    "  --in-flight N         messages per connection that wait for their answer (1)\n"
    "  --warm-up SECONDS     before the measured phase (0.3)\n"
    "  --seconds SECONDS     the longest that the measured phase lasts (1)\n"
    "  --requests N          the most answers in the measured phase (no limit)\n"
    "  --server-pid PID      report the CPU time of this process\n"
    "  --count-calls         and its system calls; ends with status 3 where that is not allowed\n"
    "  --spin                never sleep while waiting for answers\n";

[[noreturn]] void explain() {
    std::fputs(usage, stderr);
    std::exit(2);
}

sockaddr_in parse_address(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (colon == std::string::npos ||
        inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1)
        explain();
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
    return address;
}

options parse(int argc, char** argv) {
    if (argc < 2)
        explain();
    options chosen;
    chosen.server = parse_address(argv[1]);
    for (int i = 2; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--spin" || name == "--count-calls") {
            (name == "--spin" ? chosen.spin : chosen.count_calls) = true;
            continue;
        }
        if (++i == argc)
            explain();
        const double value = std::atof(argv[i]);
        if (name == "--warm-up" && value >= 0)
            chosen.warm_up_seconds = value;
        else if (name == "--seconds" && value > 0)
            chosen.seconds = value;
        else if (value < 1)
            explain();
        else if (name == "--connections")
            chosen.connections = static_cast<std::size_t>(value);
        else if (name == "--bytes")
            chosen.message_bytes = static_cast<std::size_t>(value);
        else if (name == "--in-flight")
            chosen.in_flight = static_cast<std::size_t>(value);
        else if (name == "--requests")
            chosen.requests = static_cast<std::uint64_t>(value);
        else if (name == "--server-pid")
            chosen.server_pid = static_cast<pid_t>(value);
        else
            explain();
    }
    return chosen;
}

/// 10 000 connections are more than the usual limit of 1024 descriptors.
void allow_many_descriptors() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const options chosen = parse(argc, argv);
    allow_many_descriptors();
    try {
        load(chosen).run();
    } catch (const std::runtime_error& not_countable) {
        std::fprintf(stderr, "load: %s\n", not_countable.what());
        return 3;
    }
}
