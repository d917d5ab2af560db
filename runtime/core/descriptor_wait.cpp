#include "runtime/core/descriptor_wait.hpp"

#include "runtime/base/system.hpp"
#include "runtime/core/copies.hpp"
#include "runtime/core/worker.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace heddle::detail {

namespace {

wait_reason reason_of(operation_kind kind) noexcept {
    switch (kind) {
    case operation_kind::wait_readable:
        return wait_reason::readable;
    case operation_kind::wait_writable:
        return wait_reason::writable;
    case operation_kind::accept:
        return wait_reason::accept;
    case operation_kind::connect:
        return wait_reason::connect;
    case operation_kind::receive:
        return wait_reason::receive;
    case operation_kind::send:
        return wait_reason::send;
    case operation_kind::read:
        return wait_reason::read;
    case operation_kind::write:
        return wait_reason::write;
    }
    return wait_reason::none;
}

// A plain thread has no reactor: it tries, and sleeps in poll(2).
operation_outcome perform_blocking(operation& what, std::int64_t deadline_ns) noexcept {
    if (what.handle.fd < 0) {
        return {wait_status::event, -EBADF};  // poll(2) would take it for nothing to wait for
    }
    for (;;) {
        const std::int64_t result = try_operation(what);
        if (result != -EAGAIN) {
            return {wait_status::event, result};
        }
        std::int64_t timeout_ns = -1;
        if (deadline_ns != never_ns) {
            timeout_ns = deadline_ns - clock_now();
            if (timeout_ns <= 0) {
                return {wait_status::timed_out, 0};
            }
        }
        pollfd wanted{.fd = what.handle.fd,
                      .events = static_cast<short>(reads(what.kind) ? POLLIN : POLLOUT),
                      .revents = 0};
        refuse_fiber_of_another_copy();
        if (const int error = sys::poll(&wanted, 1, timeout_ns); error < 0) {
            return {wait_status::event, error};
        }
    }
}

}  // namespace

operation_outcome perform(operation& what, std::int64_t deadline_ns) noexcept {
    worker* const here = current_worker;
    if (here == nullptr) [[unlikely]] {
        return perform_blocking(what, deadline_ns);
    }
    fiber_block& self = here->current();
    if (here->cancellation_due(self)) [[unlikely]] {
        here->visit_dispatcher(self, wait_status::cancelled);
        return {wait_status::cancelled, 0};
    }
    const bool may_wait = deadline_ns > here->now();
    if (here->events().submit(what, may_wait)) {
        if (!may_wait && what.result == -EAGAIN) {
            here->visit_dispatcher(self, wait_status::timed_out);
            return {wait_status::timed_out, 0};
        }
        here->spend_turn(self);
        return {wait_status::event, what.result};
    }
    what.waiter = &self;
    what.cancel_reason = 0;
    self.cold->wait_descriptor = what.handle.fd;
    what.ticket =
        here->begin_wait(self, reason_of(what.kind), &what,
                         static_cast<std::uint8_t>(wait_operation | here->cancellable(self)));
    here->arm(self, deadline_ns);
    here->suspend(self);
    // A count that came before the cancel wins over it.
    if (what.cancel_reason != 0 && what.result == -ECANCELED) {
        if (what.cancel_reason == static_cast<int>(wait_status::cancelled)) {
            here->note_cancelled(self);
        }
        return {static_cast<wait_status>(what.cancel_reason), 0};
    }
    return {wait_status::event, what.result};
}

std::uint64_t next_descriptor_id() noexcept {
    static std::atomic<std::uint64_t> last = 0;
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

void close_descriptor(descriptor_handle handle) noexcept {
    if (current_worker != nullptr) {
        current_worker->events().detach(handle);
    }
    sys::close(handle.fd);
}

}  // namespace heddle::detail
