// Where fibers live: run() turns the calling thread into a worker until they have all ended.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/fiber.hpp>
#include <heddle/fwd.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {
inline namespace v1 {

/// How the runtime learns that descriptors are ready.
enum class reactor_kind {
    automatic,  ///< the best one that this system lets us use
    poll,       ///< poll(2): everywhere, and slow with many descriptors
    epoll,      ///< epoll(7): Linux
    uring,      ///< io_uring(7): not in this version
    kqueue,     ///< kqueue(2): not in this version
};

/// What run() may be told. Every member has a usable default.
struct options {
    /// Threads that run fibers; 0 takes one per CPU that the process may use, as far as this
    /// version goes. This version runs fibers on the calling thread only: at most 1.
    unsigned workers = 1;
    /// Stack reserved per fiber, in bytes, from 16 KiB to 16 GiB (64 MiB on 32-bit CPUs); only
    /// pages that are touched cost memory.
    std::size_t stack_bytes = 256 * 1024;
    /// The environment variable HEDDLE_REACTOR (poll, epoll) wins over this.
    reactor_kind reactor = reactor_kind::automatic;
    /// Report a fiber that overruns its stack: its name, size, place of spawning and innermost
    /// frames go to the standard error output, then the process dies by SIGSEGV. A handler of that
    /// signal is installed meanwhile; other faults go to the one that was there before. The thread
    /// gets an alternate signal stack unless it has one of sufficient size.
    bool report_stack_overflow = true;
    /// Print the list of fibers to the standard error output on SIGQUIT, and go on.
    bool dump_on_sigquit = false;
    /// How long fibers that were stopped at the end of run() may take before the process
    /// terminates and names them. Whoever can run when it is over has one more turn.
    std::chrono::nanoseconds shutdown_grace = std::chrono::seconds(5);
    /// Receives exceptions that leave detached fibers; null terminates the process, fiber named.
    /// Where a detached fiber got no stack, that is reported, and its closure destroyed, while
    /// another fiber gives way: then neither may wait nor call trim().
    void (*on_detached_exception)(fiber_id, std::exception_ptr) = nullptr;
};

}  // namespace v1

namespace detail {

/// Runs main_function(argument) as the first fiber, then everything it leaves behind.
void run_main(const options& with, void (*main_function)(void*), void* argument);

/// The same for callers that cannot be thrown at: std::terminate is called.
void run_main_or_terminate(const options& with, void (*main_function)(void*),
                           void* argument) noexcept;

}  // namespace detail

inline namespace v1 {

/// Runs `main_fn` as the first fiber, on the calling thread, until it and every other fiber have
/// ended; returns its value or rethrows its exception. It may take a std::stop_token.
///
/// The calling thread becomes the worker: it runs all fibers, and sleeps when none is runnable.
/// When `main_fn` has returned, every fiber that is left is asked to stop and is joined, whether
/// detached or held by a handle that lives on. One that has not ended after
/// options::shutdown_grace is named, and the process terminates. run() may be called again, and on
/// several threads at once; each call has fibers of its own.
///
/// When nothing inside can ever run again, and the process has no other thread, all fibers are
/// asked to stop; if they end, run() throws heddle::deadlock_error with the list of what they
/// waited for, and if not, prints it and aborts.
///
/// Errors: throws std::logic_error inside a fiber; std::invalid_argument for an option out of
/// range or a reactor that does not exist here, naming the value and what is allowed;
/// std::system_error where the system refuses a stack or a descriptor. Where exceptions are
/// switched off, all these call std::terminate.
template <class F, bool MayThrow = detail::code_may_throw>
auto run(F main_fn, const options& with = {}) {
    using result = typename detail::invoke_with_token_result<F&>::type;
    constexpr auto run_main = MayThrow ? detail::run_main : detail::run_main_or_terminate;
    if constexpr (std::is_void_v<result>) {
        run_main(
            with, [](void* f) { detail::invoke_with_token(*static_cast<F*>(f)); },
            std::addressof(main_fn));
    } else {
        struct call {
            F& f;
            std::optional<std::decay_t<result>> value;
        } state{main_fn, std::nullopt};
        run_main(
            with,
            [](void* s) {
                auto& c = *static_cast<call*>(s);
                c.value.emplace(detail::invoke_with_token(c.f));
            },
            &state);
        return std::move(*state.value);
    }
}

/// Figures about the runtime of the calling fiber.
struct statistics {
    std::uint64_t fibers_alive = 0;     ///< spawned and not ended
    std::uint64_t fibers_runnable = 0;  ///< ready to run, the running one included
    std::uint64_t switches = 0;         ///< times a fiber gave way since run() began, at least
    std::uint64_t spawned = 0;          ///< fibers spawned since run() began
    std::uint64_t stacks_in_use = 0;
    std::uint64_t stacks_pooled = 0;  ///< idle, kept for the next fiber
    std::uint64_t stack_bytes_resident = 0;
    std::uint64_t reactor_polls = 0;  ///< times the system was asked for events
};

/// Reads the figures; asks the kernel for the resident bytes, so not for hot paths.
/// Errors: std::logic_error outside a fiber.
statistics get_statistics();

/// Gives the memory of idle stacks and control blocks back to the system, and the room that was
/// taken for more fibers than there are now.
/// Errors: std::logic_error outside a fiber. Complexity: linear in the fibers that there have ever
/// been at the same time.
void trim();

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
