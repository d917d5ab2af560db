// Deadlines from clocks and units of any kind.
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"

#include <heddle/detail/any_deadline.hpp>
#include <heddle/mutex.hpp>
#include <heddle/semaphore.hpp>
#include <heddle/time.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <system_error>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

/// Nanoseconds from the steady clock's epoch to a point so far behind it.
template <class Duration>
std::int64_t ns_of(Duration since_epoch) {
    return deadline(std::chrono::time_point<deadline::clock, Duration>(since_epoch)).nanoseconds();
}

TEST_CASE("durations in any unit become nanoseconds, rounded up, as far as those go") {
    using fixed_point = std::chrono::duration<std::int64_t, std::ratio<1, std::int64_t{1} << 32>>;
    using thirds = std::chrono::duration<std::int64_t, std::ratio<1, 3>>;
    using uneven =
        std::chrono::duration<std::int64_t, std::ratio<999'999'999'989, 1'000'000'000'000'000'000>>;
    constexpr std::int64_t never = deadline::never().nanoseconds();
    constexpr std::int64_t past = std::numeric_limits<std::int64_t>::min();
    CHECK(ns_of(fixed_point(std::int64_t{1200} << 32)) == 1'200'000'000'000);
    CHECK(ns_of(fixed_point((std::int64_t{2'000'000'000} << 32) + 1)) == 2'000'000'000'000'000'001);
    CHECK(ns_of(fixed_point(1)) == 1);
    CHECK(ns_of(fixed_point(-1)) == 0);
    CHECK(ns_of(fixed_point(std::numeric_limits<std::int64_t>::max())) ==
          2'147'483'648'000'000'000);
    CHECK(ns_of(thirds(10'000'000'000)) == 3'333'333'333'333'333'334);
    CHECK(ns_of(thirds(-10'000'000'000)) == -3'333'333'333'333'333'333);
    CHECK(ns_of(thirds(30'000'000'000)) == never);
    CHECK(ns_of(thirds(-30'000'000'000)) == past);
    CHECK(ns_of(uneven(1'000'000)) == 1'000'000'000);
    CHECK(ns_of(uneven(900'000'000)) == 899'999'999'991);
    CHECK(ns_of(std::chrono::duration<std::uint64_t, std::nano>(UINT64_MAX)) == never);
    CHECK(ns_of(std::chrono::duration<std::uint64_t, std::pico>(UINT64_MAX)) ==
          18'446'744'073'709'552);
    CHECK(ns_of(std::chrono::duration<std::uint32_t, std::ratio<3600>>(UINT32_MAX)) == never);
    CHECK(ns_of(std::chrono::duration<signed char>(-5)) == -5'000'000'000);
    CHECK(ns_of(std::chrono::hours(2)) == 7'200'000'000'000);
    CHECK(ns_of(std::chrono::duration<double, std::milli>(1.5)) == 1'500'000);
    CHECK(ns_of(std::chrono::duration<double>(1e300)) == never);
    CHECK(ns_of(std::chrono::duration<long double>(-1e300L)) == past);
    CHECK(ns_of(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())) == 0);
}

TEST_CASE("the ends of other clocks, in any unit, are deadlines that have passed or never do") {
    using std::chrono::system_clock;
    using seconds_point = std::chrono::time_point<system_clock, std::chrono::seconds>;
    using fractions = std::chrono::time_point<system_clock, std::chrono::duration<double>>;
    CHECK(detail::any_deadline(system_clock::time_point::max()).is_never());
    CHECK(detail::any_deadline(seconds_point::max()).is_never());
    CHECK(detail::any_deadline(fractions::max()).is_never());
    CHECK(detail::any_deadline(system_clock::time_point::min()).has_passed());
    CHECK(detail::any_deadline(seconds_point::min()).has_passed());
    CHECK(detail::any_deadline(fractions::min()).has_passed());
    const detail::any_deadline tomorrow = system_clock::now() + 24h;
    CHECK(tomorrow > deadline(23h));
    CHECK(tomorrow < deadline(25h));
}

TEST_CASE("timed locks and permits can be waited for by any clock") {
    using std::chrono::system_clock;
    timed_mutex timed;
    recursive_timed_mutex recursive;
    shared_timed_mutex shared;
    counting_semaphore<> permits(0);
    std::error_code ec;
    in_fiber([&] {
        const auto try_all = [&] {
            return std::vector<bool>{timed.try_lock_until(system_clock::now() + 1ms),
                                     recursive.try_lock_until(system_clock::now() + 1ms),
                                     shared.try_lock_until(system_clock::now() + 1ms),
                                     permits.try_acquire_until(system_clock::now() + 1ms),
                                     permits.try_acquire_until(system_clock::now() + 1ms, ec)};
        };
        permits.release(2);
        CHECK(try_all() == std::vector<bool>(5, true));
        fiber<> other([&] {
            const auto began = std::chrono::steady_clock::now();
            CHECK(try_all() == std::vector<bool>(5, false));
            CHECK(std::chrono::steady_clock::now() - began >= 1ms);  // several of them
            CHECK_FALSE(shared.try_lock_shared_until(system_clock::now() - 1h));
        });
        other.join();
        timed.unlock();
        recursive.unlock();
        shared.unlock();
        CHECK(shared.try_lock_shared_until(system_clock::time_point::max()));
        shared.unlock_shared();
    });
}

}  // namespace

}  // namespace heddle::test
