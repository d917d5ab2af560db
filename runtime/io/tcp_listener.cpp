#include "runtime/base/system.hpp"
#include "runtime/core/worker.hpp"
#include "runtime/io/address.hpp"
#include "runtime/io/socket.hpp"

#include <netinet/in.h>

#include <cerrno>

namespace heddle {

namespace detail {
namespace {

// What accept(2) on Linux says of a connection that ended before it was accepted. The listener is
// as good as before.
constexpr bool peer_gave_up(io_result result) noexcept {
    switch (result) {
    case -ECONNABORTED:
    case -EPROTO:
    case -ENOPROTOOPT:
    case -ENETDOWN:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -EHOSTUNREACH:
    case -ENONET:
        return true;
    default:
        return false;
    }
}

int listen(const address& at, const listen_options& with, owned_socket& into) noexcept {
    owned_socket socket;
    if (const int error = make_tcp_socket(at, socket); error < 0) {
        return error;
    }
    const int fd = socket.ref().fd;
    const auto set = [fd](int level, int name, bool on) {
        return sys::setsockopt(fd, level, name, on ? 1 : 0);
    };
    int error = set(SOL_SOCKET, SO_REUSEADDR, with.reuse_address);
    if (error == 0 && with.reuse_port) {
        error = set(SOL_SOCKET, SO_REUSEPORT, true);
    }
    if (error == 0 && address_access::family(at) == AF_INET6) {
        error = set(IPPROTO_IPV6, IPV6_V6ONLY, with.ipv6_only);
    }
    if (error == 0) {
        error = sys::bind(fd, address_access::get(at), address_access::size(at));
    }
    if (error == 0) {
        error = sys::listen(fd, with.backlog);
    }
    if (error == 0) {
        into = std::move(socket);
    }
    return error;
}

}  // namespace

io_result accept(socket_ref listener, std::int64_t deadline_ns) noexcept {
    operation what;
    what.kind = operation_kind::accept;
    what.handle = to_handle(listener);
    for (;;) {
        const io_result result = carry_out(what, deadline_ns);
        if (!peer_gave_up(result)) [[likely]] {
            return result;
        }
        // However many have given up, the deadline holds. (A try that is due anyway is made.)
        if (deadline_ns != never_ns && deadline_ns <= clock_now()) {
            return given_up - static_cast<io_result>(wait_status::timed_out);
        }
    }
}

void throw_listener_error(io_result failure, const char* call, socket_ref listener) {
    throw_io_error(failure, call, name_socket(failure, listener, "listener", sys::getsockname));
}

}  // namespace detail

inline namespace v1 {

tcp_listener::tcp_listener(const address& at, listen_options with) {
    const int result = detail::listen(at, with, socket_);
    if (result < 0) {
        detail::throw_io_error(result, "listen on", at.to_string());
    }
}

tcp_listener::tcp_listener(const address& at, listen_options with, std::error_code& ec) noexcept {
    detail::report_result(detail::listen(at, with, socket_), ec);
}

address tcp_listener::local_address(std::error_code& ec) const noexcept {
    return detail::ask_address(detail::sys::getsockname, socket_.ref(), ec);
}

address tcp_listener::local_address() const {
    std::error_code ec;
    const address result = local_address(ec);
    if (ec) {
        detail::throw_listener_error(-ec.value(), "ask for the local address of", socket_.ref());
    }
    return result;
}

}  // namespace v1
}  // namespace heddle
