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
    channel_receive,
    channel_send,
    mutex,
    select,
    semaphore,
    event,
    latch,
    condition_variable,
    callback,
    coroutine,
    readers,
    barrier,
    child,
    count,
};

/// What cold_block::wait_object points to.
enum class wait_object : std::uint8_t {
    nothing,
    fiber,
    operation,
    channel,
    mutex,
    readers,
    latch,
    barrier,
    child,
    select_frame,  ///< null while the call takes its operations back
};

struct wait_reason_text {
    std::string_view text;
    wait_object object;
};

/// The words for a dump; what is known of the object follows them (see add_wait).
constexpr wait_reason_text describe(wait_reason reason) noexcept {
    switch (reason) {
    case wait_reason::none:
        return {"nothing", wait_object::nothing};
    case wait_reason::sleep:
        return {"sleeping", wait_object::nothing};
    case wait_reason::join:
        return {"joining", wait_object::fiber};
    case wait_reason::join_in_destructor:
        return {"joining in a destructor", wait_object::fiber};
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
    case wait_reason::channel_receive:
        return {"receiving from channel", wait_object::channel};
    case wait_reason::channel_send:
        return {"sending to channel", wait_object::channel};
    case wait_reason::mutex:
        return {"locking a mutex", wait_object::mutex};
    case wait_reason::select:
        return {"selecting", wait_object::select_frame};
    case wait_reason::semaphore:
        return {"acquiring a semaphore", wait_object::nothing};
    case wait_reason::event:
        return {"for an event", wait_object::nothing};
    case wait_reason::latch:
        return {"for a latch", wait_object::latch};
    case wait_reason::condition_variable:
        return {"for a condition variable", wait_object::nothing};
    case wait_reason::callback:
        return {"for a callback", wait_object::nothing};
    case wait_reason::coroutine:
        return {"for an awaitable", wait_object::nothing};
    case wait_reason::readers:
        return {"until the readers of a shared mutex have left", wait_object::readers};
    case wait_reason::barrier:
        return {"for the others at a barrier", wait_object::barrier};
    case wait_reason::child:
        return {"getting the value of child", wait_object::child};
    case wait_reason::count:
        break;
    }
    return {"an unknown reason", wait_object::nothing};
}

}  // namespace heddle::detail
