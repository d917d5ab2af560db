// Channels: values handed from fiber to fiber, in order, with room for some on the way or none.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/channel_core.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/error.hpp>
#include <heddle/fwd.hpp>
#include <heddle/time.hpp>

#include <cstddef>
#include <iterator>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

struct channel_access;

}  // namespace detail

inline namespace v1 {

/// Hands values of type T from those who send to those who receive, in the order in which they were
/// sent. `capacity` of them may be on the way at a time; without capacity, a sender and a receiver
/// meet, and the value goes from the one to the other.
///
/// A channel is a handle: copies of it are the same channel, which lives as long as one of them.
/// (Channels that lie in one another's values in a circle never end, as with std::shared_ptr.) What
/// was written before a send is seen after the recv that got the value. Senders are served in the
/// order in which they began to wait, and so are receivers.
///
/// T is movable, or copyable. A value is always in one place: it has been delivered, once, or is
/// still the sender's. An rvalue is moved from only when it is delivered, be it to a receiver or
/// into the channel; a send that ends otherwise leaves it untouched. If moving it throws, the one
/// whose call moved it gets the exception, nothing else has changed, and who waits waits on: a
/// value that was in the channel is still the next to be received. (A receiver that makes room for
/// a sender that waits tries to move that one's value. If that throws, the sender moves it again.)
/// T's move and destructor may give way, but for one case: where there is a capacity and T's move
/// constructor is noexcept, that and the destructor of what it leaves behind run under the
/// channel's lock, and must neither give way nor use the channel.
///
/// Cancellation: send() and recv() are cancellation points; nothing is sent or received then.
/// Threads: all members but assignment, move and destruction of a handle may be called at the same
/// time, by any fiber of any worker and by any plain thread. Of different handles, those too.
/// Source: Go's channels; std::optional for what Go's second result says.
template <class T>
class channel {
    static_assert(std::is_object_v<T> && std::is_same_v<T, std::remove_cv_t<T>> &&
                      !std::is_array_v<T>,
                  "a channel is for values of a type, without const and &");
    static_assert(std::is_move_constructible_v<T>, "a channel moves its values");
    static_assert(std::is_nothrow_destructible_v<T>,
                  "a channel's values must end without throwing");

public:
    using value_type = T;
    class iterator;

    /// An open channel with room for `capacity` values, which is taken now: sending allocates no
    /// memory, except where moving a T may throw, for each value that is put into the channel.
    /// Errors: std::bad_alloc; std::length_error if so many have no room in memory at all.
    explicit channel(std::size_t capacity = 0)
        : core_(detail::make_channel(detail::channel_functions<T>::type, capacity)) {}

    /// The same channel.
    channel(const channel& other) noexcept : core_(other.core_) {
        if (core_ != nullptr) {
            detail::share_channel(*core_);
        }
    }
    /// The same channel. The other handle has none then: it may be destroyed and assigned to.
    channel(channel&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    channel& operator=(channel other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    /// With the last handle the values that are still in the channel are destroyed.
    ~channel() {
        if (core_ != nullptr) {
            detail::drop_channel(*core_);
        }
    }

    /// Sends a value: waits until a receiver takes it or the channel has room for it.
    ///
    /// Blocks the calling fiber, never its thread (a plain thread blocks itself). One that never
    /// has to wait gives way every so often.
    /// Cancellation: throws heddle::cancelled; the value is still the caller's.
    /// Errors: throws std::system_error: heddle::errc::closed if the channel is closed, or is
    /// closed meanwhile; timed_out once `until` has passed. The value is still the caller's. Also
    /// what moving it throws, and std::bad_alloc where that may throw.
    HEDDLE_THROWS void send(T&& value, deadline until = deadline::never()) const {
        const detail::wait_status status = send_until(value, until);
        if (status != detail::wait_status::event) [[unlikely]] {
            detail::throw_wait_status(status, "heddle::channel::send");
        }
    }
    /// Sends a copy, which is made first.
    HEDDLE_THROWS void send(const T& value, deadline until = deadline::never()) const {
        send(T(value), until);
    }
    /// As above, but errors are reported in `ec`, and cancellation as operation_canceled. Throws
    /// only what copying and moving a T throws, and std::bad_alloc where moving it may throw.
    void send(T&& value, deadline until, std::error_code& ec) const {
        ec = detail::to_error_code(send_until(value, until));
    }
    void send(const T& value, deadline until, std::error_code& ec) const {
        send(T(value), until, ec);
    }
    void send(T&& value, std::error_code& ec) const {
        send(std::move(value), deadline::never(), ec);
    }
    void send(const T& value, std::error_code& ec) const { send(T(value), ec); }

    /// Sends a value if a receiver waits or there is room; never waits. False, and the value is
    /// still the caller's, if there is neither, or if the channel is closed. Errors: what copying
    /// and moving a T throws, and std::bad_alloc where moving it may throw.
    [[nodiscard]] bool try_send(T&& value) const {
        return detail::channel_try_send(*core_, std::addressof(value));
    }
    [[nodiscard]] bool try_send(const T& value) const { return try_send(T(value)); }

    /// Receives the next value, and waits for it if there is none. Empty once the channel is closed
    /// and all that was sent has been received.
    ///
    /// Blocks the calling fiber, never its thread (a plain thread blocks itself). One that never
    /// has to wait gives way every so often.
    /// Cancellation: throws heddle::cancelled; no value is taken.
    /// Errors: throws std::system_error(timed_out) once `until` has passed; no value is taken. Also
    /// what moving a T throws; the value is still there to be received.
    HEDDLE_THROWS std::optional<T> recv(deadline until = deadline::never()) const {
        std::optional<T> value;
        check_receive(receive_until(value, until));
        return value;
    }
    /// As above, but errors are reported in `ec`, and cancellation as operation_canceled; the
    /// optional is empty then. `ec` is clear where it is empty because the channel has ended.
    std::optional<T> recv(deadline until, std::error_code& ec) const {
        std::optional<T> value;
        const detail::wait_status status = receive_until(value, until);
        ec = status == detail::wait_status::closed ? std::error_code()
                                                   : detail::to_error_code(status);
        return value;
    }
    std::optional<T> recv(std::error_code& ec) const { return recv(deadline::never(), ec); }

    /// Receives the next value if there is one; never waits. Empty if there is none, be the channel
    /// closed or not. Errors: what moving a T throws; the value is still there to be received.
    [[nodiscard]] std::optional<T> try_recv() const {
        std::optional<T> value;
        detail::channel_try_receive(*core_, &value);
        return value;
    }

    /// Ends the channel: whoever sends, or waits to send, gets errc::closed; what is in the channel
    /// can be received still, and then receivers get an empty optional. Never waits, never fails;
    /// closing it again does nothing.
    void close() const noexcept { detail::close_channel(*core_); }

    /// Whether it was closed; there may be values in it still.
    [[nodiscard]] bool closed() const noexcept { return detail::channel_is_closed(*core_); }

    /// Values that have room in the channel.
    [[nodiscard]] std::size_t capacity() const noexcept { return detail::channel_capacity(*core_); }

    /// Values that are in the channel at this moment, which others may change at any time.
    [[nodiscard]] std::size_t size() const noexcept { return detail::channel_size(*core_); }

    /// The values as a range that ends with the channel: `for (T& value : jobs)`. Each step is a
    /// recv(). The handle must outlive the loop.
    HEDDLE_THROWS iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// Whether both are handles of the same channel.
    friend bool operator==(const channel& a, const channel& b) noexcept {
        return a.core_ == b.core_;
    }

private:
    friend detail::channel_access;

    detail::wait_status send_until(T& value, deadline until) const {
        void* const object = std::addressof(value);
        const detail::wait_status status =
            detail::channel_send(*core_, object, until.nanoseconds());
        if (status == detail::wait_status::event) [[likely]] {
            return status;
        }
        return detail::settle_send(*core_, object, until.nanoseconds(), status);
    }
    detail::wait_status receive_until(std::optional<T>& into, deadline until) const {
        const detail::wait_status status =
            detail::channel_receive(*core_, &into, until.nanoseconds());
        if (status == detail::wait_status::event) [[likely]] {
            return status;
        }
        return detail::settle_receive(*core_, &into, until.nanoseconds(), status);
    }
    static void check_receive(detail::wait_status status) {
        if (status != detail::wait_status::event && status != detail::wait_status::closed)
            [[unlikely]] {
            detail::throw_wait_status(status, "heddle::channel::recv");
        }
    }

    detail::channel_core* core_;
};

/// Goes through the values that a channel delivers; an input iterator.
template <class T>
class channel<T>::iterator {
public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;

    /// The value received last; it is the loop's to move from.
    T& operator*() const noexcept { return *value_; }
    T* operator->() const noexcept { return &*value_; }

    /// Receives the next one.
    HEDDLE_THROWS iterator& operator++() {
        value_.reset();
        receive();
        return *this;
    }
    HEDDLE_THROWS void operator++(int) { ++*this; }

    /// Whether the channel has ended.
    friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept {
        return !at.value_.has_value();
    }

private:
    friend channel;
    explicit iterator(const channel& from) : from_(&from) { receive(); }

    void receive() { check_receive(from_->receive_until(value_, deadline::never())); }

    const channel* from_;
    mutable std::optional<T> value_;
};

}  // namespace v1

namespace detail {

/// What select needs of a channel.
struct channel_access {
    template <class T>
    static channel_core& core(const heddle::channel<T>& of) noexcept {
        return *of.core_;
    }
};

}  // namespace detail
}  // namespace heddle

#pragma GCC visibility pop
