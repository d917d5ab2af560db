// Starts an example as a user would and talks to it.
#pragma once

#include <cstdint>
#include <string>

#include <sys/types.h>

namespace heddle::test {

/// A running program, its standard output at the other end of a pipe. Ended by SIGKILL at the
/// latest when this dies. Errors: std::system_error.
class program {
public:
    explicit program(const std::string& path, const std::string& argument = {});
    program(const program&) = delete;
    program& operator=(const program&) = delete;
    ~program();

    /// The next line of its output, without the newline; empty at the end.
    std::string read_line();
    /// All that it has yet to print.
    std::string read_all();
    void send_signal(int number) const;
    /// Waits for its end: the exit status, or minus the signal that ended it.
    int wait();

private:
    pid_t pid_ = -1;
    int output_ = -1;
};

/// A blocking connection of the test's own, with limits on every wait.
class client {
public:
    /// Connects to 127.0.0.1. Errors: std::system_error.
    explicit client(std::uint16_t port);
    client(const client&) = delete;
    client& operator=(const client&) = delete;
    ~client();

    void send(const std::string& text) const;
    void end_sending() const;
    /// Vanishes with a reset in place of a regular close.
    void reset();
    /// `count` bytes, fewer if the stream ends first.
    std::string receive(std::size_t count) const;

private:
    int fd_;
};

}  // namespace heddle::test
