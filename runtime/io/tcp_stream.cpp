#include "runtime/base/system.hpp"
#include "runtime/io/address.hpp"
#include "runtime/io/socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>

namespace heddle {

namespace detail {
namespace {

// True of TCP streams alone, and what spares them a last read that says EAGAIN.
constexpr descriptor_traits stream_traits = {.short_receive_drains = true};

void prepare_stream_transfer(operation& what, operation_kind kind, socket_ref stream,
                             const void* buffer, std::size_t length) noexcept {
    prepare_transfer(what, kind, to_handle(stream), buffer, length);
    what.traits = stream_traits;
}

io_result connect(const address& to, std::int64_t deadline_ns, owned_socket& into) noexcept {
    owned_socket socket;
    if (const int error = make_tcp_socket(to, socket); error < 0) {
        return error;
    }
    operation what;
    what.kind = operation_kind::connect;
    what.handle = to_handle(socket.ref());
    what.traits = stream_traits;
    what.address = address_access::get(to);
    what.length = address_access::size(to);
    const io_result result = carry_out(what, deadline_ns);
    if (result >= 0) {
        into = std::move(socket);
    }
    return result;
}

// The host that every system has; others need to be looked up.
io_result connect_by_name(std::string_view name, std::uint16_t port, std::int64_t deadline_ns,
                          owned_socket& into) noexcept {
    if (name != "localhost") {
        return -ENOTSUP;
    }
    std::error_code ec;
    const io_result first = connect(address("127.0.0.1", port, ec), deadline_ns, into);
    if (first >= 0 || !is_system_error(first)) {
        return first;
    }
    const io_result second = connect(address("::1", port, ec), deadline_ns, into);
    return second < 0 && is_system_error(second) ? first : second;
}

}  // namespace

io_result receive(socket_ref stream, mutable_buffer into, std::int64_t deadline_ns) noexcept {
    if (into.empty()) {
        return 0;
    }
    operation what;
    prepare_stream_transfer(what, operation_kind::receive, stream, into.data(), into.size());
    return carry_out(what, deadline_ns);
}

io_result receive_exactly(socket_ref stream, mutable_buffer into,
                          std::int64_t deadline_ns) noexcept {
    if (into.empty()) {
        return 0;
    }
    operation what;
    prepare_stream_transfer(what, operation_kind::receive, stream, into.data(), into.size());
    return carry_out_whole(what, deadline_ns);
}

io_result send(socket_ref stream, const_buffer from, std::int64_t deadline_ns) noexcept {
    if (from.empty()) {
        return 0;
    }
    operation what;
    prepare_stream_transfer(what, operation_kind::send, stream, from.data(), from.size());
    return carry_out(what, deadline_ns);
}

io_result send_all(socket_ref stream, const_buffer from, std::int64_t deadline_ns) noexcept {
    if (from.empty()) {
        return 0;
    }
    operation what;
    prepare_stream_transfer(what, operation_kind::send, stream, from.data(), from.size());
    return carry_out_whole(what, deadline_ns);
}

void throw_stream_error(io_result failure, const char* call, socket_ref stream) {
    throw_io_error(failure, call, name_socket(failure, stream, "stream", sys::getpeername));
}

}  // namespace detail

inline namespace v1 {

using detail::io_result;
using detail::socket_ref;

namespace {

void throw_if(const std::error_code& ec, const char* call, socket_ref stream) {
    if (ec) {
        detail::throw_stream_error(-ec.value(), call, stream);
    }
}

}  // namespace

tcp_stream tcp_stream::connect(const address& to, deadline until) {
    tcp_stream stream;
    const io_result result = detail::connect(to, until.nanoseconds(), stream.socket_);
    if (result < 0) {
        detail::throw_io_error(result, "connect to", to.to_string());
    }
    return stream;
}

tcp_stream tcp_stream::connect(const address& to, deadline until, std::error_code& ec) noexcept {
    tcp_stream stream;
    detail::checked(detail::connect(to, until.nanoseconds(), stream.socket_), ec);
    return stream;
}

tcp_stream tcp_stream::connect(std::string_view host, std::uint16_t port, deadline until) {
    std::error_code ec;
    const address literal(host, port, ec);
    if (!ec) {
        return connect(literal, until);
    }
    tcp_stream stream;
    const io_result result =
        detail::connect_by_name(host, port, until.nanoseconds(), stream.socket_);
    if (result < 0) {
        std::string object = detail::printable(host) + ':' + std::to_string(port);
        if (result == -ENOTSUP) {
            object += " (no IP address, and this version looks up no names but localhost)";
        }
        detail::throw_io_error(result, "connect to", object);
    }
    return stream;
}

tcp_stream tcp_stream::connect(std::string_view host, std::uint16_t port, deadline until,
                               std::error_code& ec) noexcept {
    const address literal(host, port, ec);
    if (!ec) {
        return connect(literal, until, ec);
    }
    tcp_stream stream;
    detail::checked(detail::connect_by_name(host, port, until.nanoseconds(), stream.socket_), ec);
    return stream;
}

void tcp_stream::shutdown_write(std::error_code& ec) noexcept {
    detail::report_result(detail::sys::shutdown(socket_.ref().fd, SHUT_WR), ec);
}

void tcp_stream::shutdown_write() {
    std::error_code ec;
    shutdown_write(ec);
    throw_if(ec, "shut down writing to", socket_.ref());
}

address tcp_stream::local_address(std::error_code& ec) const noexcept {
    return detail::ask_address(detail::sys::getsockname, socket_.ref(), ec);
}

address tcp_stream::local_address() const {
    std::error_code ec;
    const address result = local_address(ec);
    throw_if(ec, "ask for the local address of", socket_.ref());
    return result;
}

address tcp_stream::remote_address(std::error_code& ec) const noexcept {
    return detail::ask_address(detail::sys::getpeername, socket_.ref(), ec);
}

address tcp_stream::remote_address() const {
    std::error_code ec;
    const address result = remote_address(ec);
    throw_if(ec, "ask for the remote address of", socket_.ref());
    return result;
}

void tcp_stream::set_no_delay(bool on, std::error_code& ec) noexcept {
    detail::report_result(
        detail::sys::setsockopt(socket_.ref().fd, IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0), ec);
}

void tcp_stream::set_no_delay(bool on) {
    std::error_code ec;
    set_no_delay(on, ec);
    throw_if(ec, "set TCP_NODELAY of", socket_.ref());
}

}  // namespace v1
}  // namespace heddle
