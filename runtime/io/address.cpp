#include "runtime/io/address.hpp"

#include "runtime/base/system.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace heddle {

namespace detail {
namespace {

// The longest text of an IPv6 address, from inet_ntop(3), without a scope.
constexpr std::size_t host_chars_max = INET6_ADDRSTRLEN - 1;

constexpr std::size_t unix_header = offsetof(sockaddr_un, sun_path);
constexpr std::size_t unix_name_max = sizeof(sockaddr_un::sun_path) - 1;

constexpr const char* not_a_host =
    "the host is neither an IPv4 nor an IPv6 address, and names are not looked up here";
constexpr const char* not_a_port = "the port is not a number from 0 to 65535";

template <class Number>
bool read_number(std::string_view text, Number& into) noexcept {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, into);
    return error == std::errc() && stop == end;
}

template <std::size_t Capacity>
bool copy_terminated(std::string_view text, char (&into)[Capacity]) noexcept {
    if (text.size() >= Capacity || text.find('\0') != text.npos) {
        return false;
    }
    *std::copy(text.begin(), text.end(), into) = '\0';
    return true;
}

template <class Binary>
bool read_host(int family, std::string_view text, Binary& into) noexcept {
    char terminated[host_chars_max + 1];
    return copy_terminated(text, terminated) && inet_pton(family, terminated, &into) == 1;
}

template <class Binary>
std::string write_host(int family, const Binary& host) {
    char text[host_chars_max + 1];
    return inet_ntop(family, &host, text, sizeof text);
}

// The number of an interface: what a scope is to the system. Null, or what is wrong.
const char* read_scope(std::string_view text, std::uint32_t& into) noexcept {
    if (text.empty()) {
        return "the scope behind % is empty";
    }
    if (text.find_first_not_of("0123456789") == text.npos) {
        return read_number(text, into) ? nullptr : "the number of its scope is too large";
    }
    char name[IF_NAMESIZE];
    const int index = copy_terminated(text, name) ? sys::if_nametoindex(name) : -ENODEV;
    if (index > 0) {
        into = static_cast<std::uint32_t>(index);
        return nullptr;
    }
    switch (index) {
    case -EMFILE:
        return "its scope cannot be looked up: too many open files (RLIMIT_NOFILE, ulimit -n)";
    case -ENFILE:
        return "its scope cannot be looked up: too many open files in the system (fs.file-max)";
    case -ENOMEM:
    case -ENOBUFS:
        return "its scope cannot be looked up: no memory";
    case -ENODEV:
        return "no interface here has the name of its scope";
    default:
        return "its scope cannot be looked up: the system refuses";
    }
}

template <class Sockaddr>
Sockaddr view(const address& from) noexcept {
    Sockaddr copy{};
    std::memcpy(&copy, address_access::get(from),
                std::min<std::size_t>(sizeof copy, address_access::size(from)));
    return copy;
}

}  // namespace

std::string printable(std::string_view text) {
    constexpr char digits[] = "0123456789abcdef";
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f) {
            result += c;
        } else {
            result += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return result;
}

const sockaddr* address_access::get(const address& from) noexcept {
    return reinterpret_cast<const sockaddr*>(from.bytes_.data());
}

sa_family_t address_access::family(const address& from) noexcept {
    return view<sockaddr>(from).sa_family;
}

template <class Sockaddr>
void address_access::set(address& into, const Sockaddr& from, std::size_t size) noexcept {
    static_assert(sizeof(Sockaddr) <= address::bytes_max && alignof(Sockaddr) <= 4);
    into.bytes_ = {};
    std::memcpy(into.bytes_.data(), &from, size);
    into.size_ = static_cast<std::uint32_t>(size);
}

address address_access::make(const sockaddr_storage& from, socklen_t size) noexcept {
    address result;
    if (from.ss_family == AF_INET && size >= sizeof(sockaddr_in)) {
        sockaddr_in whole{};
        std::memcpy(&whole, &from, sizeof whole);
        sockaddr_in ipv4{};
        ipv4.sin_family = AF_INET;
        ipv4.sin_port = whole.sin_port;
        ipv4.sin_addr = whole.sin_addr;
        set(result, ipv4, sizeof ipv4);
    } else if (from.ss_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
        sockaddr_in6 ipv6{};
        std::memcpy(&ipv6, &from, sizeof ipv6);
        ipv6.sin6_flowinfo = 0;
        set(result, ipv6, sizeof ipv6);
    } else if (from.ss_family == AF_UNIX && size > unix_header && size <= sizeof(sockaddr_un)) {
        sockaddr_un local{};
        std::memcpy(&local, &from, size);
        // A path counts up to its end, wherever the system says that it is.
        const bool is_path = local.sun_path[0] != '\0';
        const std::size_t name =
            is_path ? strnlen(local.sun_path, unix_name_max) + 1 : size - unix_header;
        set(result, local, unix_header + name);
    }
    return result;
}

const char* address_access::parse_unix(std::string_view name, address& into) noexcept {
    const bool is_abstract = name.starts_with('@');
    if (name.size() == (is_abstract ? 1 : 0)) {
        return "the name of the Unix socket is empty";
    }
    if (name.size() > unix_name_max + (is_abstract ? 1 : 0)) {
        return "the name of the Unix socket is longer than 107 bytes";
    }
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    std::copy(name.begin(), name.end(), local.sun_path);
    if (is_abstract) {
        local.sun_path[0] = '\0';
    }
    set(into, local, unix_header + name.size() + (is_abstract ? 0 : 1));
    return nullptr;
}

const char* address_access::parse_ipv6(std::string_view host, std::uint16_t port,
                                       address& into) noexcept {
    sockaddr_in6 ipv6{};
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(port);
    const std::size_t percent = host.find('%');
    if (!read_host(AF_INET6, host.substr(0, percent), ipv6.sin6_addr)) {
        return "the host is not an IPv6 address";
    }
    if (percent != host.npos) {
        if (const char* wrong = read_scope(host.substr(percent + 1), ipv6.sin6_scope_id)) {
            return wrong;
        }
    }
    set(into, ipv6, sizeof ipv6);
    return nullptr;
}

const char* address_access::parse_host(std::string_view host, std::uint16_t port,
                                       address& into) noexcept {
    if (host.find(':') != host.npos) {
        return parse_ipv6(host, port, into);
    }
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    if (!read_host(AF_INET, host, ipv4.sin_addr)) {
        return host.empty() ? "the host is empty" : not_a_host;
    }
    set(into, ipv4, sizeof ipv4);
    return nullptr;
}

const char* address_access::parse(std::string_view text, address& into) noexcept {
    constexpr std::string_view unix_prefix = "unix:";
    if (text.find('\0') != text.npos) {
        return "it contains a NUL";
    }
    if (text.starts_with(unix_prefix)) {
        return parse_unix(text.substr(unix_prefix.size()), into);
    }
    const std::size_t colon = text.rfind(':');
    const bool in_brackets = text.starts_with('[');
    if (in_brackets && text.find(']') == text.npos) {
        return "the bracket is not closed";
    }
    if (colon == text.npos || (in_brackets && text.ends_with(']'))) {
        return "the port is missing, as in 127.0.0.1:80";
    }
    std::string_view host = text.substr(0, colon);
    std::uint16_t port = 0;
    if (in_brackets && !host.ends_with(']')) {
        return "only a colon and the port follow the bracket, as in [::1]:80";
    }
    if (!in_brackets && host.find(':') != host.npos) {
        return "an IPv6 address stands in brackets, as in [::1]:80";
    }
    if (!read_number(text.substr(colon + 1), port)) {
        return not_a_port;
    }
    if (in_brackets) {
        return parse_ipv6(host.substr(1, host.size() - 2), port, into);
    }
    return parse_host(host, port, into);
}

}  // namespace detail

inline namespace v1 {

using detail::address_access;

namespace {

void report(const char* wrong, std::error_code& ec) noexcept {
    ec = wrong != nullptr ? make_error_code(std::errc::invalid_argument) : std::error_code();
}

[[noreturn]] void throw_malformed(std::string_view text, const char* kind, const char* wrong) {
    throw std::invalid_argument("heddle: \"" + detail::printable(text) + "\" is not " + kind +
                                ": " + wrong);
}

}  // namespace

address::address(std::string_view host, std::uint16_t port) {
    if (const char* wrong = address_access::parse_host(host, port, *this)) {
        throw_malformed(host, "an IP address", wrong);
    }
}

address::address(std::string_view host, std::uint16_t port, std::error_code& ec) noexcept {
    report(address_access::parse_host(host, port, *this), ec);
}

address address::parse(std::string_view text) {
    address result;
    if (const char* wrong = address_access::parse(text, result)) {
        throw_malformed(text, "an address", wrong);
    }
    return result;
}

address address::parse(std::string_view text, std::error_code& ec) noexcept {
    address result;
    report(address_access::parse(text, result), ec);
    return result;
}

std::uint16_t address::port() const noexcept {
    switch (address_access::family(*this)) {
    case AF_INET:
        return ntohs(detail::view<sockaddr_in>(*this).sin_port);
    case AF_INET6:
        return ntohs(detail::view<sockaddr_in6>(*this).sin6_port);
    default:
        return 0;
    }
}

std::string address::to_string() const {
    switch (address_access::family(*this)) {
    case AF_INET: {
        const auto ipv4 = detail::view<sockaddr_in>(*this);
        return detail::write_host(AF_INET, ipv4.sin_addr) + ':' + std::to_string(port());
    }
    case AF_INET6: {
        const auto ipv6 = detail::view<sockaddr_in6>(*this);
        std::string host = detail::write_host(AF_INET6, ipv6.sin6_addr);
        if (ipv6.sin6_scope_id != 0) {
            host += '%' + std::to_string(ipv6.sin6_scope_id);
        }
        return '[' + host + "]:" + std::to_string(port());
    }
    case AF_UNIX: {
        const auto local = detail::view<sockaddr_un>(*this);
        const std::size_t size = size_ - detail::unix_header;
        if (local.sun_path[0] == '\0') {
            return "unix:@" + std::string(local.sun_path + 1, size - 1);
        }
        return "unix:" + std::string(local.sun_path, size - 1);
    }
    default:
        return "(none)";
    }
}

bool operator==(const address& a, const address& b) noexcept {
    // Unused bytes are zero in both, so that all may be compared.
    return a.size_ == b.size_ && a.bytes_ == b.bytes_;
}

}  // namespace v1
}  // namespace heddle
