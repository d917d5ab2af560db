// The channel behind the template: what it holds, and an operation on it in two steps.
//
// A step under the lock finds out what an operation comes upon, and takes it: a value in the ring,
// room there, or the partner that waits at the other end, which is claimed then and goes nowhere.
// The rest is done without the lock, because it calls the code of the value's type: that may throw,
// and may even give way. select takes the first step under the locks of all its channels.
#pragma once

#include "runtime/base/text.hpp"
#include "runtime/core/block_store.hpp"
#include "runtime/core/wait_list.hpp"

#include <heddle/detail/channel_core.hpp>

#include <atomic>
#include <cstddef>

namespace heddle::detail {

/// One channel, however many handles it has; the places of its ring follow it in memory.
///
/// Two kinds of values. Those that can be moved without fail lie in the ring itself and are moved
/// there under the lock; `used` and `filled` are the same then. Others lie in boxes, and the ring
/// holds pointers to those: whoever is about to make one has room kept for it, and who takes one
/// out keeps the room until the value has been moved out, to put it back if that fails. So a place
/// may be used and not filled for a while, but only by one who is about to come back to it.
struct channel_core {
    spin_lock lock;
    bool closed = false;
    const bool moves_at_meeting;  ///< without room, values that move without fail
    const bool moves_in_ring;     ///< with room, such values
    const channel_type& type;
    std::size_t capacity;
    std::size_t first = 0;   ///< the place of the value that is next to be received
    std::size_t filled = 0;  ///< values in the ring
    std::size_t used = 0;    ///< places that are filled or kept
    std::byte* ring;
    wait_list receivers;  ///< none while a value is in the ring
    wait_list senders;    ///< none while there is room
    std::atomic<std::size_t> handles = 1;

    channel_core(const channel_type& of, std::size_t room, std::byte* places) noexcept
        : moves_at_meeting(room == 0 && !of.boxed),
          moves_in_ring(room != 0 && !of.boxed),
          type(of),
          capacity(room),
          ring(places) {}

    /// The place that lies so many behind the first.
    std::byte* place(std::size_t behind) const noexcept {
        std::size_t index = first + behind;
        if (index >= capacity) {
            index -= capacity;
        }
        return ring + index * type.place_bytes;
    }
    /// No value is there, and none can come any more.
    bool drained() const noexcept { return closed && used == 0; }
};

/// What an operation has come upon.
enum class channel_find {
    nothing,  ///< it has to wait
    closed,   ///< it is in vain
    done,     ///< the value lies where it belongs. Still to be woken: `partner`, if not null
    partner,  ///< who waits for it and is claimed
    room,     ///< of a send: a place in the ring is kept for it
    box,      ///< of a receive: a box, taken out of the ring
};
struct channel_step {
    channel_find found;
    void* object = nullptr;  ///< the waiter or the box

    waiter* partner() const noexcept { return static_cast<waiter*>(object); }
};

/// The two directions. `begin` is called under the lock, `end` without it, for every find but
/// `nothing`; `end` throws what moving the value throws, and then nothing has changed.
/// `value` points to the T to be sent.
struct sending {
    static constexpr wait_reason reason = wait_reason::channel_send;
    static wait_list& queue(channel_core& of) noexcept { return of.senders; }
    static wait_list& partners(channel_core& of) noexcept { return of.receivers; }
    static void move(const channel_type& type, void* own, void* partners) {
        type.deliver(own, partners);
    }
    /// False: begin() would find nothing.
    static bool is_promising(const channel_core& of) noexcept {
        return of.used < of.capacity || !of.receivers.empty() || of.closed;
    }
    /// Whether the value goes into the ring and nobody is to be woken.
    static bool concerns_ring_alone(const channel_core& of) noexcept {
        return of.used < of.capacity && of.receivers.empty() && !of.closed;
    }
    static channel_step begin(channel_core& to, void* value) noexcept;
    static wait_status end(channel_core& to, void* value, channel_step step);
};
/// `into` points to an empty std::optional<T>.
struct receiving {
    static constexpr wait_reason reason = wait_reason::channel_receive;
    static wait_list& queue(channel_core& of) noexcept { return of.receivers; }
    static wait_list& partners(channel_core& of) noexcept { return of.senders; }
    static void move(const channel_type& type, void* own, void* partners) {
        type.deliver(partners, own);
    }
    static bool is_promising(const channel_core& of) noexcept {
        return of.filled != 0 || !of.senders.empty() || of.closed;
    }
    static bool concerns_ring_alone(const channel_core& of) noexcept {
        return of.filled != 0 && of.senders.empty();
    }
    static channel_step begin(channel_core& from, void* into) noexcept;
    static wait_status end(channel_core& from, void* into, channel_step step);
};

/// See channel_writer.
void add_channel(text_line& line, const block_snapshot& waiting) noexcept;

/// What a sender does that was admitted: it puts its value where room was kept for it.
void fill_kept_room(channel_core& to, void* value);

}  // namespace heddle::detail
