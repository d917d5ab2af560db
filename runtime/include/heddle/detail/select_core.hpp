// What a select looks like to the archive, which does the waiting (runtime/sync/select.cpp).
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/detail/wait_list.hpp>

#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)

namespace heddle::detail {

enum class select_kind : std::uint8_t {
    receive,    ///< object: channel_core; place: an empty std::optional<T>
    send,       ///< object: channel_core; place: the T
    event,      ///< object: event_state
    join,       ///< object: fiber_block, null for an empty handle
    readable,   ///< object: select_descriptor
    writable,   ///< object: select_descriptor
    after,      ///< deadline_ns
    otherwise,  ///< nothing
};

/// A descriptor and room for the reactor's operation on it.
struct select_descriptor {
    static constexpr std::size_t operation_bytes = 48 + 7 * sizeof(std::uint64_t);

    int fd = -1;
    bool is_stream = false;
    std::uint64_t id = 0;  ///< 0 for one that the program owns
    alignas(std::uint64_t) std::byte operation[operation_bytes];
};

/// One case. Lies in the frame of the one who calls select, and is linked from there to what it
/// waits for.
struct select_case {
    select_case(select_kind what, void* with, void* where = nullptr,
                std::int64_t until_ns = 0) noexcept
        : kind(what),
          object(with),
          place(where),
          deadline_ns(until_ns) {}
    select_case(const select_case&) = delete;
    select_case& operator=(const select_case&) = delete;

    select_kind kind;
    bool goes_first = false;  ///< it waits anew, in front of those that came later
    void* object;
    void* place;
    std::int64_t deadline_ns;
    waiter own;
};

/// The cases of a select: as they are written, in the order in which they are looked at, and in
/// that in which their locks are taken.
struct select_frame {
    std::size_t count;
    select_case** written;
    select_case** shuffled;
    select_case** locked;
};

/// How a select ended.
struct select_result {
    select_case* taken = nullptr;             ///< null if none was
    wait_status status = wait_status::event;  ///< anything else is an error
    int error = 0;  ///< of the system, if not zero: what waiting on the descriptor came to
};

/// Waits until one of the cases can be taken, and takes it. Errors: what moving a value throws.
select_result select_wait(const select_frame& frame);

/// Throws what a failed select means; the same as an error code, clear if it did not fail.
[[noreturn]] void throw_select_error(const select_result& result);
std::error_code to_error_code(const select_result& result) noexcept;

}  // namespace heddle::detail

#pragma GCC visibility pop
