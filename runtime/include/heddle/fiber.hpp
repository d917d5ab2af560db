// Fibers: threads of control that cost a few kilobytes and a few nanoseconds.
//
// A fiber runs on a stack of its own, on the thread of the run() it was spawned in, and never on
// another. It gives way only where it waits or yields. `fiber` is to it what std::jthread is to a
// thread.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/fiber_access.hpp>
#include <heddle/detail/spawn.hpp>
#include <heddle/error.hpp>
#include <heddle/fwd.hpp>
#include <heddle/time.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {
inline namespace v1 {

/// Names a fiber for as long as the process lives: numbers are given in order and not reused.
/// A default-made id names no fiber. Prints as its number.
class fiber_id {
public:
    constexpr fiber_id() noexcept = default;
    explicit constexpr fiber_id(std::uint64_t number) noexcept : number_(number) {}

    /// The number, from 1; zero for no fiber.
    constexpr std::uint64_t number() const noexcept { return number_; }

    friend constexpr auto operator<=>(fiber_id, fiber_id) noexcept = default;

    template <class Char, class Traits>
    friend std::basic_ostream<Char, Traits>& operator<<(std::basic_ostream<Char, Traits>& out,
                                                        fiber_id id) {
        return out << id.number_;
    }

private:
    std::uint64_t number_ = 0;
};

/// Leaves the choice of a fiber's worker to heddle.
constexpr int any_worker = -1;

/// What a spawner may say about a fiber. Every member has a usable default.
struct fiber_options {
    /// For dumps and messages. Copied; the first 31 bytes are kept.
    std::string_view name = {};
    /// Stack to reserve, in bytes; rounded up to whole pages, and to one of eight sizes per power
    /// of two. Zero takes options::stack_bytes, whose range holds here, too.
    std::size_t stack_bytes = 0;
    /// The fiber changes rounding modes or other floating-point control words, and keeps its own
    /// across waits. Other fibers never see them.
    bool own_fp_environment = false;
    /// The worker to run on, from 0, or any_worker.
    int worker = any_worker;
};

}  // namespace v1

namespace detail {

template <class T>
class fiber_awaiter;

template <class F>
struct is_fiber : std::false_type {};
template <class T>
struct is_fiber<heddle::fiber<T>> : std::true_type {};

/// Whether F may be the function of a fiber: not one of the types that begin other overloads.
template <class F>
concept fiber_function = !std::is_same_v<std::remove_cvref_t<F>, fiber_options> &&
                         !is_fiber<std::remove_cvref_t<F>>::value;

template <class F, class... Args>
struct spawn_result {};
template <fiber_function F, class... Args>
struct spawn_result<F, Args...> : invoke_with_token_result<std::decay_t<F>, std::decay_t<Args>...> {
};

/// The type that F(Args...) gives on a fiber; absent where F cannot be called so.
template <class F, class... Args>
using spawn_result_t = typename spawn_result<F, Args...>::type;

/// Whether a fiber<T> can run F(Args...). One without a result drops what that gives.
template <class T, class F, class... Args>
concept fiber_function_for = fiber_function<F> &&
    std::is_same_v<T, std::conditional_t<std::is_void_v<T>, T, spawn_result_t<F, Args...>>>;

/// Gives select the fiber of a handle.
struct fiber_handle_access {
    template <class T>
    static fiber_block* block(const heddle::fiber<T>& of) noexcept {
        return of.block_;
    }
};

inline spawn_request to_request(const fiber_options& with, bool detached) noexcept {
    return {.name = with.name,
            .stack_bytes = with.stack_bytes,
            .worker = with.worker,
            .own_fp_environment = with.own_fp_environment,
            .detached = detached};
}

}  // namespace detail

inline namespace v1 {

/// A handle that owns a fiber: it takes the fiber's result, or stops and joins it at the end.
///
/// Move-only. A handle that outlives run() stays valid and joins at once. Threads: the fiber may
/// be joined from any fiber or plain thread, but one handle is used by one at a time, like a
/// std::thread. While a flow waits in join(), others may call request_stop() with the same handle:
/// those of its own thread at any time, those of another as long as that join cannot have returned,
/// which empties the handle and forgets the fiber.
template <class T = void>
class [[nodiscard]] fiber {
public:
    /// An empty handle.
    fiber() noexcept = default;

    /// Spawns a fiber that runs f(args...) on copies of both, made before this returns. F may take
    /// a std::stop_token first.
    ///
    /// The fiber starts later, in the order of spawning, unless somebody joins it first: that may
    /// run it at once. Even a fiber that is stopped before its start runs.
    /// Errors: throws std::logic_error outside a fiber; std::invalid_argument for a stack size or
    /// worker out of range, naming value and limit; std::bad_alloc; what copying f or args throws.
    /// Should no stack be had when the fiber is about to start, it ends at once, and join() throws
    /// std::system_error(not_enough_memory) naming the limit.
    /// Threads: called inside a fiber.
    template <class F, class... Args>
    requires detail::fiber_function_for<T, F, Args...>
    [[gnu::always_inline]] explicit fiber(F&& f, Args&&... args)
        : block_(detail::fill_and_launch<T>(detail::reserve(), std::forward<F>(f),
                                            std::forward<Args>(args)...)) {}

    /// The same with a name, a stack size or another wish.
    template <class F, class... Args>
    requires detail::fiber_function_for<T, F, Args...>
    [[gnu::always_inline]] fiber(fiber_options with, F&& f, Args&&... args)
        : block_(detail::fill_and_launch<T>(detail::reserve(detail::to_request(with, false)),
                                            std::forward<F>(f), std::forward<Args>(args)...)) {}

    fiber(fiber&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}

    /// Stops and joins the fiber that the handle owns, then takes the other's.
    fiber& operator=(fiber&& other) noexcept {
        if (this != &other) {
            reset();
            block_ = std::exchange(other.block_, nullptr);
        }
        return *this;
    }

    /// Requests stop and joins, as std::jthread does. Not a cancellation point. If the fiber ended
    /// by an exception other than heddle::cancelled, the process terminates and names it; one that
    /// got no stack has done nothing, and is dropped like one that was stopped in time.
    ~fiber() { reset(); }

    /// Waits until the fiber has ended, and gives its value or rethrows its exception. The handle
    /// is empty then.
    ///
    /// Blocks the calling fiber, never its thread (a plain thread blocks itself). A fiber that has
    /// not started may be run at once. What the fiber wrote is visible afterwards.
    /// Cancellation: throws heddle::cancelled; the handle stays joinable.
    /// Errors: throws std::system_error with timed_out once `until` has passed (the handle stays
    /// joinable), operation_canceled if the fiber ended by heddle::cancelled, invalid_argument for
    /// an empty handle, resource_deadlock_would_occur for the fiber's own handle.
    HEDDLE_THROWS T join(deadline until = deadline::never()) {
        check_owning();
        const detail::wait_status status = detail::join_wait(block_, until.nanoseconds());
        if (status != detail::wait_status::event && !detail::join_withdraw(block_)) [[unlikely]] {
            detail::throw_join_status(status);
        }
        return take();
    }

    /// As join(until), but its errors and the end by heddle::cancelled are reported in `ec`: the
    /// optional is then empty. An exception of the fiber's own is rethrown, unless it is a
    /// std::system_error, whose code is reported. Where exceptions are switched off, std::terminate
    /// is called in place of rethrowing.
    [[gnu::always_inline]] std::optional<T>
    join(deadline until,
         std::error_code& ec) requires(!std::is_void_v<T> && !std::is_reference_v<T>) {
        if (!join_step(until, ec)) {
            return std::nullopt;
        }
        return take_result();
    }
    [[gnu::always_inline]] std::optional<T>
    join(std::error_code& ec) requires(!std::is_void_v<T> && !std::is_reference_v<T>) {
        return join(deadline::never(), ec);
    }

    /// The same for a fiber without a value: whether it was joined and ended well.
    [[gnu::always_inline]] bool join(deadline until,
                                     std::error_code& ec) requires std::is_void_v<T> {
        if (!join_step(until, ec)) {
            return false;
        }
        take_result();
        return true;
    }
    [[gnu::always_inline]] bool join(std::error_code& ec) requires std::is_void_v<T> {
        return join(deadline::never(), ec);
    }

    /// Whether the handle owns a fiber.
    bool joinable() const noexcept { return block_ != nullptr; }

    /// Asks the fiber to stop: its current or next cancellation point throws heddle::cancelled,
    /// and its stop token says so. Sticky. False if it had been asked before or the handle is
    /// empty. Callbacks of the token run in the caller; in a fiber they must neither wait nor give
    /// way, or the process ends with a message. Threads: any fiber or plain thread.
    bool request_stop() { return block_ != nullptr && detail::request_fiber_stop(block_); }

    /// The fiber's id; that of no fiber for an empty handle.
    fiber_id get_id() const noexcept {
        return block_ == nullptr ? fiber_id() : fiber_id(detail::fiber_number(block_));
    }

    /// A token that tells when the fiber is asked to stop. Made at the first call.
    /// Errors: std::bad_alloc; std::system_error(invalid_argument) for an empty handle.
    [[gnu::always_inline]] std::stop_token get_stop_token() const {
        check_owning();
        return detail::fiber_stop_token(block_);
    }

    /// Lets the fiber go on by itself; run() stops and joins it at the end. Its value is dropped;
    /// an exception of its own terminates the process, or goes to options::on_detached_exception.
    /// Errors: std::system_error(invalid_argument) for an empty handle.
    [[gnu::always_inline]] void detach() {
        check_owning();
        detail::detach_fiber(std::exchange(block_, nullptr));
    }

    void swap(fiber& other) noexcept { std::swap(block_, other.block_); }
    friend void swap(fiber& a, fiber& b) noexcept { a.swap(b); }

private:
    friend detail::fiber_awaiter<T>;

    void reset() noexcept {
        if (block_ != nullptr) {
            detail::stop_and_join(std::exchange(block_, nullptr));
        }
    }

    [[gnu::always_inline]] void check_owning() const {
        if (block_ == nullptr) [[unlikely]] {
            constexpr auto report = detail::code_may_throw ? detail::throw_fiber_error
                                                           : detail::terminate_for_fiber_error;
            report(std::errc::invalid_argument, "heddle::fiber: the handle is empty");
        }
    }

    // Joins for the error_code forms; true if there is a result to take.
    [[gnu::always_inline]] bool join_step(deadline until, std::error_code& ec) {
        ec.clear();
        if (block_ == nullptr) [[unlikely]] {
            ec = std::make_error_code(std::errc::invalid_argument);
            return false;
        }
        const detail::wait_status status = detail::join_wait(block_, until.nanoseconds());
        if (status != detail::wait_status::event && !detail::join_withdraw(block_)) {
            ec = status == detail::wait_status::refused
                     ? std::make_error_code(std::errc::resource_deadlock_would_occur)
                     : detail::to_error_code(status);
            return false;
        }
        if (std::exception_ptr exception = detail::take_exception(block_)) {
            detail::release_fiber(std::exchange(block_, nullptr));
            constexpr auto report = detail::code_may_throw ? detail::error_code_or_rethrow
                                                           : detail::error_code_or_terminate;
            ec = report(std::move(exception));
            return false;
        }
        return true;
    }

    // Takes the result of a fiber that has ended, or throws what ended it.
    T take() {
        if constexpr (std::is_void_v<T>) {
            detail::fiber_block* const block = std::exchange(block_, nullptr);
            if (!detail::release_if_well(block)) [[unlikely]] {
                detail::release_and_rethrow(block);
            }
        } else {
            if (detail::ended_by_exception(block_)) [[unlikely]] {
                detail::release_and_rethrow(std::exchange(block_, nullptr));
            }
            return take_result();
        }
    }

    // Takes the result of a fiber that has ended well.
    T take_result() {
        struct releaser {
            detail::fiber_block* block;
            ~releaser() { detail::release_fiber(block); }
        } const at_end{std::exchange(block_, nullptr)};
        if constexpr (std::is_reference_v<T>) {
            return static_cast<T>(
                *detail::take<detail::stored_result<T>>(detail::result_storage(at_end.block)));
        } else if constexpr (!std::is_void_v<T>) {
            return detail::take<T>(detail::result_storage(at_end.block));
        }
    }

    friend detail::fiber_handle_access;

    detail::fiber_block* block_ = nullptr;
};

template <class F, class... Args>
requires detail::fiber_function<F> fiber(F, Args...)
->fiber<detail::spawn_result_t<F, Args...>>;
template <class F, class... Args>
requires detail::fiber_function<F> fiber(fiber_options, F, Args...)
->fiber<detail::spawn_result_t<F, Args...>>;

/// Spawns a fiber that runs f(args...); the same as making a fiber handle of it.
template <class F, class... Args>
requires detail::fiber_function<F>
[[nodiscard, gnu::always_inline]] inline auto spawn(F&& f, Args&&... args)
    -> fiber<detail::spawn_result_t<F, Args...>> {
    return fiber<detail::spawn_result_t<F, Args...>>(std::forward<F>(f),
                                                     std::forward<Args>(args)...);
}
template <class F, class... Args>
requires detail::fiber_function<F>
[[nodiscard, gnu::always_inline]] inline auto spawn(fiber_options with, F&& f, Args&&... args)
    -> fiber<detail::spawn_result_t<F, Args...>> {
    return fiber<detail::spawn_result_t<F, Args...>>(with, std::forward<F>(f),
                                                     std::forward<Args>(args)...);
}

/// Spawns a fiber that nobody joins. run() stops and joins it when the main function has returned.
///
/// An exception that leaves it, other than heddle::cancelled, terminates the process with the
/// throwing stack still in place and the fiber named, or goes to options::on_detached_exception.
/// Errors and threads: as for fiber's constructor. Should no stack be had, that is such an
/// exception too.
template <class F, class... Args>
requires detail::fiber_function<F>
[[gnu::always_inline]] inline void spawn_detached(F&& f, Args&&... args) {
    detail::fill_and_launch<void>(detail::reserve(detail::to_request({}, true)), std::forward<F>(f),
                                  std::forward<Args>(args)...);
}
template <class F, class... Args>
requires detail::fiber_function<F>
[[gnu::always_inline]] inline void spawn_detached(fiber_options with, F&& f, Args&&... args) {
    detail::fill_and_launch<void>(detail::reserve(detail::to_request(with, true)),
                                  std::forward<F>(f), std::forward<Args>(args)...);
}

}  // namespace v1

namespace detail {

void yield() noexcept;
wait_status sleep(std::int64_t deadline_ns) noexcept;

inline void sleep_or_throw(std::int64_t deadline_ns) {
    const wait_status status = sleep(deadline_ns);
    if (status == wait_status::cancelled) [[unlikely]] {
        throw_wait_status(status, "heddle::this_fiber::sleep_until");
    }
}

std::uint64_t current_fiber_number() noexcept;
bool cancellation_pending() noexcept;

}  // namespace detail

inline namespace v1 {

/// What the running fiber says about itself.
namespace this_fiber {

/// Lets the other runnable fibers of this worker go first, each once. On a plain thread, yields
/// the thread. Not a cancellation point.
inline void yield() noexcept {
    detail::yield();
}

/// Waits until the given point of the steady clock, never less.
///
/// How much later depends on what else runs. An idle worker wakes as exactly as the system wakes
/// any thread (on Linux, the timer slack of prctl(2) PR_SET_TIMERSLACK: 50 us unless set), but
/// where at least 8 of its waits are due within half a millisecond, it may wake once for all of
/// them, when the last is: up to half a millisecond later. So with every deadline of a wait.
///
/// Blocks the calling fiber, never its thread (a plain thread blocks itself). A point in the past
/// yields once. Cancellation: throws heddle::cancelled.
HEDDLE_THROWS inline void sleep_until(deadline until) {
    detail::sleep_or_throw(until.nanoseconds());
}
/// As above; cancellation is reported as operation_canceled.
inline void sleep_until(deadline until, std::error_code& ec) noexcept {
    const detail::wait_status status = detail::sleep(until.nanoseconds());
    ec = status == detail::wait_status::cancelled ? detail::to_error_code(status)
                                                  : std::error_code();
}

/// Waits for at least the given duration; see sleep_until.
template <class Rep, class Period>
HEDDLE_THROWS void sleep_for(std::chrono::duration<Rep, Period> duration) {
    detail::sleep_or_throw(deadline(duration).nanoseconds());
}
template <class Rep, class Period>
void sleep_for(std::chrono::duration<Rep, Period> duration, std::error_code& ec) noexcept {
    sleep_until(deadline(duration), ec);
}

/// The id of the running fiber; on a plain thread, that of no fiber.
inline fiber_id get_id() noexcept {
    return fiber_id(detail::current_fiber_number());
}

/// The running fiber's stop token; on a plain thread, one that can never be asked to stop. It does
/// not tell of a scope in whose body the fiber is: see scope::get_stop_token. Made at the first
/// call. Errors: std::bad_alloc.
inline std::stop_token get_stop_token() {
    return detail::current_stop_token();
}

/// Throws heddle::cancelled if the running fiber was asked to stop, or a scope in whose body it is
/// has been cancelled; it has yielded once then. In a destructor that runs during unwinding it does
/// nothing for what comes from outside of that. Otherwise does not give way, but looks for requests
/// of other threads, and at the clock if anything has a deadline.
HEDDLE_THROWS inline void check_cancelled() {
    if (detail::cancellation_pending()) [[unlikely]] {
        detail::yield();
        detail::throw_wait_status(detail::wait_status::cancelled,
                                  "heddle::this_fiber::check_cancelled");
    }
}
/// As above; cancellation is reported as operation_canceled.
inline void check_cancelled(std::error_code& ec) noexcept {
    ec.clear();
    if (detail::cancellation_pending()) [[unlikely]] {
        detail::yield();
        ec = detail::to_error_code(detail::wait_status::cancelled);
    }
}

}  // namespace this_fiber
}  // namespace v1
}  // namespace heddle

template <>
struct std::hash<heddle::fiber_id> {
    std::size_t operator()(heddle::fiber_id id) const noexcept {
        return std::hash<std::uint64_t>()(id.number());
    }
};

#pragma GCC visibility pop
