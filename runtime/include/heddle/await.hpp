// Fibers and C++20 coroutines wait for one another.
//
// A fiber waits for anything that a coroutine could, by await(). A coroutine waits for the result
// of a fiber, by `co_await std::move(handle)`. Empty where the compiler has no coroutines.
#pragma once

#ifdef __cpp_impl_coroutine

#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/fiber_access.hpp>
#include <heddle/event.hpp>
#include <heddle/fiber.hpp>
#include <heddle/fwd.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

/// Waits for the event; neither deadline nor cancellation ends that.
void coroutine_wait(event_state& done) noexcept;

/// What co_await asks an awaitable for: its operator co_await, or itself.
template <class Awaitable>
decltype(auto) awaiter_of(Awaitable&& awaitable) {
    if constexpr (requires { std::forward<Awaitable>(awaitable).operator co_await(); }) {
        return std::forward<Awaitable>(awaitable).operator co_await();
    } else if constexpr (requires { operator co_await(std::forward<Awaitable>(awaitable)); }) {
        return operator co_await(std::forward<Awaitable>(awaitable));
    } else {
        return std::forward<Awaitable>(awaitable);
    }
}

/// What lies in the frame of an await() while it waits.
struct await_frame {
    event_state done{{}, false, false, {}};
    std::exception_ptr exception;
};
template <class Result>
struct await_result : await_frame {
    std::optional<Result> value;
    Result take() { return std::move(*value); }
};
template <class Result>
struct await_result<Result&> : await_frame {
    Result* value = nullptr;
    Result& take() { return *value; }
};
template <class Result>
struct await_result<Result&&> : await_frame {
    Result* value = nullptr;
    Result&& take() { return std::move(*value); }
};
template <>
struct await_result<void> : await_frame {
    void take() {}
};

/// A coroutine that waits in a fiber's place, and then lets that go on.
class await_coroutine {
public:
    struct promise_type {
        template <class... Rest>
        explicit promise_type(await_frame& to, Rest&&...) noexcept : frame(&to) {}

        await_coroutine get_return_object() noexcept {
            return await_coroutine(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        auto final_suspend() noexcept {
            struct wake_fiber {
                bool await_ready() noexcept { return false; }
                // Not inline, so that nothing of it lies in the coroutine's frame: that is gone as
                // soon as the fiber goes on.
                [[gnu::noinline]] void
                await_suspend(std::coroutine_handle<promise_type> self) noexcept {
                    event_set(self.promise().frame->done);
                }
                void await_resume() noexcept {}
            };
            return wake_fiber{};
        }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { frame->exception = std::current_exception(); }

        await_frame* frame;
    };

    explicit await_coroutine(std::coroutine_handle<promise_type> self) noexcept : self_(self) {}
    // Clang 14 moves it out of the coroutine.
    await_coroutine(await_coroutine&& other) noexcept
        : self_(std::exchange(other.self_, nullptr)) {}
    await_coroutine& operator=(await_coroutine&&) = delete;
    ~await_coroutine() {
        if (self_ != nullptr) {
            self_.destroy();
        }
    }

    void run_until_it_waits() { self_.resume(); }

private:
    std::coroutine_handle<promise_type> self_;
};

/// An awaiter that was found not to be ready.
template <class Awaiter>
struct unready_awaiter {
    Awaiter& awaiter;

    bool await_ready() noexcept { return false; }
    template <class Promise>
    decltype(auto) await_suspend(std::coroutine_handle<Promise> self) {
        return awaiter.await_suspend(self);
    }
    decltype(auto) await_resume() { return awaiter.await_resume(); }
};

template <class Result, class Awaiter>
await_coroutine await_in_coroutine(await_result<Result>& to, Awaiter& awaiter) {
    if constexpr (std::is_void_v<Result>) {
        co_await unready_awaiter<Awaiter>{awaiter};
    } else if constexpr (std::is_reference_v<Result>) {
        auto&& target = co_await unready_awaiter<Awaiter>{awaiter};
        to.value = std::addressof(target);
    } else {
        to.value.emplace(co_await unready_awaiter<Awaiter>{awaiter});
    }
}

template <class Awaitable>
using await_result_t =
    decltype(std::declval<
                 std::remove_reference_t<decltype(awaiter_of(std::declval<Awaitable>()))>&>()
                 .await_resume());

}  // namespace detail

inline namespace v1 {

/// Waits in a fiber for what a coroutine could co_await, and returns its result, which is moved.
///
/// The awaitable may complete in any thread; the fiber goes on in its own. If it is ready, nothing
/// is allocated and the fiber does not give way; else a small coroutine waits in its place.
///
/// Blocks the calling fiber, never its thread; a plain thread blocks itself.
/// Cancellation: none, since a coroutine that waits cannot be withdrawn from what it waits for. The
/// next cancellation point throws. Where the awaitable can be cancelled, do so in a
/// std::stop_callback of the fiber's token.
/// Errors: what the awaitable throws; std::bad_alloc.
/// Threads: any fiber, any plain thread.
/// Example:
///     std::string text = heddle::await(library.read_async(file));
template <class Awaitable>
HEDDLE_THROWS detail::await_result_t<Awaitable&&> await(Awaitable&& awaitable) {
    using result = detail::await_result_t<Awaitable&&>;
    auto&& awaiter = detail::awaiter_of(std::forward<Awaitable>(awaitable));
    if (awaiter.await_ready()) {
        return awaiter.await_resume();
    }
    detail::await_result<result> outcome;
    detail::await_coroutine coroutine = detail::await_in_coroutine(outcome, awaiter);
    coroutine.run_until_it_waits();
    detail::coroutine_wait(outcome.done);
    if (outcome.exception != nullptr) {
        std::rethrow_exception(std::move(outcome.exception));
    }
    return outcome.take();
}

}  // namespace v1

namespace detail {

/// What `co_await std::move(handle)` makes of a fiber's handle.
template <class T>
class [[nodiscard]] fiber_awaiter {
public:
    explicit fiber_awaiter(fiber<T>&& awaited) noexcept : awaited_(std::move(awaited)) {}
    fiber_awaiter(const fiber_awaiter&) = delete;
    fiber_awaiter& operator=(const fiber_awaiter&) = delete;
    ~fiber_awaiter() {
        if (waits_) {
            withdraw_awaiter(awaited_.block_);
        }
    }

    bool await_ready() const noexcept {
        return !awaited_.joinable() || fiber_has_ended(awaited_.block_);
    }
    bool await_suspend(std::coroutine_handle<> coroutine) noexcept {
        awaiter_.resume = [](void* waiting) {
            std::coroutine_handle<>::from_address(waiting).resume();
        };
        awaiter_.coroutine = coroutine.address();
        waits_ = true;
        // If true, this may be gone already.
        return await_end(awaited_.block_, awaiter_) || (waits_ = false);
    }
    T await_resume() {
        waits_ = false;
        awaited_.check_owning();
        if (!awaiter_.took_over) {
            return awaited_.take();
        }
        fiber_block* const block = std::exchange(awaited_.block_, nullptr);
        if (awaiter_.exception != nullptr) {
            rethrow_from_fiber(std::exchange(awaiter_.exception, nullptr));
        }
        if constexpr (std::is_reference_v<T>) {
            return static_cast<T>(*detail::take<stored_result<T>>(result_storage(block)));
        } else if constexpr (!std::is_void_v<T>) {
            return detail::take<T>(result_storage(block));
        }
    }

private:
    fiber<T> awaited_;
    end_awaiter awaiter_{};
    bool waits_ = false;
};

}  // namespace detail

inline namespace v1 {

/// Lets a C++20 coroutine wait for the end of a fiber: `co_await std::move(handle)` gives what
/// join() would, by value or by exception. It blocks no thread.
///
/// If the fiber has ended, the coroutine goes on at once. Else the fiber resumes it as its last
/// act, on its own stack and thread: the coroutine may wait there, as in any fiber, until it
/// suspends or ends. A request to stop the fiber was not meant for the coroutine; the end of run()
/// is. If the fiber never gets a stack, the coroutine is resumed outside of any fiber.
///
/// A coroutine that is destroyed while it waits stops and joins the fiber, as its handle would.
/// Errors: throws what the fiber threw, as fiber::join does; std::system_error with
/// operation_canceled if it ended by heddle::cancelled, invalid_argument for an empty handle.
/// Threads: awaited in any thread.
template <class T>
[[nodiscard]] HEDDLE_THROWS detail::fiber_awaiter<T>
operator co_await(fiber<T>&& awaited) noexcept {
    return detail::fiber_awaiter<T>(std::move(awaited));
}

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop

#endif
