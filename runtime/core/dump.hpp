// The list of fibers as text.
#pragma once

namespace heddle::detail {

/// Writes a line per fiber of the process to `fd`. Async-signal-safe and without a lock: what
/// other threads change meanwhile is shown as it was found.
void dump_to(int fd) noexcept;

/// Writes one line about the fiber that the calling thread runs, if it runs one. As above.
void describe_current_fiber(int fd) noexcept;

}  // namespace heddle::detail
