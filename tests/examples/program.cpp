#include "program.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <utility>

namespace heddle::test {

namespace {

template <class Result>
Result checked(Result result, const char* what) {
    if (result < 0) {
        throw std::system_error(errno, std::generic_category(), what);
    }
    return result;
}

// Makes a call again that a signal has interrupted, be it one that has only paused the test.
template <class Call>
ssize_t uninterrupted(Call call) {
    ssize_t result = 0;
    do {
        result = call();
    } while (result < 0 && errno == EINTR);
    return result;
}

}  // namespace

std::vector<std::string> runnable(std::vector<std::string> command) {
    const char* const emulator = std::getenv("HEDDLE_TEST_EMULATOR");
    if (emulator == nullptr || command[0].find('/') == std::string::npos) {
        return command;
    }
    std::istringstream words(emulator);
    std::vector<std::string> all{std::istream_iterator<std::string>(words), {}};
    all.insert(all.end(), command.begin(), command.end());
    return all;
}

program::program(std::vector<std::string> command) {
    command = runnable(std::move(command));
    std::vector<char*> arguments;
    for (std::string& word : command) {
        arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    int ends[2];
    checked(::pipe2(ends, O_CLOEXEC), "pipe2");
    pid_ = checked(::fork(), "fork");
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is aborted takes its programs along
        ::dup2(ends[1], STDOUT_FILENO);
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ends[0];
}

program::~program() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    ::close(output_);
}

std::string program::read_line() {
    std::string line;
    char byte = 0;
    while (::read(output_, &byte, 1) == 1 && byte != '\n') {
        line += byte;
    }
    return line;
}

std::string program::read_all() {
    std::string text;
    char bytes[256];
    for (;;) {
        const ssize_t count = ::read(output_, bytes, sizeof bytes);
        if (count <= 0) {
            return text;
        }
        text.append(bytes, static_cast<std::size_t>(count));
    }
}

void program::send_signal(int number) const {
    ::kill(pid_, number);
}

std::size_t program::descriptors() const {
    const std::filesystem::directory_iterator listed("/proc/" + std::to_string(pid_) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(listed), end(listed)));
}

std::size_t program::resident_bytes() const {
    std::size_t pages = 0;
    std::ifstream("/proc/" + std::to_string(pid_) + "/statm") >> pages >> pages;
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

int program::wait() {
    int status = 0;
    checked(::waitpid(std::exchange(pid_, -1), &status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

client::client(std::uint16_t port)
    : fd_(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
    const timeval limit{.tv_sec = 100, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
        const int error = errno;
        ::close(fd_);
        throw std::system_error(error, std::generic_category(), "connect");
    }
}

client::~client() {
    ::close(fd_);
}

void client::send(const std::string& text) const {
    for (std::size_t sent = 0; sent < text.size();) {
        const auto send_some = [&] {
            return ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        };
        sent += static_cast<std::size_t>(checked(uninterrupted(send_some), "send"));
    }
}

void client::end_sending() const {
    ::shutdown(fd_, SHUT_WR);
}

void client::reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(std::exchange(fd_, -1));
}

std::string client::receive(std::size_t count) const {
    std::string text(count, '\0');
    std::size_t filled = 0;
    while (filled < count) {
        const ssize_t got =
            uninterrupted([&] { return ::recv(fd_, text.data() + filled, count - filled, 0); });
        if (got <= 0) {
            break;
        }
        filled += static_cast<std::size_t>(got);
    }
    text.resize(filled);
    return text;
}

std::string client::receive_some() const {
    std::string text(64 * 1024, '\0');
    const auto receive_once = [&] { return ::recv(fd_, text.data(), text.size(), 0); };
    text.resize(
        static_cast<std::size_t>(checked(uninterrupted(receive_once), "receive from the server")));
    return text;
}

bool client::has_something() const {
    pollfd asked{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&asked, 1, 0) != 0;
}

bool refuses(std::uint16_t port) {
    constexpr int tries_max = 1000;
    for (int tries = 0; tries < tries_max; ++tries) {
        try {
            const client taken(port);
        } catch (const std::system_error& error) {
            return error.code() == std::errc::connection_refused;
        }
        ::poll(nullptr, 0, 1);
    }
    return false;
}

}  // namespace heddle::test
