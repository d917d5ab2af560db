// A deadline by any clock, for calls that std has too.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/time.hpp>

#include <chrono>
#include <cstdint>
#include <limits>

#pragma GCC visibility push(default)

namespace heddle::detail {

/// Until when to wait, by any clock of std's. That of a clock which can be set is taken as the
/// clock is set at the call.
class any_deadline : public deadline {
public:
    any_deadline(deadline until) noexcept : deadline(until) {}
    template <class Rep, class Period>
    any_deadline(std::chrono::duration<Rep, Period> from_now) : deadline(from_now) {}
    template <class Duration>
    any_deadline(std::chrono::time_point<clock, Duration> point) : deadline(point) {}
    template <class Clock, class Duration>
    any_deadline(std::chrono::time_point<Clock, Duration> point)
        : deadline(distance(Clock::now().time_since_epoch(), point.time_since_epoch())) {}

private:
    // What is out of range is as far away as can be.
    template <class From, class To>
    static std::chrono::nanoseconds distance(From from, To to) noexcept {
        constexpr auto most = std::numeric_limits<std::int64_t>::max();
        const std::int64_t from_ns = to_ns(from);
        const std::int64_t until_ns = to_ns(to);
        std::int64_t difference = most;
        if (until_ns != most && __builtin_sub_overflow(until_ns, from_ns, &difference)) {
            difference = until_ns > 0 ? most : std::numeric_limits<std::int64_t>::min();
        }
        return std::chrono::nanoseconds(difference);
    }
    template <class Duration>
    static std::int64_t to_ns(Duration since_epoch) noexcept {
        return deadline(std::chrono::time_point<clock, Duration>(since_epoch)).nanoseconds();
    }
};

}  // namespace heddle::detail

#pragma GCC visibility pop
