// Who is running, for what is inline in headers.
#pragma once

#include <heddle/detail/abi.hpp>

#include <cstdint>

#pragma GCC visibility push(default)

namespace heddle::detail {

struct fiber_block;

/// Where the calling thread's worker says which fiber runs, or that its dispatcher does; null on a
/// plain thread. All that headers know of a worker: where two libraries of a program have a copy of
/// heddle each, they may share this variable, and it is true for both.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local fiber_block* const* running_fiber;

/// Names the calling fiber, or the calling plain thread: an address of its own, the two lowest bits
/// of which are zero, and with one of them set for a thread. Never zero.
using flow_name = std::uintptr_t;
constexpr flow_name flow_is_thread = 2;

inline flow_name this_flow() noexcept {
    if (fiber_block* const* const running = running_fiber) [[likely]] {
        return reinterpret_cast<flow_name>(*running);
    }
    return reinterpret_cast<flow_name>(&running_fiber) | flow_is_thread;
}

}  // namespace heddle::detail

#pragma GCC visibility pop
