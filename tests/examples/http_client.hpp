// A running http_server, and a client that takes its answers apart.
#pragma once

#include "program.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace heddle::test {

/// An answer of an HTTP server, body decoded.
struct http_answer {
    int status = 0;                             ///< 0 where the stream ended in place of an answer
    std::map<std::string, std::string> fields;  ///< names in lower case
    std::string body;

    /// The value of a field, empty where it is missing.
    std::string operator[](const std::string& name) const;
};

/// What is asked for, as an answer depends on it.
enum class asked { all, head };

/// A connection to an HTTP server. Errors: std::system_error where the connection is reset or
/// silent; std::runtime_error where what comes is no answer.
class http_client {
public:
    explicit http_client(std::uint16_t port) : connection(port) {}

    /// The next answer, be it an interim one.
    http_answer read_answer(asked what = asked::all);
    http_answer ask(const std::string& text, asked what = asked::all) {
        connection.send(text);
        return read_answer(what);
    }
    /// Whether the stream ends here. Waits for that or for a byte.
    bool ended();

    client connection;

private:
    bool receive();
    std::string read_line();
    std::string read_bytes(std::size_t count);
    std::string read_chunks();

    std::string unread_;
};

/// An http_server on a port of its own. It is patient with its clients, which are out of step on a
/// busy machine, unless the options of a test say otherwise.
///
/// Make it before the clients of a test. When it dies after them, it checks that the server is
/// unharmed: that it still answers, has given all descriptors back, and ends with success when told
/// to. (A test that has seen the server's end checks for itself.)
class http_server {
public:
    /// With a limit on its descriptors, unless that is 0.
    explicit http_server(const std::vector<std::string>& options = {},
                         std::size_t descriptors_max = 0);
    ~http_server();

    /// Waits until the server has taken notice of what was sent and closed before.
    void settle();
    /// Sends the text on a new connection and ends the sending side, if wished; returns what the
    /// server answers until it closes the connection, which must not be by a reset.
    std::vector<http_answer> talk(const std::string& text, bool end_sending = false) const;
    program process;
    std::uint16_t port = 0;

private:
    bool answers() const;
    void check_unharmed();

    std::size_t descriptors_ = 0;
};

/// A request without a body.
std::string get(const std::string& target, const std::string& fields = {});
/// A request with one.
std::string post(const std::string& target, const std::string& body,
                 const std::string& fields = {});

}  // namespace heddle::test
