// Stack overflow: from a page fault in a guard to a message that names the fiber.
#pragma once

#include <cstddef>

namespace heddle::detail {

/// While one lives, its thread reports a fiber that runs into its guard, and SIGQUIT prints the
/// fibers, as far as wanted.
///
/// The handler of SIGSEGV belongs to the process: the first one installs it, the last one puts back
/// what was there unless somebody has replaced it meanwhile. Faults elsewhere go to the handler
/// found before. The thread gets an alternate signal stack unless it has one that is large enough.
class fault_reports {
public:
    fault_reports(bool stack_overflow, bool sigquit) noexcept;
    fault_reports(const fault_reports&) = delete;
    fault_reports& operator=(const fault_reports&) = delete;
    ~fault_reports();

private:
    void give_alternate_stack() noexcept;

    bool overflow_;
    bool sigquit_;
    void* mapped_ = nullptr;  // the alternate stack, if it is ours
    std::size_t mapped_bytes_ = 0;
};

}  // namespace heddle::detail
