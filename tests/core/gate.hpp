// The smallest primitive that can be built over a wait: a fiber stands before it until somebody
// opens it. What sync/ will do, for tests of the wait itself.
#pragma once

#include "runtime/core/worker.hpp"

#include "heddle/time.hpp"

#include <cstdint>
#include <mutex>

namespace heddle::test {

/// One waiter at a time; used by the fibers of one worker.
struct gate {
    detail::fiber_block* waiter = nullptr;
    std::uint64_t ticket = 0;

    detail::wait_status wait(deadline until = deadline::never()) {
        detail::worker& here = *detail::current_worker;
        waiter = &here.current();
        if (here.cancellation_due(*waiter)) {
            return detail::wait_status::cancelled;
        }
        ticket =
            here.begin_wait(*waiter, detail::wait_reason::sleep, this, here.cancellable(*waiter));
        here.arm(*waiter, until.nanoseconds());
        return static_cast<detail::wait_status>(here.suspend(*waiter));
    }

    /// Ends the wait; false if something else did, or if nobody waits.
    bool open() {
        if (!claim()) {
            return false;
        }
        tell();
        return true;
    }

    /// The two halves of open().
    bool claim() { return waiter != nullptr && detail::claim(*waiter, ticket); }
    void tell() { detail::wake(*waiter, detail::wait_status::event); }
};

/// The same for an opener on another thread.
class shared_gate {
public:
    detail::wait_status wait(deadline until = deadline::never()) {
        detail::worker& here = *detail::current_worker;
        detail::fiber_block& self = here.current();
        if (here.cancellation_due(self)) {
            return detail::wait_status::cancelled;
        }
        {
            const std::lock_guard guard(lock_);
            waiter_ = &self;
            ticket_ =
                here.begin_wait(self, detail::wait_reason::sleep, this, here.cancellable(self));
            here.arm(self, until.nanoseconds());
        }
        return static_cast<detail::wait_status>(here.suspend(self));
    }

    bool open() {
        detail::fiber_block* waiter = nullptr;
        std::uint64_t ticket = 0;
        {
            const std::lock_guard guard(lock_);
            waiter = std::exchange(waiter_, nullptr);
            ticket = ticket_;
        }
        if (waiter == nullptr || !detail::claim(*waiter, ticket)) {
            return false;
        }
        detail::wake(*waiter, detail::wait_status::event);
        return true;
    }

private:
    std::mutex lock_;
    detail::fiber_block* waiter_ = nullptr;
    std::uint64_t ticket_ = 0;
};

}  // namespace heddle::test
