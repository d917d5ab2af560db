// What the inline code of a fiber handle asks of the archive.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/spawn.hpp>
#include <heddle/detail/status.hpp>

#include <cstdint>
#include <exception>

#pragma GCC visibility push(default)

namespace heddle::detail {

/// Waits until the fiber has ended; `refused` if it is the calling one. The check of the outcome is
/// the caller's, and a wait ends in the switch itself. After any outcome but `event`,
/// join_withdraw must follow.
wait_status join_wait(fiber_block* block, std::int64_t deadline_ns) noexcept;

/// Takes back an interest in the end of a fiber; true if it has ended meanwhile after all.
bool join_withdraw(fiber_block* block) noexcept;

/// Waits as join_wait, but neither deadline nor cancellation ends it.
void join_always(fiber_block* block) noexcept;

/// Whether the fiber, which has ended, ended by an exception.
bool ended_by_exception(const fiber_block* block) noexcept;

/// The exception that ended the fiber, null if there was none. Taken: the second call gives null.
std::exception_ptr take_exception(fiber_block* block) noexcept;

/// Where the result of a fiber that ended without an exception lies.
void* result_storage(fiber_block* block) noexcept;

/// Says that the result has been taken out and destroyed, or that there is none.
void release_fiber(fiber_block* block) noexcept;

/// release_fiber, unless the fiber ended by an exception: then false, and nothing is released.
bool release_if_well(fiber_block* block) noexcept;

/// Releases a fiber that ended by an exception, and throws what rethrow_from_fiber says.
[[noreturn]] void release_and_rethrow(fiber_block* block);

/// Throws what a join that did not happen means.
[[noreturn]] void throw_join_status(wait_status status);

/// What is to be resumed when a fiber ends, in place of a flow that joins it: a coroutine.
struct end_awaiter {
    void (*resume)(void* coroutine);
    void* coroutine;
    bool took_over = false;        ///< resumed by the fiber, which frees its block itself
    std::exception_ptr exception;  ///< then: what ended it
};

/// Whether the fiber has ended; then all that it wrote is seen.
bool fiber_has_ended(const fiber_block* block) noexcept;

/// Has `awaiter` resumed when the fiber ends, by the fiber itself as its last act, which from then
/// on nobody joins or detaches; false if it has ended already.
bool await_end(fiber_block* block, end_awaiter& awaiter) noexcept;

/// Takes that back before the fiber has ended: the handle is as it was.
void withdraw_awaiter(fiber_block* block) noexcept;

/// Lets the fiber go on without a handle; what it leaves is destroyed.
void detach_fiber(fiber_block* block) noexcept;

/// Asks the fiber to stop; false if it had been asked before.
bool request_fiber_stop(fiber_block* block) noexcept;
std::stop_token fiber_stop_token(fiber_block* block);
std::uint64_t fiber_number(const fiber_block* block) noexcept;

/// Stops and joins; terminates, the fiber named, if it ended by an exception nobody took.
/// The result, if there is one, is destroyed.
void stop_and_join(fiber_block* block) noexcept;

/// Throws the std::system_error that std::thread would for `condition`, with `what` added.
[[noreturn]] void throw_fiber_error(std::errc condition, const char* what);

/// The same for callers that cannot be thrown at: std::terminate is called.
[[noreturn]] void terminate_for_fiber_error(std::errc condition, const char* what) noexcept;

/// Throws what ended the fiber: `exception`, or operation_canceled in place of heddle::cancelled.
[[noreturn]] void rethrow_from_fiber(std::exception_ptr exception);

/// What join(std::error_code&) reports for `exception`: operation_canceled for heddle::cancelled,
/// the code of a std::system_error; any other is rethrown, since it is no error code.
std::error_code error_code_or_rethrow(std::exception_ptr exception);

/// The same for callers that cannot be thrown at: for any other std::terminate is called.
std::error_code error_code_or_terminate(std::exception_ptr exception) noexcept;

}  // namespace heddle::detail

#pragma GCC visibility pop
