// The one type for "until when": a call that waits takes a deadline.
#pragma once

#include <heddle/detail/abi.hpp>

#include <chrono>
#include <compare>
#include <concepts>
#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>

#pragma GCC visibility push(default)

namespace heddle {
inline namespace v1 {

/// A point on the steady clock at which a wait gives up, to the nanosecond, or never.
///
/// Converts from a duration, which counts from the moment of the conversion, and from a
/// time_point of std::chrono::steady_clock. Durations below a nanosecond are rounded up, so that
/// nothing gives up early. What lies beyond the clock's range (about 292 years after its epoch) is
/// never(); what lies before it has passed. A deadline that has passed still lets an operation try
/// once.
///
/// Threads: a value; the steady clock is the same for all threads of a process.
class deadline {
public:
    using clock = std::chrono::steady_clock;

    /// The deadline that does not come.
    static constexpr deadline never() noexcept { return deadline(never_ns); }

    /// `from_now` after the present moment, by a fresh reading of the clock.
    template <class Rep, class Period>
    deadline(std::chrono::duration<Rep, Period> from_now)
        : nanoseconds_(after(now_ns(), to_ns(from_now))) {}

    /// The given point of the steady clock.
    template <class Duration>
    constexpr deadline(std::chrono::time_point<clock, Duration> point)
        : nanoseconds_(to_ns(point.time_since_epoch())) {}

    constexpr bool is_never() const noexcept { return nanoseconds_ == never_ns; }

    /// Whether the present moment is at or after the deadline, by a fresh reading of the clock.
    bool has_passed() const noexcept { return !is_never() && now_ns() >= nanoseconds_; }

    /// The point on the steady clock; time_point::max() for never().
    constexpr clock::time_point time_point() const noexcept {
        return clock::time_point(
            std::chrono::duration_cast<clock::duration>(std::chrono::nanoseconds(nanoseconds_)));
    }

    /// Nanoseconds since the steady clock's epoch; the largest number for never().
    constexpr std::int64_t nanoseconds() const noexcept { return nanoseconds_; }

    friend constexpr auto operator<=>(deadline, deadline) noexcept = default;

private:
    static constexpr std::int64_t never_ns = std::numeric_limits<std::int64_t>::max();
    static constexpr std::int64_t past_ns = std::numeric_limits<std::int64_t>::min();

    explicit constexpr deadline(std::int64_t nanoseconds) noexcept : nanoseconds_(nanoseconds) {}

    static std::int64_t now_ns() noexcept {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(clock::now().time_since_epoch())
            .count();
    }

    static constexpr std::int64_t after(std::int64_t start, std::int64_t length) noexcept {
        std::int64_t sum = 0;
        if (__builtin_add_overflow(start, length, &sum)) {
            return length > 0 ? never_ns : past_ns;
        }
        return sum;
    }

    // `rest` times the factor, which is less than its numerator; rounded up.
    template <class Factor, class Wide>
    static constexpr std::int64_t scaled_up(Wide rest) noexcept {
        std::int64_t product = 0;
        if (__builtin_mul_overflow(rest, Factor::num, &product)) {
            const double part = static_cast<double>(rest) * (static_cast<double>(Factor::num) /
                                                             static_cast<double>(Factor::den));
            const auto below = static_cast<std::int64_t>(part);
            return below + (part > static_cast<double>(below) ? 1 : 0);
        }
        return product / Factor::den + (product % Factor::den > 0 ? 1 : 0);
    }

    template <class Rep, class Period>
    static constexpr std::int64_t to_ns(std::chrono::duration<Rep, Period> length) noexcept {
        using factor = std::ratio_divide<Period, std::nano>;
        if constexpr (std::integral<Rep>) {
            // What is a whole number of units of `den`, and the rest of it: no product is needed
            // that is out of range where the result is not.
            using wide = std::conditional_t<std::is_signed_v<Rep>, std::intmax_t, std::uintmax_t>;
            const wide count = length.count();
            const wide den = factor::den;
            std::int64_t sum = 0;
            if (__builtin_mul_overflow(count / den, factor::num, &sum) ||
                __builtin_add_overflow(sum, scaled_up<factor>(count % den), &sum)) {
                return count > 0 ? never_ns : past_ns;
            }
            return sum;
        } else {
            // 2^63 ns is the first double out of range; a NaN compares false twice and counts as no
            // time at all.
            const auto approximate = std::chrono::duration<double, std::nano>(length).count();
            if (approximate >= 9223372036854775808.0) {
                return never_ns;
            }
            if (approximate <= -9223372036854775808.0) {
                return past_ns;
            }
            if (!(approximate < 0) && !(approximate >= 0)) {
                return 0;
            }
            return std::chrono::ceil<std::chrono::duration<std::int64_t, std::nano>>(length)
                .count();
        }
    }

    std::int64_t nanoseconds_;
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
