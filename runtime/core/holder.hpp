// Who alone can end a fiber's wait, where that is known: the fiber it joins, the owner of the lock.
//
// For lists of fibers, so everything here is async-signal-safe, takes no lock and may be called
// while other threads run. What a fiber waits for may be gone by the time that one looks. It is
// read so that this does no harm, and believed only if the wait still is on afterwards.
#pragma once

#include "runtime/base/text.hpp"
#include "runtime/core/block_store.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace heddle::detail {

/// The one who is waited for.
struct holder {
    enum class kind : std::uint8_t {
        unknown,       ///< not one, or not known which
        nobody,        ///< a lock that is free: about to be taken
        fiber,         ///< `who`
        ended_fiber,   ///< one that is not there any more
        plain_thread,  ///< a thread that runs no fiber
    };
    kind what = kind::unknown;
    block_snapshot who = {};  ///< of a fiber
};

/// Who is to let the waiting fiber, or plain thread, go on.
holder holder_of(const block_snapshot& waiting) noexcept;

/// Copies at most a page of what `waiting` waits for; false if it waits for that no longer.
bool read_waited_for(const block_snapshot& waiting, const void* from, void* to,
                     std::size_t bytes) noexcept;

/// Writes what is known of the channel that is waited for. Set by the first channel that is made,
/// so that programs without channels are linked without them.
extern std::atomic<void (*)(text_line& line, const block_snapshot& waiting) noexcept>
    channel_writer;

/// Writes a fiber's number, and its name if it has one.
void add_fiber(text_line& line, std::uint64_t id, const char* name) noexcept;

/// Writes what a fiber waits for, and who `of` its wait is: "locking a mutex held by fiber 3".
void add_wait(text_line& line, const block_snapshot& waiting, const holder& of) noexcept;

/// Calls each(line, argument) for the lines that tell of fibers that wait for one another in a
/// circle, and so for ever unless somebody else ends a wait. Each circle is told of once, and all
/// its waits have been on at the same moment.
/// Complexity: linear in the fibers. It maps memory for a few bytes each; without that it says so.
void for_each_cycle_line(void (*each)(std::string_view line, void* argument),
                         void* argument) noexcept;

}  // namespace heddle::detail
