#include "http_client.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <csignal>
#include <exception>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace heddle::test {

namespace {

std::string lower_case(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char letter) { return std::tolower(letter); });
    return text;
}

// All of the text must be the number.
std::size_t number_in(const std::string& text, int base) {
    std::size_t number = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number, base);
    if (error != std::errc() || end != last) {
        throw std::runtime_error("no number: " + text);
    }
    return number;
}

// A client of a test is never this slow.
constexpr const char* patience[] = {"--idle-ms",   "1000000", "--header-ms", "1000000",
                                    "--body-ms",   "1000000", "--write-ms",  "1000000",
                                    "--linger-ms", "1000000"};

std::vector<std::string> command_line(const std::vector<std::string>& options,
                                      std::size_t descriptors_max) {
    std::vector<std::string> command;
    if (descriptors_max != 0) {
        const std::string limit = "ulimit -n " + std::to_string(descriptors_max);
        command = {"sh", "-c", limit + " && exec \"$0\" \"$@\""};
    }
    const std::vector<std::string> server = runnable({HTTP_SERVER_PROGRAM, "127.0.0.1:0"});
    command.insert(command.end(), server.begin(), server.end());
    command.insert(command.end(), std::begin(patience), std::end(patience));
    command.insert(command.end(), options.begin(), options.end());
    return command;
}

}  // namespace

std::string http_answer::operator[](const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? std::string() : found->second;
}

bool http_client::receive() {
    const std::string more = connection.receive_some();
    unread_ += more;
    return !more.empty();
}

bool http_client::ended() {
    return unread_.empty() && !receive();
}

std::string http_client::read_line() {
    std::size_t end = 0;
    while ((end = unread_.find("\r\n")) == std::string::npos) {
        if (!receive()) {
            throw std::runtime_error("the stream ended in the middle of a line: " + unread_);
        }
    }
    const std::string line = unread_.substr(0, end);
    unread_.erase(0, end + 2);
    return line;
}

std::string http_client::read_bytes(std::size_t count) {
    while (unread_.size() < count) {
        if (!receive()) {
            throw std::runtime_error("the stream ended in the middle of a body");
        }
    }
    const std::string bytes = unread_.substr(0, count);
    unread_.erase(0, count);
    return bytes;
}

std::string http_client::read_chunks() {
    std::string body;
    for (;;) {
        const std::size_t size = number_in(read_line(), 16);
        body += read_bytes(size);
        if (!read_line().empty()) {
            throw std::runtime_error("a chunk does not end where its size says");
        }
        if (size == 0) {
            return body;
        }
    }
}

http_answer http_client::read_answer(asked what) {
    http_answer answer;
    if (unread_.empty() && !receive()) {
        return answer;
    }
    const std::string first = read_line();
    if (first.substr(0, 9) != "HTTP/1.1 ") {
        throw std::runtime_error("no answer: " + first);
    }
    answer.status = static_cast<int>(number_in(first.substr(9, 3), 10));
    for (std::string line = read_line(); !line.empty(); line = read_line()) {
        const std::size_t colon = line.find(": ");
        if (colon == std::string::npos) {
            throw std::runtime_error("no field: " + line);
        }
        answer.fields[lower_case(line.substr(0, colon))] = line.substr(colon + 2);
    }
    if (answer.status / 100 == 1 || what == asked::head) {
        return answer;
    }
    if (answer["transfer-encoding"] == "chunked") {
        answer.body = read_chunks();
    } else if (answer.fields.contains("content-length")) {
        answer.body = read_bytes(number_in(answer["content-length"], 10));
    } else {
        while (receive()) {
        }
        answer.body.swap(unread_);
    }
    return answer;
}

http_server::http_server(const std::vector<std::string>& options, std::size_t descriptors_max)
    : process(command_line(options, descriptors_max)) {
    const std::string line = process.read_line();
    const std::string expected = "listening on 127.0.0.1:";
    if (line.substr(0, expected.size()) != expected) {
        throw std::runtime_error("the server does not start: " + line);
    }
    port = static_cast<std::uint16_t>(number_in(line.substr(expected.size()), 10));
    descriptors_ = process.descriptors();
}

http_server::~http_server() {
    if (!process.running() || std::uncaught_exceptions() > 0) {
        return;
    }
    CHECK_NOTHROW(check_unharmed());
}

void http_server::settle() {
    // What came before the first of these is in the server's hands after the second: at the latest
    // the wait for events between the two has reported it.
    http_client probe(port);
    probe.ask(get("/"));
    probe.ask(get("/"));
}

std::vector<http_answer> http_server::talk(const std::string& text, bool end_sending) const {
    http_client one(port);
    one.connection.send(text);
    if (end_sending) {
        one.connection.end_sending();
    }
    std::vector<http_answer> answers;
    while (!one.ended()) {
        answers.push_back(one.read_answer());
    }
    return answers;
}

bool http_server::answers() const {
    http_client probe(port);  // throws where nobody listens any more
    try {
        return probe.ask(get("/")).status == 200;
    } catch (const std::exception&) {
        return false;
    }
}

void http_server::check_unharmed() {
    // It may be told to be impatient with connections, or still be busy with earlier ones: it is
    // asked, and then waited for, until the test's time is over.
    while (!answers()) {
    }
    // That there are as many as before would be too much to ask: for a moment now and then, the
    // undefined-behaviour sanitizer has a pipe.
    while (process.descriptors() > descriptors_) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    process.send_signal(SIGTERM);
    CHECK(process.wait() == 0);
}

std::string get(const std::string& target, const std::string& fields) {
    return "GET " + target + " HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n";
}

std::string post(const std::string& target, const std::string& body, const std::string& fields) {
    return "POST " + target +
           " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           fields + "\r\n" + body;
}

}  // namespace heddle::test
