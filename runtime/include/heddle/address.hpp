// Where a peer can be reached: an IP address and a port, or the name of a Unix socket.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {
struct address_access;
}  // namespace detail

inline namespace v1 {

/// An address of a socket: IPv4, IPv6 or Unix. A value; making one asks no name server.
///
/// Two addresses are equal if they are of one kind and name the same place. An IPv4 address and
/// the IPv6 address that stands for it (`::ffff:127.0.0.1`) are of two kinds.
class address {
public:
    /// No address. It has port 0, and equals only its like.
    address() noexcept = default;

    /// An IP address, IPv4 (`127.0.0.1`) or IPv6 (`::1`, and `fe80::1%eth0` with the name or the
    /// number of an interface as its scope), and a port. Port 0 lets the system choose when one
    /// listens.
    ///
    /// Errors: throws std::invalid_argument, naming the text and what is wrong with it. The form
    /// with `ec` reports std::errc::invalid_argument and makes no address.
    HEDDLE_THROWS address(std::string_view host, std::uint16_t port);
    address(std::string_view host, std::uint16_t port, std::error_code& ec) noexcept;

    /// Reads an address from one of
    /// - `127.0.0.1:80`
    /// - `[::1]:80`, `[fe80::1%eth0]:80`
    /// - `unix:/path`, at most 107 bytes of path
    /// - `unix:@name`, an abstract name (Linux), at most 107 bytes of name
    ///
    /// Errors: throws std::invalid_argument, naming the text and what is wrong with it. The form
    /// with `ec` reports std::errc::invalid_argument and returns no address.
    HEDDLE_THROWS static address parse(std::string_view text);
    static address parse(std::string_view text, std::error_code& ec) noexcept;

    /// The port; 0 where there is none.
    std::uint16_t port() const noexcept;

    /// The text that parse() reads as this address. A scope is written as the number of its
    /// interface. No address is `(none)`.
    std::string to_string() const;

    friend bool operator==(const address& a, const address& b) noexcept;

private:
    friend struct detail::address_access;

    // A sockaddr of the system, the unused bytes zero. The longest, that of a Unix socket, is a
    // family of two bytes and 108 bytes of path.
    static constexpr std::size_t bytes_max = 112;
    alignas(4) std::array<std::byte, bytes_max> bytes_ = {};
    std::uint32_t size_ = 0;  ///< bytes in use; 0 for no address
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
