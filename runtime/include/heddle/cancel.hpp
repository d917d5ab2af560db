// Regions that a request to stop does not enter.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/stop_level.hpp>
#include <heddle/time.hpp>

#pragma GCC visibility push(default)

namespace heddle {

inline namespace v1 {

/// Keeps cancellation away from the calling fiber for the rest of a scope: for the goodbye to a
/// peer, a transaction that must be ended, whatever has to wait and must not be cut short.
///
/// While a shield stands, no cancellation point throws heddle::cancelled or reports
/// operation_canceled because the fiber was asked to stop, or a scope around the shield was. The
/// request is not lost: the fiber's stop token shows it, and the first cancellation point after the
/// shield throws. Past its deadline a shield no longer holds, and a wait that is on then is
/// cancelled; of nested shields the one that holds longest counts. Fibers spawned under a shield
/// have none. A scope that is opened under a shield is no request from outside: its deadline and
/// its cancellation end waits of its body as ever.
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
    explicit shield(deadline until = deadline::never()) noexcept {
        // The earliest moment means that there is no shield; the next one has passed as well.
        level_.shield_until =
            until.nanoseconds() == detail::no_shield ? detail::no_shield + 1 : until.nanoseconds();
        detail::enter_level(level_);
    }
    shield(const shield&) = delete;
    shield& operator=(const shield&) = delete;
    ~shield() { detail::leave_level(level_); }

private:
    detail::stop_level level_;
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
