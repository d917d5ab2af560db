#include "runtime/io/socket.hpp"

#include "runtime/base/system.hpp"
#include "runtime/core/descriptor_wait.hpp"
#include "runtime/io/address.hpp"

#include <cerrno>

namespace heddle::detail {

owned_socket::owned_socket(int fd) noexcept : ref_{fd, next_descriptor_id()} {}

owned_socket::~owned_socket() {
    close();
}

void owned_socket::close() noexcept {
    if (ref_.fd >= 0) {
        close_descriptor(to_handle(std::exchange(ref_, {})));
    }
}

int make_tcp_socket(const address& like, owned_socket& into) noexcept {
    const int family = address_access::family(like);
    if (family != AF_INET && family != AF_INET6) {
        return -EAFNOSUPPORT;
    }
    const int fd = sys::socket(family, SOCK_STREAM);
    if (fd < 0) {
        return fd;
    }
    into = owned_socket(fd);
    return 0;
}

void report_result(int result, std::error_code& ec) noexcept {
    ec.assign(result < 0 ? -result : 0, std::system_category());
}

address ask_address(address_query query, socket_ref socket, std::error_code& ec) noexcept {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const int result = query(socket.fd, reinterpret_cast<sockaddr*>(&storage), &size);
    report_result(result, ec);
    return result < 0 ? address() : address_access::make(storage, size);
}

std::string name_socket(io_result failure, socket_ref socket, const char* kind,
                        address_query query) {
    if (is_cancelled(failure)) {
        return {};  // heddle::cancelled says nothing
    }
    if (socket.fd < 0) {
        return std::string("a closed ") + kind;
    }
    // A number that was closed meanwhile may be another socket's by now.
    if (failure == -ECANCELED || failure == -EBADF) {
        return std::string("a ") + kind + " that was closed meanwhile";
    }
    std::error_code ec;
    const address known = ask_address(query, socket, ec);
    return ec ? "descriptor " + std::to_string(socket.fd) : known.to_string();
}

}  // namespace heddle::detail
