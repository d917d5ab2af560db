// Regions that a request to stop does not enter.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/time.hpp>

#include <cstdint>
#include <limits>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

/// What enter_shield returns where there was no shield.
constexpr std::int64_t no_shield = std::numeric_limits<std::int64_t>::min();

/// Shields the calling fiber until `until_ns`, or as long as it was shielded anyhow; returns what
/// leave_shield needs to go back to that. On a plain thread neither does anything.
std::int64_t enter_shield(std::int64_t until_ns) noexcept;
void leave_shield(std::int64_t outer) noexcept;

}  // namespace detail

inline namespace v1 {

/// Keeps cancellation away from the calling fiber for the rest of a scope: for the goodbye to a
/// peer, a transaction that must be ended, whatever has to wait and must not be cut short.
///
/// While a shield stands, no cancellation point throws heddle::cancelled or reports
/// operation_canceled because the fiber was asked to stop. The request is not lost: the fiber's
/// stop token shows it, and the first cancellation point after the shield throws. Past its deadline
/// a shield no longer holds, and a wait that is on then is cancelled; of nested shields the one
/// that holds longest counts. Fibers spawned under a shield have none.
///
/// Threads: made and destroyed by one fiber, in the order of scopes. Nothing on a plain thread.
/// Example:
///     } catch (...) {                              // heddle::cancelled, too
///         const heddle::shield goodbye(2s);
///         peer.write_all("bye\r\n", ignored);      // takes two seconds at most if asked to stop
///         throw;
///     }
class [[nodiscard]] shield {
public:
    explicit shield(deadline until = deadline::never()) noexcept
        : outer_(detail::enter_shield(until.nanoseconds())) {}
    shield(const shield&) = delete;
    shield& operator=(const shield&) = delete;
    ~shield() { detail::leave_shield(outer_); }

private:
    std::int64_t outer_;
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
