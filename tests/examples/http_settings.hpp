// What http_server can be told, and its command line.
#pragma once

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

struct settings {
    std::string address = "127.0.0.1:8080";
    std::size_t connections_max = 16'000;
    std::size_t header_bytes_max = 16 * 1024;
    std::size_t body_bytes_max = 1024 * 1024;
    /// A connection that waits for a request.
    std::chrono::milliseconds idle_max{60'000};
    /// From a request's first byte to the empty line that ends its head, and from there to its end.
    std::chrono::milliseconds header_max{10'000};
    std::chrono::milliseconds body_max{30'000};
    /// A client that does not take what it is sent.
    std::chrono::milliseconds write_max{30'000};
    /// A client that does not close its side of the connection after the server's.
    std::chrono::milliseconds linger_max{2'000};
    /// Requests that are in progress when the server is told to end.
    std::chrono::milliseconds grace_max{5'000};
};

/// An option sets one of these two.
struct option {
    std::string_view name;
    std::size_t settings::*count;
    std::chrono::milliseconds settings::*time = nullptr;
};

inline constexpr option options[] = {
    {"--connections", &settings::connections_max},
    {"--header-bytes", &settings::header_bytes_max},
    {"--body-bytes", &settings::body_bytes_max},
    {"--idle-ms", nullptr, &settings::idle_max},
    {"--header-ms", nullptr, &settings::header_max},
    {"--body-ms", nullptr, &settings::body_max},
    {"--write-ms", nullptr, &settings::write_max},
    {"--linger-ms", nullptr, &settings::linger_max},
    {"--grace-ms", nullptr, &settings::grace_max},
};

inline void set(settings& chosen, std::string_view name, std::string_view value) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size()) {
        throw std::invalid_argument("a number belongs after " + std::string(name));
    }
    for (const option& known : options) {
        if (known.name == name) {
            if (known.count != nullptr) {
                chosen.*known.count = number;
            } else {
                chosen.*known.time = std::chrono::milliseconds(number);
            }
            return;
        }
    }
    throw std::invalid_argument("unknown option " + std::string(name));
}

inline settings parse_arguments(std::span<char*> arguments) {
    settings chosen;
    if (!arguments.empty() && !std::string_view(arguments[0]).starts_with("--")) {
        chosen.address = arguments[0];
        arguments = arguments.subspan(1);
    }
    for (; !arguments.empty(); arguments = arguments.subspan(2)) {
        if (arguments.size() < 2) {
            throw std::invalid_argument(std::string("a number belongs after ") + arguments[0]);
        }
        set(chosen, arguments[0], arguments[1]);
    }
    // A request line and a field must fit; and Beast counts a field's bytes in 16 bits.
    if (chosen.header_bytes_max < 256 || chosen.header_bytes_max > 60'000) {
        throw std::invalid_argument("--header-bytes is from 256 to 60000");
    }
    return chosen;
}
