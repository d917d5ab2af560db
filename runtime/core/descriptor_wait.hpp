// Waiting for a descriptor: how io/ gets an operation done.
#pragma once

#include "runtime/reactor/reactor.hpp"

#include <heddle/detail/status.hpp>

#include <cstdint>

namespace heddle::detail {

/// How an operation ended.
struct operation_outcome {
    /// `event`: the system has answered, see `result`. Else the wait was given up, and nothing was
    /// transferred.
    wait_status status = wait_status::event;
    /// What operation::result says: a count, a descriptor or zero, or a negative error number.
    /// -ECANCELED says that the descriptor was closed meanwhile.
    std::int64_t result = 0;
};

/// Has `what` carried out and waits for its end, at most until `deadline_ns`.
///
/// A fiber gives way to others meanwhile; also when operations keep succeeding at once, every so
/// often. On a plain thread the thread blocks. A deadline that has passed still tries once. A
/// fiber that was asked to stop yields once and gets wait_status::cancelled without a try.
/// When this returns, the buffer is the caller's again.
/// Threads: any fiber or plain thread; a descriptor belongs to the worker that used it first.
operation_outcome perform(operation& what, std::int64_t deadline_ns) noexcept;

/// A new name for a descriptor of heddle's own, for descriptor_handle::id.
std::uint64_t next_descriptor_id() noexcept;

/// Ends every operation on the descriptor with -ECANCELED, then closes its number.
/// Threads: the descriptor's worker, or any thread if nothing waits on it.
void close_descriptor(descriptor_handle handle) noexcept;

}  // namespace heddle::detail
