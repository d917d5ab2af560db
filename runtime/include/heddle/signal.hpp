// Waiting for signals as for anything else: SIGINT or SIGTERM become the result of a call.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/io.hpp>
#include <heddle/time.hpp>

#include <initializer_list>
#include <system_error>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

struct signal_slot;

/// The number of a signal that has arrived, or why there is none; of no slot, that it is closed.
io_result wait_signal(signal_slot* slot, std::int64_t deadline_ns) noexcept;
[[noreturn]] void throw_signal_error(io_result failure);

}  // namespace detail

inline namespace v1 {

/// Receives the given signals in place of what they would do, as long as it lives.
///
/// From its construction on, each of the signals that is sent to the process is kept for wait(). A
/// signal that comes again before it was waited for is one signal, as with the system's own. All
/// sets that name a signal receive it. When the last of them is gone, the signal does again what it
/// did before, unless somebody has set another handler meanwhile. A process that was forked from
/// this one and has not called exec treats its signals as if there were no set: waits on those it
/// has inherited fail with bad_file_descriptor, and it may make its own.
///
/// Signals of a terminal come to a whole group of processes; a program that ends by wait() decides
/// itself when it exits.
///
/// Threads: any; several may wait on one set, and each signal ends one wait. Nobody may wait on it
/// when it is destroyed.
/// Example:
///     heddle::signal_set ending{SIGINT, SIGTERM};
///     const int number = ending.wait();
/// Source: signal(7).
class signal_set {
public:
    /// Errors: std::system_error with invalid_argument for a number that is no signal, for one that
    /// cannot be caught (SIGKILL, SIGSTOP) and for one that reports a fault of the program's own
    /// (SIGSEGV, SIGBUS, SIGFPE, SIGILL), naming it; what the system says where it gives no
    /// descriptor; std::bad_alloc. Nothing has changed then. The form with `ec` reports them and
    /// makes a set that receives nothing, whose waits fail with bad_file_descriptor.
    HEDDLE_THROWS signal_set(std::initializer_list<int> signals);
    signal_set(std::initializer_list<int> signals, std::error_code& ec) noexcept;
    signal_set(const signal_set&) = delete;
    signal_set& operator=(const signal_set&) = delete;
    ~signal_set();

    /// Waits until one of the signals arrives, or takes one that has, and returns its number; of
    /// several, the lowest.
    ///
    /// Blocks the calling fiber, never its thread (a plain thread blocks itself). A program whose
    /// fibers all wait is not taken for a deadlock while one waits here.
    /// Cancellation: throws heddle::cancelled; no signal is taken.
    /// Errors: throws std::system_error with timed_out once `until` has passed. The forms with `ec`
    /// report it, and cancellation as operation_canceled, and return 0.
    HEDDLE_THROWS int wait(deadline until = deadline::never()) {
        const detail::io_result result = detail::wait_signal(slot_, until.nanoseconds());
        if (result < 0) [[unlikely]] {
            detail::throw_signal_error(result);
        }
        return static_cast<int>(result);
    }
    int wait(deadline until, std::error_code& ec) noexcept {
        return static_cast<int>(
            detail::checked(detail::wait_signal(slot_, until.nanoseconds()), ec));
    }
    int wait(std::error_code& ec) noexcept { return wait(deadline::never(), ec); }

private:
    detail::signal_slot* slot_ = nullptr;
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
