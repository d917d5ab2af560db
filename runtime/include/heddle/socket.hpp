// TCP: listeners that accept streams, and streams of bytes between two peers.
//
// The calls look blocking and block the calling fiber only; on a plain thread they block that
// thread. Objects may be made before run() and used inside. Each call that can fail has three
// forms: it throws, or with a trailing std::error_code& it reports there and never throws.
#pragma once

#include <heddle/address.hpp>
#include <heddle/buffer.hpp>
#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/io.hpp>
#include <heddle/time.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

/// Names a socket of heddle's: its number, and an id that is never used again. A call keeps a copy,
/// and so touches nothing of an object that is closed, moved or destroyed while it waits.
struct socket_ref {
    int fd = -1;  ///< -1 for a closed one
    std::uint64_t id = 0;
};

/// A socket that closes itself. Move-only.
class owned_socket {
public:
    owned_socket() noexcept = default;
    /// Takes a non-blocking descriptor and gives it an id.
    explicit owned_socket(int fd) noexcept;
    owned_socket(owned_socket&& other) noexcept : ref_(std::exchange(other.ref_, {})) {}
    owned_socket& operator=(owned_socket&& other) noexcept {
        owned_socket taken(std::move(other));
        std::swap(ref_, taken.ref_);
        return *this;
    }
    /// Out of line, since gcc 12 warns of the inlined one in a std::optional (its bug 80635).
    ~owned_socket();

    void close() noexcept;
    socket_ref ref() const noexcept { return ref_; }

private:
    socket_ref ref_;
};

/// Gives select the socket of an object.
struct socket_access {
    template <class Socket>
    static socket_ref ref(const Socket& of) noexcept {
        return of.socket_.ref();
    }
};

io_result accept(socket_ref listener, std::int64_t deadline_ns) noexcept;
io_result receive(socket_ref stream, mutable_buffer into, std::int64_t deadline_ns) noexcept;
io_result receive_exactly(socket_ref stream, mutable_buffer into,
                          std::int64_t deadline_ns) noexcept;
io_result send(socket_ref stream, const_buffer from, std::int64_t deadline_ns) noexcept;
io_result send_all(socket_ref stream, const_buffer from, std::int64_t deadline_ns) noexcept;

// Throw what a negative result of `call` ("read from") means, and name the address.
[[noreturn]] void throw_stream_error(io_result failure, const char* call, socket_ref stream);
[[noreturn]] void throw_listener_error(io_result failure, const char* call, socket_ref listener);

}  // namespace detail

inline namespace v1 {

/// A TCP connection. Move-only; the destructor closes it.
///
/// One fiber may read while another writes. Calls in the same direction are served in turn, but
/// those of several steps (read_exactly, write_all) may mix. An operation that fails leaves the
/// stream as usable as the peer does. close(), and the destructor likewise, wakes whoever waits on
/// the stream.
/// Threads: one at a time, and a stream that a fiber waits on only from that fiber's own.
class tcp_stream {
public:
    /// A closed stream.
    tcp_stream() noexcept = default;

    /// Connects to an IP address.
    ///
    /// Blocks the calling fiber, never its thread (a plain thread blocks itself).
    /// Cancellation: throws heddle::cancelled.
    /// Errors: throws std::system_error that names the address: timed_out once `until` has passed,
    /// connection_refused where nobody listens, address_family_not_supported where `to` is no IP
    /// address, too_many_files_open and the like. The forms with `ec` report them, and
    /// cancellation as operation_canceled, and return a closed stream.
    HEDDLE_THROWS static tcp_stream connect(const address& to, deadline until = deadline::never());
    static tcp_stream connect(const address& to, deadline until, std::error_code& ec) noexcept;
    static tcp_stream connect(const address& to, std::error_code& ec) noexcept {
        return connect(to, deadline::never(), ec);
    }

    /// Connects to the text of an IP address, or to "localhost", which stands for 127.0.0.1 and,
    /// where that fails, ::1. Otherwise as above.
    /// Errors: also not_supported where `host` is a name: this version looks up none.
    HEDDLE_THROWS static tcp_stream connect(std::string_view host, std::uint16_t port,
                                            deadline until = deadline::never());
    static tcp_stream connect(std::string_view host, std::uint16_t port, deadline until,
                              std::error_code& ec) noexcept;
    static tcp_stream connect(std::string_view host, std::uint16_t port,
                              std::error_code& ec) noexcept {
        return connect(host, port, deadline::never(), ec);
    }

    /// Reads into the buffer what has come, at least one byte, and returns how many; 0 at the end
    /// of the stream. With an empty buffer it returns 0 at once, whatever state the stream is in.
    ///
    /// Blocks the calling fiber, never its thread (a plain thread blocks itself).
    /// Cancellation: throws heddle::cancelled; nothing has been read.
    /// Errors: throws std::system_error: timed_out once `until` has passed (nothing has been read),
    /// connection_reset, bad_file_descriptor where the stream is closed, operation_canceled where
    /// it was closed meanwhile. The forms with `ec` report them, and cancellation as
    /// operation_canceled, and return 0.
    HEDDLE_THROWS std::size_t read(mutable_buffer into, deadline until = deadline::never()) {
        const detail::socket_ref stream = socket_.ref();
        const detail::io_result result = detail::receive(stream, into, until.nanoseconds());
        if (result < 0) [[unlikely]] {
            detail::throw_stream_error(result, "read from", stream);
        }
        return static_cast<std::size_t>(result);
    }
    std::size_t read(mutable_buffer into, deadline until, std::error_code& ec) noexcept {
        return static_cast<std::size_t>(
            detail::checked(detail::receive(socket_.ref(), into, until.nanoseconds()), ec));
    }
    std::size_t read(mutable_buffer into, std::error_code& ec) noexcept {
        return read(into, deadline::never(), ec);
    }

    /// Fills the whole buffer, in as many steps as it takes; otherwise as read. After a failure or
    /// a cancellation some of the bytes may have come, and are lost: where they matter, use read.
    /// Errors: also heddle::errc::end_of_stream where the peer ends the stream before that.
    HEDDLE_THROWS void read_exactly(mutable_buffer into, deadline until = deadline::never()) {
        const detail::socket_ref stream = socket_.ref();
        const detail::io_result result = detail::receive_exactly(stream, into, until.nanoseconds());
        if (result < 0) [[unlikely]] {
            detail::throw_stream_error(result, "read from", stream);
        }
    }
    void read_exactly(mutable_buffer into, deadline until, std::error_code& ec) noexcept {
        detail::checked(detail::receive_exactly(socket_.ref(), into, until.nanoseconds()), ec);
    }
    void read_exactly(mutable_buffer into, std::error_code& ec) noexcept {
        read_exactly(into, deadline::never(), ec);
    }

    /// Writes what the system takes of the buffer, at least one byte, and returns how many. An
    /// empty buffer returns 0 at once, whatever state the stream is in. That the system took bytes
    /// does not say that they have arrived.
    ///
    /// Blocks the calling fiber, never its thread (a plain thread blocks itself).
    /// Cancellation: throws heddle::cancelled; nothing has been written.
    /// Errors: throws std::system_error: timed_out once `until` has passed (nothing has been
    /// written), broken_pipe where writing was shut down or the peer is gone (never SIGPIPE),
    /// connection_reset, bad_file_descriptor where the stream is closed, operation_canceled where
    /// it was closed meanwhile. The forms with `ec` report them, and cancellation as
    /// operation_canceled, and return 0.
    HEDDLE_THROWS std::size_t write(const_buffer from, deadline until = deadline::never()) {
        const detail::socket_ref stream = socket_.ref();
        const detail::io_result result = detail::send(stream, from, until.nanoseconds());
        if (result < 0) [[unlikely]] {
            detail::throw_stream_error(result, "write to", stream);
        }
        return static_cast<std::size_t>(result);
    }
    std::size_t write(const_buffer from, deadline until, std::error_code& ec) noexcept {
        return static_cast<std::size_t>(
            detail::checked(detail::send(socket_.ref(), from, until.nanoseconds()), ec));
    }
    std::size_t write(const_buffer from, std::error_code& ec) noexcept {
        return write(from, deadline::never(), ec);
    }

    /// Writes the whole buffer, in as many steps as it takes; otherwise as write. After a failure
    /// or a cancellation some of the bytes may have been written: where one must know how many,
    /// use write.
    HEDDLE_THROWS void write_all(const_buffer from, deadline until = deadline::never()) {
        const detail::socket_ref stream = socket_.ref();
        const detail::io_result result = detail::send_all(stream, from, until.nanoseconds());
        if (result < 0) [[unlikely]] {
            detail::throw_stream_error(result, "write to", stream);
        }
    }
    void write_all(const_buffer from, deadline until, std::error_code& ec) noexcept {
        detail::checked(detail::send_all(socket_.ref(), from, until.nanoseconds()), ec);
    }
    void write_all(const_buffer from, std::error_code& ec) noexcept {
        write_all(from, deadline::never(), ec);
    }

    /// Ends this side's bytes: the peer reads the end of the stream after them. Reading goes on.
    /// Does not wait. Errors: throws std::system_error: not_connected where the connection is gone,
    /// bad_file_descriptor where the stream is closed. The form with `ec` reports them.
    HEDDLE_THROWS void shutdown_write();
    void shutdown_write(std::error_code& ec) noexcept;

    /// Closes the stream; does nothing if it is closed. Whoever waits on it gets
    /// operation_canceled, later calls get bad_file_descriptor. Bytes that were written are still
    /// sent. Bytes that had come and were not read make the system tell the peer of a reset.
    void close() noexcept { socket_.close(); }

    /// The address of this side, or of the peer. Errors: throws std::system_error: not_connected
    /// where the connection is gone (of the peer's address), bad_file_descriptor where the stream
    /// is closed. The forms with `ec` report them and return no address.
    HEDDLE_THROWS address local_address() const;
    address local_address(std::error_code& ec) const noexcept;
    HEDDLE_THROWS address remote_address() const;
    address remote_address(std::error_code& ec) const noexcept;

    /// Whether small writes are sent at once instead of being held back while earlier ones are
    /// unanswered; off in a new stream. Errors: throws std::system_error; the form with `ec`
    /// reports them.
    HEDDLE_THROWS void set_no_delay(bool on);
    void set_no_delay(bool on, std::error_code& ec) noexcept;

    /// The descriptor, -1 for a closed stream. It stays the stream's: do not close it.
    int native_handle() const noexcept { return socket_.ref().fd; }

private:
    friend class tcp_listener;

    friend detail::socket_access;

    explicit tcp_stream(int fd) noexcept : socket_(fd) {}

    detail::owned_socket socket_;
};

/// What a listener may be told. Every member has a usable default.
struct listen_options {
    /// Connections that may wait to be accepted. The system has a limit of its own
    /// (net.core.somaxconn on Linux) and cuts what is above it.
    int backlog = 4096;
    /// Listen although connections of an earlier listener on the port are still dying out.
    bool reuse_address = true;
    /// Share the port with other listeners that say so too; the system spreads connections.
    bool reuse_port = false;
    /// An IPv6 wildcard takes no IPv4 connections.
    bool ipv6_only = false;
};

/// A TCP socket that listens. Move-only; the destructor closes it.
///
/// Several fibers may accept at once; they are served in the order in which they began to wait.
///
/// When the process or the system has no descriptor left, the connections that there are go on,
/// and accept() fails at once as long as that lasts, since connections still wait. A loop around
/// accept() should go on after such an error, but pause before it tries again (10 ms by
/// this_fiber::sleep_for, say): connections that end meanwhile give descriptors back, and a loop
/// without a pause would keep a CPU busy, though it starves no other fiber.
///
/// Threads: one at a time, and a listener that a fiber waits on only from that fiber's own.
class tcp_listener {
public:
    /// A closed listener.
    tcp_listener() noexcept = default;

    /// Listens on an IP address. With port 0 the system chooses one, which local_address() tells.
    ///
    /// Errors: throws std::system_error that names the address: address_in_use,
    /// permission_denied, address_not_available, address_family_not_supported where `at` is no IP
    /// address, too_many_files_open and the like. The forms with `ec` report them and make a
    /// closed listener.
    HEDDLE_THROWS explicit tcp_listener(const address& at, listen_options with = {});
    tcp_listener(const address& at, listen_options with, std::error_code& ec) noexcept;
    tcp_listener(const address& at, std::error_code& ec) noexcept : tcp_listener(at, {}, ec) {}

    /// Waits for the next connection and returns it. Connections that their peers gave up before
    /// are passed over.
    ///
    /// Blocks the calling fiber, never its thread (a plain thread blocks itself).
    /// Cancellation: throws heddle::cancelled; no connection is taken.
    /// Errors: throws std::system_error: timed_out once `until` has passed; too_many_files_open,
    /// too_many_files_open_in_system, no_buffer_space and not_enough_memory, after which the
    /// connection goes on waiting, and the next call fails at once while nothing has changed (see
    /// above); bad_file_descriptor where the listener is closed, operation_canceled where it was
    /// closed meanwhile. The forms with `ec` report them, and cancellation as operation_canceled,
    /// and return a closed stream.
    HEDDLE_THROWS tcp_stream accept(deadline until = deadline::never()) {
        const detail::socket_ref listener = socket_.ref();
        const detail::io_result result = detail::accept(listener, until.nanoseconds());
        if (result < 0) [[unlikely]] {
            detail::throw_listener_error(result, "accept at", listener);
        }
        return tcp_stream(static_cast<int>(result));
    }
    tcp_stream accept(deadline until, std::error_code& ec) noexcept {
        const detail::io_result result = detail::accept(socket_.ref(), until.nanoseconds());
        detail::checked(result, ec);
        return result < 0 ? tcp_stream() : tcp_stream(static_cast<int>(result));
    }
    tcp_stream accept(std::error_code& ec) noexcept { return accept(deadline::never(), ec); }

    /// The address that is listened on. Errors: throws std::system_error(bad_file_descriptor) where
    /// the listener is closed. The form with `ec` reports it and returns no address.
    HEDDLE_THROWS address local_address() const;
    address local_address(std::error_code& ec) const noexcept;

    /// Closes the listener; does nothing if it is closed. Whoever waits in accept() gets
    /// operation_canceled, later calls get bad_file_descriptor. Connections that nobody has
    /// accepted are reset.
    void close() noexcept { socket_.close(); }

    /// The descriptor, -1 for a closed listener. It stays the listener's: do not close it.
    int native_handle() const noexcept { return socket_.ref().fd; }

private:
    friend detail::socket_access;

    detail::owned_socket socket_;
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
