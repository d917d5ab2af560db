// Why a fiber waits: one reason per place that waits, each with its own words.
#pragma once

#include <cstdint>
#include <string_view>

namespace heddle::detail {

enum class wait_reason : std::uint8_t {
    none,
    sleep,
    join,
    join_in_destructor,
    readable,
    writable,
    accept,
    connect,
    receive,
    send,
    read,
    write,
    count,
};

/// What cold_block::wait_object points to.
enum class wait_object : std::uint8_t { nothing, fiber, operation };

struct wait_reason_text {
    std::string_view text;
    wait_object object;
};

/// The words for a dump; the object's number follows them.
constexpr wait_reason_text describe(wait_reason reason) noexcept {
    switch (reason) {
    case wait_reason::none:
        return {"nothing", wait_object::nothing};
    case wait_reason::sleep:
        return {"sleeping", wait_object::nothing};
    case wait_reason::join:
        return {"joining fiber", wait_object::fiber};
    case wait_reason::join_in_destructor:
        return {"joining in a destructor fiber", wait_object::fiber};
    case wait_reason::readable:
        return {"until readable, descriptor", wait_object::operation};
    case wait_reason::writable:
        return {"until writable, descriptor", wait_object::operation};
    case wait_reason::accept:
        return {"accepting on descriptor", wait_object::operation};
    case wait_reason::connect:
        return {"connecting descriptor", wait_object::operation};
    case wait_reason::receive:
        return {"receiving from descriptor", wait_object::operation};
    case wait_reason::send:
        return {"sending to descriptor", wait_object::operation};
    case wait_reason::read:
        return {"reading from descriptor", wait_object::operation};
    case wait_reason::write:
        return {"writing to descriptor", wait_object::operation};
    case wait_reason::count:
        break;
    }
    return {"an unknown reason", wait_object::nothing};
}

}  // namespace heddle::detail
