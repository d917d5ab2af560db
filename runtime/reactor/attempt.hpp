// One attempt at an operation: what the system answers when it is asked now.
//
// Shared by everything that waits by asking again: the back-ends over readiness, plain threads,
// and the tests' late back-end.
#pragma once

#include "runtime/reactor/reactor.hpp"

#include <cstdint>

namespace heddle::detail {

/// Tries `what` once, without waiting, and returns what operation::result is to say; -EAGAIN if it
/// would have to wait. Any thread.
std::int64_t try_operation(operation& what) noexcept;

}  // namespace heddle::detail
