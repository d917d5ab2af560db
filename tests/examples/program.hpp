// Starts an example as a user would and talks to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace heddle::test {

/// The command as the system can run it: a program of another CPU, named by its path, with what
/// runs this test before it. tests/run says what that is, word by word, in HEDDLE_TEST_EMULATOR.
/// Tools of the machine itself are named without a path.
std::vector<std::string> runnable(std::vector<std::string> command);

/// A running program, its standard output at the other end of a pipe. Ended by SIGKILL at the
/// latest when this dies, or the test. Errors: std::system_error.
class program {
public:
    /// The path is looked for as a shell would.
    template <class... Arguments>
    explicit program(const std::string& path, const Arguments&... arguments)
        : program(std::vector<std::string>{path, arguments...}) {}
    explicit program(std::vector<std::string> command);
    program(const program&) = delete;
    program& operator=(const program&) = delete;
    ~program();

    /// The next line of its output, without the newline; empty at the end.
    std::string read_line();
    /// All that it has yet to print.
    std::string read_all();
    void send_signal(int number) const;
    /// Whether nobody has waited for its end.
    bool running() const { return pid_ > 0; }
    /// How many descriptors it has open.
    std::size_t descriptors() const;
    /// The memory that it occupies.
    std::size_t resident_bytes() const;
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
    /// What has come, at least one byte; empty at the end of the stream. Errors: std::system_error,
    /// a reset by the peer among them.
    std::string receive_some() const;
    /// Whether there is something to receive, the end included.
    bool has_something() const;

private:
    int fd_;
};

/// Whether nobody listens on a port any more. Waits for that, since somebody else's program may
/// have got the port by now, for a moment.
bool refuses(std::uint16_t port);

}  // namespace heddle::test
