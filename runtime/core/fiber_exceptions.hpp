// What becomes of exceptions that end fibers.
#pragma once

#include "runtime/core/fiber_block.hpp"

#include <exception>

namespace heddle::detail {

/// Takes the exception that ended a fiber, and drops the closure if that was never run.
std::exception_ptr take_end_exception(cold_block& cold) noexcept;

/// Whether this is heddle::cancelled.
bool is_cancelled(const std::exception_ptr& exception) noexcept;

/// Prints which fiber ended by what, and terminates.
[[noreturn]] void terminate_for(const cold_block& cold, const std::exception_ptr& exception,
                                const char* what) noexcept;

/// While one lives, std::terminate first names the fiber that it is called in.
class terminate_names_fiber {
public:
    terminate_names_fiber() noexcept;
    terminate_names_fiber(const terminate_names_fiber&) = delete;
    terminate_names_fiber& operator=(const terminate_names_fiber&) = delete;
    ~terminate_names_fiber();
};

}  // namespace heddle::detail
