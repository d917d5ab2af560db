// Whether anything outside a worker could still wake its fibers.
#pragma once

#include <atomic>
#include <cstdint>

namespace heddle::detail {

/// Whether the process has threads besides the calling one that run user code, as far as the
/// system tells: those it had before main beyond the first (an emulator's, a tool's) do not count.
/// True where it does not tell.
bool other_threads_exist() noexcept;

/// The workers that sleep now and have nothing of their own that could wake them. For lists.
extern std::atomic<std::uint64_t> waiting_for_other_threads;

/// Set by tests to answer in the system's place; null asks the system.
extern bool (*other_threads_hook)() noexcept;

}  // namespace heddle::detail
