// What the kinds of sockets have in common.
#pragma once

#include "runtime/io/outcome.hpp"

#include <heddle/address.hpp>
#include <heddle/socket.hpp>

#include <sys/socket.h>

#include <string>

namespace heddle::detail {

inline descriptor_handle to_handle(socket_ref socket) noexcept {
    return {.fd = socket.fd, .id = socket.id};
}

/// Makes a TCP socket for addresses like `like`. 0, or a negative error number:
/// -EAFNOSUPPORT where that is no IP address.
int make_tcp_socket(const address& like, owned_socket& into) noexcept;

/// getsockname or getpeername of the door.
using address_query = int (*)(int fd, sockaddr* into, socklen_t* size) noexcept;
address ask_address(address_query query, socket_ref socket, std::error_code& ec) noexcept;

/// Sets `ec` to 0 or to the negative error number in `result`.
void report_result(int result, std::error_code& ec) noexcept;

/// Names a socket in an error, as "a closed listener", by its address, or by its number where it
/// has none any more. `kind` is "stream" or "listener".
std::string name_socket(io_result failure, socket_ref socket, const char* kind,
                        address_query query);

}  // namespace heddle::detail
