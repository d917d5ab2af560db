// Addresses: what parse() reads, what to_string() writes, and how each malformed text is refused.
#include "runtime/io/address.hpp"

#include <heddle/address.hpp>

#include <doctest/doctest.h>

#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <ostream>
#include <stdexcept>
#include <string>

using heddle::address;
using heddle::detail::address_access;

namespace {

// What is wrong with a text, as parse() says it; both of its forms agree on that.
std::string complaint_about(std::string_view text) {
    std::error_code ec;
    const address silent = address::parse(text, ec);
    CHECK(ec == std::errc::invalid_argument);
    CHECK(silent == address());
    try {
        address::parse(text);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "none";
}

std::string round_trip(std::string_view text) {
    const address parsed = address::parse(text);
    const std::string written = parsed.to_string();
    CHECK(address::parse(written) == parsed);
    std::error_code ec = std::make_error_code(std::errc::io_error);
    CHECK(address::parse(text, ec) == parsed);
    CHECK_FALSE(ec);
    return written;
}

}  // namespace

TEST_CASE("what parse() reads, to_string() writes") {
    CHECK(round_trip("127.0.0.1:80") == "127.0.0.1:80");
    CHECK(round_trip("0.0.0.0:0") == "0.0.0.0:0");
    CHECK(round_trip("255.255.255.255:65535") == "255.255.255.255:65535");
    CHECK(round_trip("[::1]:80") == "[::1]:80");
    CHECK(round_trip("[::]:0") == "[::]:0");
    CHECK(round_trip("[2001:DB8:0:0:0:0:0:1]:443") == "[2001:db8::1]:443");
    CHECK(round_trip("[::ffff:10.0.0.1]:1") == "[::ffff:10.0.0.1]:1");
    CHECK(round_trip("[fe80::1%7]:80") == "[fe80::1%7]:80");
    CHECK(round_trip("[fe80::1%4294967295]:80") == "[fe80::1%4294967295]:80");
    CHECK(round_trip("unix:/run/heddle.sock") == "unix:/run/heddle.sock");
    CHECK(round_trip("unix:relative") == "unix:relative");
    CHECK(round_trip("unix:@heddle") == "unix:@heddle");
    CHECK(round_trip("unix:@@") == "unix:@@");
    CHECK(round_trip("unix:/a:80") == "unix:/a:80");
}

TEST_CASE("a scope may be named by its interface") {
    char name[IF_NAMESIZE] = {};
    REQUIRE(if_indextoname(1, name) != nullptr);
    CHECK(address::parse("[fe80::1%" + std::string(name) + "]:80") ==
          address::parse("[fe80::1%1]:80"));
    CHECK(address("fe80::1%1", 80) == address::parse("[fe80::1%1]:80"));
}

TEST_CASE("a host and a port make an address") {
    CHECK(address("127.0.0.1", 80) == address::parse("127.0.0.1:80"));
    CHECK(address("::1", 80) == address::parse("[::1]:80"));
    CHECK(address("::1", 80).port() == 80);
    CHECK(address("127.0.0.1", 65535).port() == 65535);
    CHECK(address::parse("unix:@heddle").port() == 0);
    std::error_code ec = std::make_error_code(std::errc::io_error);
    CHECK(address("10.1.2.3", 4, ec).to_string() == "10.1.2.3:4");
    CHECK_FALSE(ec);
}

TEST_CASE("addresses are equal if they name the same place") {
    CHECK(address("127.0.0.1", 80) == address("127.0.0.1", 80));
    CHECK(address("127.0.0.1", 80) != address("127.0.0.1", 81));
    CHECK(address("127.0.0.1", 80) != address("127.0.0.2", 80));
    CHECK(address("::1", 80) != address("127.0.0.1", 80));
    CHECK(address("::ffff:127.0.0.1", 80) != address("127.0.0.1", 80));
    CHECK(address("fe80::1%1", 80) != address("fe80::1%2", 80));
    CHECK(address::parse("unix:a") != address::parse("unix:@a"));
    CHECK(address::parse("unix:a") != address::parse("unix:aa"));
}

TEST_CASE("no address is equal to none") {
    const address none;
    CHECK(none == address());
    CHECK(none != address("0.0.0.0", 0));
    CHECK(none.port() == 0);
    CHECK(none.to_string() == "(none)");
}

TEST_CASE("a malformed text is refused, with the text and what is wrong with it") {
    CHECK(complaint_about("127.0.0.1") ==
          "heddle: \"127.0.0.1\" is not an address: the port is missing, as in 127.0.0.1:80");
    const auto says = [](std::string_view text, const char* what) {
        const std::string complaint = complaint_about(text);
        CAPTURE(complaint);
        CHECK(complaint.find(what) != std::string::npos);
        CHECK(complaint.find('"' + std::string(text) + '"') != std::string::npos);
    };
    says("", "the port is missing");
    says("[::1]", "the port is missing");
    says(":80", "the host is empty");
    says("localhost:80", "names are not looked up");
    says("256.0.0.1:80", "neither an IPv4 nor an IPv6 address");
    says("127.0.0.01:80", "neither an IPv4 nor an IPv6 address");
    says("127.1:80", "neither an IPv4 nor an IPv6 address");
    says(" 127.0.0.1:80", "neither an IPv4 nor an IPv6 address");
    says("127.0.0.1%1:80", "neither an IPv4 nor an IPv6 address");
    says("::1:80", "stands in brackets");
    says("127.0.0.1:80:80", "stands in brackets");
    says("127.0.0.1:", "the port is not a number");
    says("127.0.0.1:65536", "the port is not a number");
    says("127.0.0.1:-1", "the port is not a number");
    says("127.0.0.1:+1", "the port is not a number");
    says("127.0.0.1: 1", "the port is not a number");
    says("127.0.0.1:80 ", "the port is not a number");
    says("127.0.0.1:http", "the port is not a number");
    says("[::1]:x", "the port is not a number");
    says("[::1:80", "the bracket is not closed");
    says("[::1]80", "only a colon and the port follow the bracket");
    says("[::1]]:80", "not an IPv6 address");
    says("[::1] :80", "only a colon and the port follow the bracket");
    says("[127.0.0.1]:80", "not an IPv6 address");
    says("[]:80", "not an IPv6 address");
    says("[:::1]:80", "not an IPv6 address");
    says("[" + std::string(200, ':') + "]:80", "not an IPv6 address");
    says("[fe80::1%]:80", "the scope behind % is empty");
    says("[fe80::1%4294967296]:80", "the number of its scope is too large");
    says("[fe80::1%no-such-interface]:80", "no interface here");
    says("[fe80::1%none0]:80", "no interface here");
    says("unix:", "the name of the Unix socket is empty");
    says("unix:@", "the name of the Unix socket is empty");
    CHECK(complaint_about(std::string_view("127.0.0.1\0:80", 13)) ==
          "heddle: \"127.0.0.1\\x00:80\" is not an address: it contains a NUL");
    CHECK(complaint_about(std::string_view("unix:/a\0b\n\x7f", 11)) ==
          "heddle: \"unix:/a\\x00b\\x0a\\x7f\" is not an address: it contains a NUL");
}

TEST_CASE("a malformed host is refused in the same way") {
    const auto complaint = [](std::string_view host) -> std::string {
        std::error_code ec;
        CHECK(address(host, 1, ec) == address());
        CHECK(ec == std::errc::invalid_argument);
        try {
            address(host, 1);
        } catch (const std::invalid_argument& error) {
            return error.what();
        }
        return "none";
    };
    CHECK(complaint("localhost") == "heddle: \"localhost\" is not an IP address: the host is "
                                    "neither an IPv4 nor an IPv6 address, and names are not looked "
                                    "up here");
    CHECK(complaint("").find("the host is empty") != std::string::npos);
    CHECK(complaint("[::1]").find("not an IPv6 address") != std::string::npos);
    CHECK(complaint(std::string_view("127.0.0.1\0", 10)).find("neither") != std::string::npos);
}

TEST_CASE("the name of a Unix socket may have 107 bytes") {
    const std::string longest(107, 'x');
    CHECK(round_trip("unix:" + longest) == "unix:" + longest);
    CHECK(round_trip("unix:@" + longest) == "unix:@" + longest);
    CHECK(complaint_about("unix:" + longest + "x").find("longer than 107") != std::string::npos);
    CHECK(complaint_about("unix:@" + longest + "x").find("longer than 107") != std::string::npos);
}

TEST_CASE("what the system reports becomes the address that a text gives") {
    const auto report = [](const auto& from, std::size_t size) {
        sockaddr_storage storage{};
        std::memcpy(&storage, &from, size);
        return address_access::make(storage, static_cast<socklen_t>(size));
    };
    sockaddr_in6 ipv6{};
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(80);
    ipv6.sin6_addr = in6addr_loopback;
    ipv6.sin6_flowinfo = htonl(5);
    CHECK(report(ipv6, sizeof ipv6) == address("::1", 80));

    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(80);
    ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::memset(ipv4.sin_zero, 'x', sizeof ipv4.sin_zero);
    CHECK(report(ipv4, sizeof ipv4) == address("127.0.0.1", 80));
    CHECK(report(ipv4, sizeof ipv4 - 1) == address());

    // Some systems count the NUL behind a path, some count the whole structure.
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, "/a", 2);
    for (const std::size_t path : {std::size_t{2}, std::size_t{3}, sizeof local.sun_path}) {
        CHECK(report(local, offsetof(sockaddr_un, sun_path) + path) == address::parse("unix:/a"));
    }
    std::memcpy(local.sun_path, "\0a", 2);
    CHECK(report(local, offsetof(sockaddr_un, sun_path) + 2) == address::parse("unix:@a"));
    // An abstract name counts every byte, also a NUL.
    CHECK(report(local, offsetof(sockaddr_un, sun_path) + 3) != address::parse("unix:@a"));
    CHECK(report(local, offsetof(sockaddr_un, sun_path)) == address());
}
