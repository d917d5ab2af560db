// Calls that report by a callback, made calls that wait.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/atomics.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/fiber_access.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/event.hpp>
#include <heddle/fiber.hpp>
#include <heddle/fwd.hpp>
#include <heddle/time.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

/// event_wait, with a reason of its own.
wait_status callback_wait(event_state& done, std::int64_t deadline_ns) noexcept;
/// The same, but neither deadline nor cancellation ends it.
void callback_wait_always(event_state& done) noexcept;

/// The code for an answer that will never come.
std::error_code broken_promise() noexcept;
[[noreturn]] void throw_callback_error(std::error_code code);

/// What a waiting call shares with the callbacks that it has handed out; it belongs to the last of
/// them that lets go of it, so that one who answers late finds it there.
///
/// The one who moves `phase` on from open settles what the outcome is: whoever answers, or the
/// waiting call when it gives up.
///
///   open ──► answering ──► answered    somebody answers; `done` is set then
///   open ──► given_up                  deadline or cancellation came first
enum class answer_phase : std::uint8_t { open, answering, answered, given_up };

struct answer_state {
    std::atomic<answer_phase> phase = answer_phase::open;
    std::atomic<std::uint32_t> callbacks = 1;  ///< that may still answer
    std::atomic<std::uint32_t> users = 2;      ///< the waiting call, and the callbacks together
    event_state done{{}, false, false, {}};
    std::error_code error;         ///< in place of a value
    std::exception_ptr exception;  ///< the same

    bool begin_answer() noexcept {
        return exchange_if(phase, answer_phase::open, answer_phase::answering);
    }
    void end_answer() noexcept {
        phase.store(answer_phase::answered, std::memory_order_relaxed);  // published by `done`
        event_set(done);
    }
    /// Whether an answer came, or is coming, before this.
    bool give_up() noexcept {
        return !exchange_if(phase, answer_phase::open, answer_phase::given_up);
    }
};

/// The same with room for a value. One of void has none.
template <class T>
struct answer : answer_state {
    std::optional<std::conditional_t<std::is_void_v<T>, char, T>> value;
};

/// One less; whether that was the last.
bool drop_one(std::atomic<std::uint32_t>& count) noexcept;
void add_one(std::atomic<std::uint32_t>& count) noexcept;

template <class T>
void drop_user(answer<T>* state) noexcept {
    if (drop_one(state->users)) {
        delete state;
    }
}

/// The waiting call's side.
template <class T>
class answer_taker {
public:
    answer_taker() : state_(new answer<T>) {}
    answer_taker(const answer_taker&) = delete;
    answer_taker& operator=(const answer_taker&) = delete;
    ~answer_taker() {
        state_->give_up();
        drop_user(state_);
    }

    answer<T>& state() const noexcept { return *state_; }

    /// The first of the callbacks; called once.
    completion<T> callback() const noexcept { return completion<T>(*state_); }

    /// Waits for the answer. After `event` there is one.
    wait_status wait(std::int64_t deadline_ns) const noexcept {
        const wait_status status = callback_wait(state_->done, deadline_ns);
        if (status == wait_status::event) [[likely]] {
            return status;
        }
        event_give_up(state_->done);
        if (!state_->give_up()) {
            return status;
        }
        // It is being given at this moment, and counts.
        callback_wait_always(state_->done);
        return wait_status::event;
    }

private:
    answer<T>* state_;
};

}  // namespace detail

inline namespace v1 {

/// The answer that an await_callback() waits for: call it with the value, once.
///
/// Copies stand for the same answer, so that it can be put into a std::function; the first call of
/// any of them counts. The wait ends with an error if the last copy is destroyed and none was
/// called. Answers that come after the waiting call has given up are dropped.
///
/// Threads: called, copied and destroyed in any fiber and any thread; never waits.
template <class T>
class completion {
public:
    completion(const completion& other) noexcept : state_(other.state_) {
        if (state_ != nullptr) {
            detail::add_one(state_->callbacks);
        }
    }
    completion(completion&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    completion& operator=(completion other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~completion() {
        if (state_ != nullptr && detail::drop_one(state_->callbacks)) {
            fail(detail::broken_promise());
            detail::drop_user(state_);
        }
    }

    /// Answers with a T made of the arguments (none for void). False, and nothing is made, if
    /// somebody has answered before or nobody waits any more. If making the T throws, that goes to
    /// the caller, and the wait ends as if the last copy had been destroyed.
    template <class... Args>
    requires(std::is_void_v<T> ? sizeof...(Args) == 0 : std::is_constructible_v<T, Args...>) bool
    operator()(Args&&... args) const {
        if (state_ == nullptr || !state_->begin_answer()) {
            return false;
        }
        struct ender {
            detail::answer<T>& state;
            ~ender() { state.end_answer(); }
        } const at_end{*state_};
        if constexpr (!std::is_void_v<T>) {
            state_->error = detail::broken_promise();
            state_->value.emplace(std::forward<Args>(args)...);
            state_->error.clear();
        }
        return true;
    }

    /// Answers with an error: the wait ends by std::system_error, or reports the code. One that is
    /// none counts as if the last copy had been destroyed, as does no exception below: there is no
    /// value. Otherwise as above.
    bool fail(std::error_code error) const noexcept {
        if (state_ == nullptr || !state_->begin_answer()) {
            return false;
        }
        state_->error = error ? error : detail::broken_promise();
        state_->end_answer();
        return true;
    }

    /// Answers with an exception, which the waiting call throws. Otherwise as above.
    bool fail(std::exception_ptr exception) const noexcept {
        if (state_ == nullptr || !state_->begin_answer()) {
            return false;
        }
        if (exception == nullptr) {
            state_->error = detail::broken_promise();
        }
        state_->exception = std::move(exception);
        state_->end_answer();
        return true;
    }

private:
    explicit completion(detail::answer<T>& state) noexcept : state_(&state) {}

    friend detail::answer_taker<T>;

    detail::answer<T>* state_;
};

/// Calls start(done), and waits until somebody calls `done`, a completion<T>, with the value, which
/// is then returned: a function that reports to a callback becomes one that waits.
///
/// `done` may be called at once, before start returns, or later, in any thread. If start throws,
/// that is passed on, and an answer that comes nevertheless is dropped.
///
/// Whoever gives a deadline, or may be cancelled, has to expect that the operation goes on after
/// this has returned: then the callback must not refer to anything of the caller's, but `done` can
/// be called all the same. Without a deadline, under a heddle::shield, only an answer ends the
/// wait, or the error that there will be none.
///
/// Blocks the calling fiber, never its thread; a plain thread blocks itself. Allocates what the
/// callback shares with the call.
/// Cancellation: throws heddle::cancelled; an answer that comes later is dropped. If the fiber was
/// asked to stop before, start is not called.
/// Errors: std::system_error with timed_out once `until` has passed; with the code that `done` was
/// given by fail(), or std::future_errc::broken_promise if it was destroyed and not called;
/// std::bad_alloc. What `done` was given as an exception is rethrown.
/// Threads: any fiber, any plain thread.
/// Example:
///     auto length = heddle::await_callback<std::size_t>([&](auto done) {
///         resolver.query(name, [done](std::size_t found) { done(found); });
///     });
template <class T = void, class Start>
HEDDLE_THROWS T await_callback(Start&& start, deadline until = deadline::never()) {
    std::error_code stopped;
    this_fiber::check_cancelled(stopped);
    if (stopped) [[unlikely]] {
        detail::throw_wait_status(detail::wait_status::cancelled, "heddle::await_callback");
    }
    const detail::answer_taker<T> taker;
    std::forward<Start>(start)(taker.callback());
    const detail::wait_status status = taker.wait(until.nanoseconds());
    if (status != detail::wait_status::event) [[unlikely]] {
        detail::throw_wait_status(status, "heddle::await_callback");
    }
    detail::answer<T>& given = taker.state();
    if (given.exception != nullptr) [[unlikely]] {
        std::rethrow_exception(std::exchange(given.exception, nullptr));
    }
    if (given.error) [[unlikely]] {
        detail::throw_callback_error(given.error);
    }
    if constexpr (!std::is_void_v<T>) {
        return std::move(*given.value);
    }
}

/// As above, but errors are reported in `ec`, cancellation as operation_canceled; then the optional
/// is empty (for void: the result is false). An exception that `done` was given is rethrown unless
/// it is a std::system_error, whose code is reported; where exceptions are switched off,
/// std::terminate is called in place of that.
template <class T = void, class Start>
[[gnu::always_inline]] inline std::conditional_t<std::is_void_v<T>, bool, std::optional<T>>
await_callback(Start&& start, deadline until, std::error_code& ec) {
    this_fiber::check_cancelled(ec);
    if (ec) {
        return {};
    }
    const detail::answer_taker<T> taker;
    std::forward<Start>(start)(taker.callback());
    const detail::wait_status status = taker.wait(until.nanoseconds());
    if (status != detail::wait_status::event) [[unlikely]] {
        ec = detail::to_error_code(status);
        return {};
    }
    detail::answer<T>& given = taker.state();
    if (given.exception != nullptr) [[unlikely]] {
        constexpr auto report = detail::code_may_throw ? detail::error_code_or_rethrow
                                                       : detail::error_code_or_terminate;
        ec = report(std::exchange(given.exception, nullptr));
        return {};
    }
    ec = given.error;
    if constexpr (std::is_void_v<T>) {
        return !ec;
    } else {
        return std::move(given.value);
    }
}
template <class T = void, class Start>
[[gnu::always_inline]] inline std::conditional_t<std::is_void_v<T>, bool, std::optional<T>>
await_callback(Start&& start, std::error_code& ec) {
    return await_callback<T>(std::forward<Start>(start), deadline::never(), ec);
}

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
