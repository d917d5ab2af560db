// The sockaddr inside a heddle::address.
#pragma once

#include <heddle/address.hpp>

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace heddle::detail {

/// The door from the rest of io/ to the private parts of an address.
struct address_access {
    static const sockaddr* get(const address& from) noexcept;
    static socklen_t size(const address& from) noexcept { return from.size_; }
    static sa_family_t family(const address& from) noexcept;

    /// The address that the system reports in `size` bytes; no address where it is of a family
    /// that heddle does not know. What does not tell addresses apart (flow labels, padding) is
    /// left out.
    static address make(const sockaddr_storage& from, socklen_t size) noexcept;

    /// As the public function of the same purpose. Null, or what is wrong with the text.
    static const char* parse(std::string_view text, address& into) noexcept;
    static const char* parse_host(std::string_view host, std::uint16_t port,
                                  address& into) noexcept;

private:
    template <class Sockaddr>
    static void set(address& into, const Sockaddr& from, std::size_t size) noexcept;
    static const char* parse_ipv6(std::string_view host, std::uint16_t port,
                                  address& into) noexcept;
    static const char* parse_unix(std::string_view path, address& into) noexcept;
};

/// The text as messages show it: a NUL would end them, and other control characters would do what
/// they like in a log.
std::string printable(std::string_view text);

}  // namespace heddle::detail
