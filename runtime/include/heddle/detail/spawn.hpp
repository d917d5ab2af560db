// How a closure gets onto a fiber and its result back out: the templates between fiber.hpp, which
// users read, and runtime/core/spawn.cpp, which knows what a fiber is made of.
//
// A control block has a few dozen bytes for the closure and later for the result. What fits lies
// there, what does not is allocated. One function per closure type, the body, knows the types.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <stop_token>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle::detail {

/// The hot part of a fiber's control block; only the archive knows its members.
struct fiber_block;

/// What a body is asked to do with the storage of its control block.
enum class body_step {
    run,           ///< take the closure out, call it, leave the result
    drop_closure,  ///< destroy the closure, which will not run
    drop_result,   ///< destroy the result, which nobody took
    let_pass,      ///< an exception has left the closure: terminate if it was not to be thrown at
    no_stack,      ///< there is none for it: the closure will not run
};
using body_function = void (*)(body_step step, void* storage);

/// Bytes for a closure or a result inside the control block, aligned to `inline_align`.
constexpr std::size_t inline_bytes = 40;
constexpr std::size_t inline_align = 8;

template <class T>
constexpr bool fits_inline = sizeof(T) <= inline_bytes && alignof(T) <= inline_align;

/// Puts a T made by `make` into `storage`, or into memory of its own with a pointer there.
template <class T, class Make>
void put(void* storage, Make&& make) {
    if constexpr (fits_inline<T>) {
        ::new (storage) T(make());
    } else {
        ::new (storage) T*(new T(make()));
    }
}

template <class T>
T& stored(void* storage) noexcept {
    if constexpr (fits_inline<T>) {
        return *std::launder(static_cast<T*>(storage));
    } else {
        return **std::launder(static_cast<T**>(storage));
    }
}

template <class T>
void drop(void* storage) noexcept {
    if constexpr (fits_inline<T>) {
        std::destroy_at(std::launder(static_cast<T*>(storage)));
    } else {
        delete *std::launder(static_cast<T**>(storage));
    }
}

/// Moves the T out of `storage` and destroys what is left there, whatever the move does.
template <class T>
T take(void* storage) {
    struct dropper {
        void* storage;
        ~dropper() { drop<T>(storage); }
    } const at_end{storage};
    return std::move(stored<T>(storage));
}

/// A result as it is stored: a reference as a pointer, anything else as itself.
template <class T>
using stored_result = std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>;

/// The stop token of the running fiber.
std::stop_token current_stop_token();

template <class F, class... Args>
constexpr bool takes_stop_token = std::is_invocable_v<F, std::stop_token, Args...>;

/// F(Args...), with a std::stop_token in front where F takes one.
template <class F, class... Args>
decltype(auto) invoke_with_token(F&& f, Args&&... args) {
    if constexpr (takes_stop_token<F, Args...>) {
        return std::invoke(std::forward<F>(f), current_stop_token(), std::forward<Args>(args)...);
    } else {
        return std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
    }
}

template <class F, class... Args>
struct invoke_with_token_result : std::invoke_result<F, Args...> {};
template <class F, class... Args>
requires takes_stop_token<F, Args...>
struct invoke_with_token_result<F, Args...> : std::invoke_result<F, std::stop_token, Args...> {
};

/// A function and its arguments, copied or moved to where the fiber will run them.
template <class F, class... Args>
struct closure {
    F function;
    std::tuple<Args...> arguments;

    decltype(auto) operator()() {
        return std::apply(
            [this](Args&... args) -> decltype(auto) {
                return invoke_with_token(std::move(function), std::move(args)...);
            },
            arguments);
    }
};

template <class F>
struct closure<F> {
    F function;

    decltype(auto) operator()() { return invoke_with_token(std::move(function)); }
};

/// Names the running fiber and terminates: the exception that is being handled has left a body
/// that was compiled with -fno-exceptions, from code that it calls.
[[noreturn]] void terminate_unthrowable_fiber() noexcept;

/// The body of a fiber whose handle gives a T.
template <class T, class Closure, bool MayThrow = code_may_throw>
void body(body_step step, void* storage) {
    using result = stored_result<T>;
    switch (step) {
    case body_step::run: {
        // The closure runs from the fiber's own stack, so that the storage is free for the result.
        Closure call = take<Closure>(storage);
        if constexpr (std::is_void_v<T>) {
            static_cast<void>(call());
        } else if constexpr (std::is_reference_v<T>) {
            put<result>(storage, [&]() -> result {
                auto&& target = call();
                return std::addressof(target);
            });
        } else {
            put<result>(storage, [&]() -> result { return call(); });
        }
        break;
    }
    case body_step::drop_closure:
        drop<Closure>(storage);
        break;
    case body_step::drop_result:
        if constexpr (!std::is_void_v<T>) {
            drop<result>(storage);
        }
        break;
    case body_step::let_pass:
        if constexpr (!MayThrow) {
            terminate_unthrowable_fiber();
        }
        break;
    case body_step::no_stack:
        break;
    }
}

/// What fiber_options says, as the archive takes it.
struct spawn_request {
    std::string_view name;
    std::size_t stack_bytes = 0;
    int worker = -1;
    bool own_fp_environment = false;
    bool detached = false;
};

/// A control block that was taken for a fiber, and its storage for the closure.
struct reserved_block {
    fiber_block* block;
    void* storage;
};

/// Takes a control block. Its caller's return address becomes the place where the fiber was
/// spawned, so the templates that call it are always inlined and it is never called last.
/// Errors: std::logic_error outside a fiber; std::invalid_argument for an impossible stack size or
/// worker, naming the value and the limit; std::bad_alloc.
[[gnu::noinline]] reserved_block reserve_fiber(const spawn_request& request);

/// The same for a fiber of which nothing special is asked.
[[gnu::noinline]] reserved_block reserve_plain_fiber();

// The same for callers that cannot be thrown at.
[[gnu::noinline]] reserved_block reserve_fiber_or_terminate(const spawn_request& request) noexcept;
[[gnu::noinline]] reserved_block reserve_plain_fiber_or_terminate() noexcept;

[[gnu::always_inline]] inline reserved_block reserve(const spawn_request& request) {
    return code_may_throw ? reserve_fiber(request) : reserve_fiber_or_terminate(request);
}
[[gnu::always_inline]] inline reserved_block reserve() {
    return code_may_throw ? reserve_plain_fiber() : reserve_plain_fiber_or_terminate();
}

/// Gives a block back whose closure could not be stored.
void abandon_fiber(fiber_block* block) noexcept;

/// Hands a block whose closure is stored to the scheduler.
void launch_fiber(fiber_block* block, body_function body) noexcept;

/// Stores the closure in a reserved block and launches it.
template <class T, class F, class... Args>
[[gnu::always_inline]] inline fiber_block* fill_and_launch(reserved_block reserved, F&& f,
                                                           Args&&... args) {
    using call = closure<std::decay_t<F>, std::decay_t<Args>...>;
    struct guard {
        fiber_block* block;
        ~guard() {
            if (block != nullptr) {
                abandon_fiber(block);
            }
        }
    } unlaunched{reserved.block};
    put<call>(reserved.storage, [&]() -> call {
        if constexpr (sizeof...(Args) == 0) {
            return {std::forward<F>(f)};
        } else {
            return {std::forward<F>(f),
                    std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)};
        }
    });
    unlaunched.block = nullptr;
    launch_fiber(reserved.block, body<T, call>);
    return reserved.block;
}

}  // namespace heddle::detail

#pragma GCC visibility pop
