// An HTTP/1.1 server: one fiber per connection, until SIGINT or SIGTERM.
//
//     http_server [ADDRESS] [--OPTION VALUE]...
//
// ADDRESS is 127.0.0.1:8080 unless given; port 0 lets the system choose, and the first line of
// output says where the server listens. The options are those of http_settings.hpp.
//
//     GET /           a page
//     GET /chunked    an answer that is sent in pieces while it is made
//     POST /echo      the body of the request, back
//
// To read it, begin with serve(), which is the life of a connection from top to bottom: wait for a
// request, read it, answer, again. No step of it says what happens "next" or "on" something: a
// fiber that has to wait just waits, and others run. Boost.Beast knows the grammar of HTTP; it is
// handed the bytes, and never sees the socket.
//
// Nobody may use more of this server than the settings say, by malice or by accident: every size
// has a limit and every wait a deadline.
#include "http_settings.hpp"

#include <heddle/heddle.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_set>
#include <utility>

namespace {

using namespace std::chrono_literals;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using request = http::request<http::string_body>;
using request_parser = http::request_parser<http::string_body>;

// Answers to requests that came together are sent together, up to about this size.
constexpr std::size_t unsent_bytes_max = 64 * 1024;

// Empty lines in front of a request are ignored, as some clients send one behind a body (RFC 9112,
// 2.2). Nobody has a reason to send more than this.
constexpr int empty_lines_max = 8;

struct connection;

// What the connections share. Fibers run one at a time and give way only where they wait, so none
// of this needs a lock.
struct server {
    explicit server(const settings& chosen)
        : with(chosen),
          listener(heddle::address::parse(with.address)) {}

    const settings with;
    heddle::tcp_listener listener;
    std::unordered_set<connection*> open;
    bool ending = false;          // finish the requests in progress, and take no more
    heddle::fiber<> grace_sleep;  // in the end: whom the last connection wakes
};

// One client. It is counted from the moment of its making, before its fiber has started.
struct connection {
    connection(server& in, heddle::tcp_stream from)
        : home(in),
          peer(std::move(from)),
          unparsed(home.with.header_bytes_max) {
        unparsed.reserve(unparsed.max_size());
        home.open.insert(this);
        one_too_many = home.open.size() > home.with.connections_max;
    }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    ~connection() {
        home.open.erase(this);
        if (home.open.empty()) {
            home.grace_sleep.request_stop();
        }
    }

    server& home;
    heddle::tcp_stream peer;
    beast::flat_buffer unparsed;  // what came and is not parsed yet, later requests included
    std::string unsent;           // answers, until we would wait or they are many
    bool one_too_many = false;
    bool idle = false;    // waiting for a request
    int empty_lines = 0;  // that came in its place
    // Of the request that is being served:
    bool keep_alive = false;
    bool without_body = false;  // HEAD asks for the head alone
    bool understands_chunks = false;
};

// Thrown by whatever finds that a request cannot be served and that nothing after it can be
// trusted: the client is told, and the connection ends.
struct refusal {
    http::status status;
};

// Sending.

void flush(connection& client) {
    client.peer.write_all(client.unsent, client.home.with.write_max);
    client.unsent.clear();
    if (client.unsent.capacity() > unsent_bytes_max) {
        std::string().swap(client.unsent);  // an idle connection keeps no large buffer
    }
}

// The moment in the format of HTTP. Written once a second, since many answers share one.
std::string_view date_now() {
    static std::time_t written_for = 0;
    static char text[sizeof "Sun, 06 Nov 1994 08:49:37 GMT"];
    if (const std::time_t now = std::time(nullptr); now != written_for) {
        std::tm parts{};
        ::gmtime_r(&now, &parts);
        std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        written_for = now;
    }
    return text;
}

// Begins an answer. `fields` are further lines of the head, each with its end.
void append_head(connection& client, http::status status, std::string_view fields) {
    std::string& out = client.unsent;
    client.keep_alive = client.keep_alive && !client.home.ending;
    out += "HTTP/1.1 ";
    out += std::to_string(static_cast<unsigned>(status));
    out += ' ';
    const auto reason = http::obsolete_reason(status);
    out.append(reason.data(), reason.size());
    out += "\r\nServer: heddle\r\nDate: ";
    out += date_now();
    // HTTP/1.1 takes keep-alive for granted, and HTTP/1.0 wants to hear it.
    out += client.keep_alive ? "\r\nConnection: keep-alive\r\n" : "\r\nConnection: close\r\n";
    out += fields;
    out += "\r\n";
}

void append_answer(connection& client, http::status status, std::string fields,
                   std::string_view body) {
    fields += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    append_head(client, status, fields);
    if (!client.without_body) {
        client.unsent += body;
    }
}

void append_error(connection& client, http::status status, const std::string& fields = {}) {
    const std::string text(http::obsolete_reason(status));
    append_answer(client, status, fields + "Content-Type: text/plain\r\n", text + '\n');
}

// Ends the connection so that the last answer arrives. If we closed the socket while bytes of the
// client's are unread or under way, the system would answer those with a reset, and a reset makes
// the client's system drop what the client has not read. So we end our side only, and drop what
// still comes until the client ends its side too, or has had time enough.
void close_gently(connection& client) {
    flush(client);
    client.peer.shutdown_write();
    const heddle::deadline until(client.home.with.linger_max);
    char dropped[1024];
    while (client.peer.read(dropped, until) > 0) {
    }
}

// Receiving.

// Reads what comes, at least one byte, and returns how many; 0 at the end of the stream.
std::size_t receive_more(connection& client, heddle::deadline until) {
    beast::flat_buffer& in = client.unparsed;
    const auto room = in.prepare(in.max_size() - in.size());
    const std::size_t count =
        client.peer.read(std::span(static_cast<std::byte*>(room.data()), room.size()), until);
    in.commit(count);
    return count;
}

// Whether what came is the beginning of a request. Drops empty lines; too many are left for the
// parser to refuse.
bool has_begun(connection& client) {
    const auto bytes = client.unparsed.data();
    std::string_view text(static_cast<const char*>(bytes.data()), bytes.size());
    for (; text.starts_with("\r\n") && client.empty_lines < empty_lines_max;
         text.remove_prefix(2)) {
        ++client.empty_lines;
    }
    client.unparsed.consume(bytes.size() - text.size());
    return !text.empty() && text != "\r";
}

// Waits for a request to begin; false when there will be none.
bool await_request(connection& client) {
    client.empty_lines = 0;
    for (;;) {
        const bool begun = has_begun(client);
        if (begun && client.unsent.size() < unsent_bytes_max) {
            return true;  // it came along with the one before, and their answers may go together
        }
        flush(client);
        if (begun) {
            return true;
        }
        if (client.home.ending) {
            return false;
        }
        client.idle = true;
        const std::size_t count = receive_more(client, client.home.with.idle_max);
        client.idle = false;
        if (count == 0) {
            return false;
        }
    }
}

// In the middle of a request, silence and the end of the stream are the client's fault.
void receive_rest(connection& client, heddle::deadline until) {
    flush(client);  // it may be waiting for what we have to say
    try {
        if (receive_more(client, until) > 0) {
            return;
        }
    } catch (const std::system_error& error) {
        if (error.code() != std::errc::timed_out) {
            throw;
        }
        throw refusal{http::status::request_timeout};
    }
    throw refusal{http::status::bad_request};
}

// What the client did wrong, if the parser does not go on.
http::status status_of(const beast::error_code& error, const request_parser& parser) {
    if (error == http::error::body_limit) {
        return http::status::payload_too_large;
    }
    if (error == http::error::header_limit) {
        return parser.get().target().empty() ? http::status::uri_too_long
                                             : http::status::request_header_fields_too_large;
    }
    return http::status::bad_request;
}

// Hands the parser what has come, and returns how much of it was used up. More is needed where
// `error` says so.
std::size_t parse(connection& client, request_parser& parser, beast::error_code& error) {
    const std::size_t used = parser.put(client.unparsed.data(), error);
    client.unparsed.consume(used);
    if (error && error != http::error::need_more) {
        throw refusal{status_of(error, parser)};
    }
    return used;
}

void read_head(connection& client, request_parser& parser) {
    const heddle::deadline until(client.home.with.header_max);
    const std::size_t bytes_max = client.home.with.header_bytes_max;
    // The parser limits what it is given at a time, so it would take any number of short lines
    // that come one by one: the sum is ours to limit.
    std::size_t bytes = 0;
    for (;;) {
        beast::error_code error;
        bytes += parse(client, parser, error);
        if (parser.is_header_done()) {
            return;
        }
        if (bytes + client.unparsed.size() >= bytes_max) {
            throw refusal{status_of(http::error::header_limit, parser)};
        }
        receive_rest(client, until);
    }
}

void read_body(connection& client, request_parser& parser) {
    const heddle::deadline until(client.home.with.body_max);
    // The shortest end that a chunked body can have. Beast 1.81 insists (by an assertion) that it
    // is not shown less of it, which costs nothing: as long as the body is not complete, there is
    // more to come.
    const std::size_t bytes_min = parser.chunked() ? std::string_view("0\r\n\r\n").size() : 1;
    while (!parser.is_done()) {
        beast::error_code error = http::error::need_more;
        if (client.unparsed.size() >= bytes_min) {
            parse(client, parser, error);
        }
        if (error != http::error::need_more) {
            continue;
        }
        // Only the line that begins a chunk, and the fields after the last, must come whole.
        if (client.unparsed.size() == client.unparsed.max_size()) {
            throw refusal{http::status::bad_request};
        }
        receive_rest(client, until);
    }
}

// What the grammar allows and a server may not let pass.
void check(const request& asked, const request_parser& parser) {
    const std::size_t hosts = asked.count(http::field::host);
    if (hosts > 1 || (hosts == 0 && asked.version() >= 11)) {
        throw refusal{http::status::bad_request};
    }
    // If we and a proxy before us disagreed on where a body ends, what the proxy takes for the
    // body could be a request of somebody else's for us. So a coding that we do not know is no
    // body "until we know better", but refused, like a length beside a coding. (RFC 9112, 6.1)
    const auto coding = asked.find(http::field::transfer_encoding);
    if (coding != asked.end()) {
        if (asked.version() < 11 || asked.count(http::field::content_length) > 0) {
            throw refusal{http::status::bad_request};
        }
        if (!parser.chunked() || !beast::iequals(coding->value(), "chunked")) {
            throw refusal{http::status::not_implemented};
        }
    }
    const auto expected = asked.find(http::field::expect);
    if (expected != asked.end() && !beast::iequals(expected->value(), "100-continue")) {
        throw refusal{http::status::expectation_failed};
    }
}

// A client that wants to hear that its body is welcome hears it, unless it has sent some already.
void invite_body(connection& client, const request& asked, const request_parser& parser) {
    if (!parser.is_done() && asked.version() >= 11 && asked.count(http::field::expect) > 0 &&
        client.unparsed.size() == 0) {
        client.unsent += "HTTP/1.1 100 Continue\r\n\r\n";
    }
}

// What there is to ask for.

void answer_page(connection& client, const request&) {
    append_answer(client, http::status::ok, "Content-Type: text/html\r\n",
                  "<!doctype html>\n<title>heddle</title>\n<p>Every thread has its turn.\n");
}

// Each piece goes out when it is ready, before anybody knows how many there will be.
void answer_chunked(connection& client, const request&) {
    const bool chunked = client.understands_chunks;
    client.keep_alive = client.keep_alive && chunked;  // else only the end says where the end is
    append_head(client, http::status::ok,
                chunked ? "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"
                        : "Content-Type: text/plain\r\n");
    if (client.without_body) {
        return;
    }
    for (int number = 1; number <= 10; ++number) {
        const std::string piece = "piece " + std::to_string(number) + '\n';
        char size[16];
        std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
        client.unsent += chunked ? size + piece + "\r\n" : piece;
        flush(client);
    }
    client.unsent += chunked ? "0\r\n\r\n" : "";
}

void answer_echo(connection& client, const request& asked) {
    append_answer(client, http::status::ok, "Content-Type: application/octet-stream\r\n",
                  asked.body());
}

struct resource {
    std::string_view path;
    http::verb method;  // `get` includes HEAD, for which the body is left out
    void (*answer)(connection&, const request&);
};

constexpr resource resources[] = {
    {"/", http::verb::get, answer_page},
    {"/chunked", http::verb::get, answer_chunked},
    {"/echo", http::verb::post, answer_echo},
};

// The path of "/path?query" and of "http://host/path".
std::string_view path_of(std::string_view target) {
    if (target.starts_with("http://")) {
        target.remove_prefix(std::min(target.find('/', 7), target.size()));
    }
    return target.substr(0, target.find('?'));
}

const resource* find_resource(const request& asked) {
    const auto target = asked.target();
    const std::string_view path = path_of({target.data(), target.size()});
    for (const resource& one : resources) {
        if (one.path == path) {
            return &one;
        }
    }
    return nullptr;
}

bool allows(const resource& found, http::verb method) {
    return found.method == (method == http::verb::head ? http::verb::get : method);
}

// The life of a connection.

void serve_request(connection& client) {
    request_parser parser;
    parser.header_limit(static_cast<std::uint32_t>(client.home.with.header_bytes_max));
    parser.body_limit(client.home.with.body_bytes_max);
    read_head(client, parser);
    const request& asked = parser.get();
    client.keep_alive = parser.keep_alive();
    client.without_body = asked.method() == http::verb::head;
    client.understands_chunks = asked.version() >= 11;
    check(asked, parser);

    const resource* const found = find_resource(asked);
    if (found != nullptr && allows(*found, asked.method())) {
        invite_body(client, asked, parser);
        read_body(client, parser);
        found->answer(client, asked);
        return;
    }
    // A body that nobody wants is not read, and then nothing can be read after it.
    client.keep_alive = client.keep_alive && parser.is_done();
    if (found == nullptr) {
        append_error(client, http::status::not_found);
    } else {
        append_error(client, http::status::method_not_allowed,
                     found->method == http::verb::get ? "Allow: GET, HEAD\r\n" : "Allow: POST\r\n");
    }
}

void serve_requests(connection& client) {
    try {
        if (client.one_too_many) {
            throw refusal{http::status::service_unavailable};
        }
        do {
            if (!await_request(client)) {
                return;
            }
            serve_request(client);
        } while (client.keep_alive);
    } catch (const refusal& refused) {
        client.keep_alive = false;
        append_error(client, refused.status);
    }
}

void serve(const std::unique_ptr<connection>& client) {
    try {
        client->peer.set_no_delay(true);  // answers are written in one piece and should go at once
        serve_requests(*client);
        close_gently(*client);
    } catch (const std::system_error&) {
        // The client vanished, or did not take what we sent, or was idle for too long. There is
        // nobody to tell.
    }
}

// The life of the server.

// A connection above the limit is accepted as well, told so, and closed: its client learns at once
// that it may try elsewhere, where in the system's queue it would wait without knowing for what.
void accept_all(server& home) {
    bool failing = false;
    for (;;) {
        try {
            auto client = std::make_unique<connection>(home, home.listener.accept());
            heddle::spawn_detached(serve, std::move(client));
            failing = false;
        } catch (const std::exception& error) {
            // Out of descriptors or memory, as a rule: connections that end give some back. Those
            // that wait to be accepted go on waiting. (heddle::cancelled, by which this fiber
            // ends, is no std::exception.)
            if (!std::exchange(failing, true)) {
                std::fprintf(stderr, "http_server: accept: %s\n", error.what());
            }
            heddle::this_fiber::sleep_for(20ms);
        }
    }
}

// Ends what is idle, and gives the rest some time. What is left after that is cancelled when run()
// ends.
void end_gracefully(server& home) {
    home.ending = true;
    home.listener.close();
    for (connection* const client : home.open) {
        if (client->idle) {
            client->peer.close();  // its fiber's wait ends by an error, and so does the fiber
        }
    }
    if (!home.open.empty()) {
        home.grace_sleep =
            heddle::spawn([&] { heddle::this_fiber::sleep_for(home.with.grace_max); });
        std::error_code ignored;
        home.grace_sleep.join(ignored);
    }
}

// A connection for which there is no memory or no stack: it is closed, and the others go on.
void report_exception(heddle::fiber_id, std::exception_ptr thrown) {
    try {
        std::rethrow_exception(std::move(thrown));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "http_server: a connection ended: %s\n", error.what());
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        // It outlives run(), and so every fiber that uses it.
        server home(parse_arguments(std::span(argv, static_cast<std::size_t>(argc)).subspan(1)));
        heddle::run(
            [&] {
                heddle::signal_set signals{SIGINT, SIGTERM};
                std::printf("listening on %s\n", home.listener.local_address().to_string().c_str());
                std::fflush(stdout);
                {
                    const heddle::fiber acceptor{accept_all, std::ref(home)};
                    signals.wait();
                }  // The acceptor's handle stops it here.
                end_gracefully(home);
            },
            {.on_detached_exception = report_exception});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "http_server: %s\n", error.what());
        return 1;
    }
}
