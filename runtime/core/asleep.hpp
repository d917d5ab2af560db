// Whether anything outside a worker could still wake its fibers.
#pragma once

namespace heddle::detail {

/// Whether the process has threads besides the calling one that run user code, as far as the
/// system tells: those it had before main beyond the first (an emulator's, a tool's) do not count.
/// True where it does not tell.
bool other_threads_exist() noexcept;

/// Set by tests to answer in the system's place; null asks the system.
extern bool (*other_threads_hook)() noexcept;

}  // namespace heddle::detail
