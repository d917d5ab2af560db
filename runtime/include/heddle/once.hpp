// Code that runs once, whoever comes first.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/mutex_state.hpp>
#include <heddle/fwd.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <new>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

/// Who runs the code holds the mutex; the others wait for that, each for its try.
struct once_state {
    mutex_state running;
    std::atomic<bool> done = false;  ///< set by who holds it

    constexpr once_state() noexcept = default;
};

inline bool once_is_done(const once_state& state) noexcept {
    return state.done.load(std::memory_order_acquire);  // pairs with the store in once_try
}
/// Waits until it is done (then false) or the caller's to do.
bool once_begin(once_state& state) noexcept;
/// Lets the next one try, unless it is done.
void once_end(once_state& state, bool done) noexcept;

/// The caller's try, which has failed unless it is said to have succeeded.
class once_try {
public:
    explicit once_try(once_state& state) noexcept : state_(state), is_due_(once_begin(state)) {}
    once_try(const once_try&) = delete;
    once_try& operator=(const once_try&) = delete;
    ~once_try() {
        if (is_due_) {
            once_end(state_, succeeded_);
        }
    }
    bool is_due() const noexcept { return is_due_; }
    void succeed() noexcept { succeeded_ = true; }

private:
    once_state& state_;
    bool is_due_;
    bool succeeded_ = false;
};

}  // namespace detail

inline namespace v1 {

/// Whether call_once() has had its call; begins with no.
/// Threads: any fiber and any plain thread may name it in call_once().
/// Source: std::once_flag.
class once_flag {
public:
    constexpr once_flag() noexcept = default;
    once_flag(const once_flag&) = delete;
    once_flag& operator=(const once_flag&) = delete;

private:
    template <class F, class... Args>
    friend void call_once(once_flag& flag, F&& f, Args&&... args);

    detail::once_state state_;
};

/// Calls f(args...) if no call with this flag has succeeded yet.
///
/// Whoever comes while one is on waits for its end. A call that throws has not succeeded: the
/// exception travels to its caller, and another one tries: the one that has waited longest, or one
/// that comes just then, by the rules of a mutex. After this, what the call that succeeded has
/// written is seen. `f` may wait as it likes, and others with it: that is what this is for beside
/// std::call_once. It is an error of the program to come back to the same flag within `f`: the
/// process ends with a message.
///
/// A fiber must not give way inside std::call_once, or in the initialiser of a function's static
/// variable: whoever comes there meanwhile blocks the whole thread until the initialiser is over,
/// which it never is if it has to go on in that thread. Where heddle is built without optimisation
/// or with a sanitizer, the process ends with a message about the fiber that gives way there. (Not
/// seen: initialisers in shared libraries that heddle is not linked into, and libc++'s call_once.)
///
/// Blocks the calling fiber, never its thread; a plain thread blocks itself.
/// Cancellation: none while waiting. What `f` does when its fiber is asked to stop is its own
/// matter; heddle::cancelled is an exception like others here.
/// Errors: what `f` throws. Threads: any.
/// Source: std::call_once.
template <class F, class... Args>
void call_once(once_flag& flag, F&& f, Args&&... args) {
    if (detail::once_is_done(flag.state_)) [[likely]] {
        return;
    }
    detail::once_try own(flag.state_);
    if (own.is_due()) {
        static_cast<void>(std::invoke(std::forward<F>(f), std::forward<Args>(args)...));
        own.succeed();
    }
}

/// A value that is made when it is first asked for, once: what a function's static variable is, for
/// initialisers that wait.
///
/// Threads: as call_once. It is destroyed by one flow, when no call is on.
/// Example:
///     heddle::once<configuration> settings;
///     const auto& now = settings.call([] { return read_configuration("settings"); });
template <class T = void>
class once {
public:
    constexpr once() noexcept : nothing_() {}
    once(const once&) = delete;
    once& operator=(const once&) = delete;
    ~once() {
        if (detail::once_is_done(state_)) {
            value_.~T();
        }
    }

    /// The value; where there is none yet, what make(args...) returns becomes it, and is made in
    /// its place. That is called as by call_once.
    template <class F, class... Args>
    T& call(F&& make, Args&&... args) {
        if (!detail::once_is_done(state_)) [[unlikely]] {
            detail::once_try own(state_);
            if (own.is_due()) {
                ::new (std::addressof(value_))
                    T(std::invoke(std::forward<F>(make), std::forward<Args>(args)...));
                own.succeed();
            }
        }
        return value_;
    }

    /// The value if it has been made, else null; never waits.
    T* get() noexcept { return detail::once_is_done(state_) ? std::addressof(value_) : nullptr; }
    const T* get() const noexcept {
        return detail::once_is_done(state_) ? std::addressof(value_) : nullptr;
    }

private:
    detail::once_state state_;
    union {
        char nothing_;
        T value_;
    };
};

/// The same without a value: a once_flag with its call.
template <>
class once<void> {
public:
    constexpr once() noexcept = default;

    template <class F, class... Args>
    void call(F&& f, Args&&... args) {
        call_once(flag_, std::forward<F>(f), std::forward<Args>(args)...);
    }

private:
    once_flag flag_;
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
