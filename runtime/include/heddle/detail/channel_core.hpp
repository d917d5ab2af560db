// The part of a channel that does not depend on the type of its values, as far as the templates
// need it. How it works, the archive knows (runtime/sync/channel.hpp).
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/status.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle::detail {

struct channel_core;

/// What the archive has to know of the type T of a channel's values.
struct channel_type {
    std::size_t place_bytes;  ///< of a place in the ring, which holds a T, or a T* if `boxed`
    std::size_t place_align;
    bool boxed;  ///< moving a T may fail, so that it is never done under a lock
    /// Moves the T at `from` into the empty std::optional<T> at `into`.
    void (*deliver)(void* from, void* into);
    /// Moves the T at `from` into a place that holds nothing. If `boxed`, into a new box, a pointer
    /// to which it stores there.
    void (*store)(void* from, void* place);
    /// Destroys what a place holds. Null if there is nothing to do.
    void (*drop)(void* place) noexcept;
};

template <class T>
struct channel_functions {
    static constexpr bool boxed = !std::is_nothrow_move_constructible_v<T>;

    static void deliver(void* from, void* into) {
        static_cast<std::optional<T>*>(into)->emplace(std::move(*static_cast<T*>(from)));
    }
    static void store(void* from, void* place) {
        if constexpr (boxed) {
            *static_cast<T**>(place) = new T(std::move(*static_cast<T*>(from)));
        } else {
            ::new (place) T(std::move(*static_cast<T*>(from)));
        }
    }
    static void drop(void* place) noexcept {
        if constexpr (boxed) {
            delete *static_cast<T**>(place);
        } else {
            std::destroy_at(static_cast<T*>(place));
        }
    }

    using place = std::conditional_t<boxed, T*, T>;
    static constexpr channel_type type = {
        .place_bytes = sizeof(place),
        .place_align = alignof(place),
        .boxed = boxed,
        .deliver = deliver,
        .store = store,
        .drop = !boxed && std::is_trivially_destructible_v<T> ? nullptr : drop,
    };
};

/// Errors: std::length_error if so many places have no room in memory at all; std::bad_alloc.
channel_core* make_channel(const channel_type& type, std::size_t capacity);
void share_channel(channel_core& core) noexcept;
/// Destroys the channel, and what is in it, with the last of its handles.
void drop_channel(channel_core& core) noexcept;

/// Any status but `event` is to be settled, which gives what the caller is to report: event,
/// timed_out, cancelled or closed. Errors: what moving the value throws, and std::bad_alloc.
wait_status channel_send(channel_core& to, void* value, std::int64_t deadline_ns);
wait_status settle_send(channel_core& to, void* value, std::int64_t deadline_ns,
                        wait_status status);
wait_status channel_receive(channel_core& from, void* into, std::int64_t deadline_ns);
wait_status settle_receive(channel_core& from, void* into, std::int64_t deadline_ns,
                           wait_status status);
/// Whether it was done.
bool channel_try_send(channel_core& to, void* value);
bool channel_try_receive(channel_core& from, void* into);

void close_channel(channel_core& core) noexcept;
bool channel_is_closed(channel_core& core) noexcept;
std::size_t channel_capacity(const channel_core& core) noexcept;
std::size_t channel_size(channel_core& core) noexcept;

}  // namespace heddle::detail

#pragma GCC visibility pop
