// A whole echo program inside this process, which uses every kind of system call that heddle makes:
// what the sweep of faults runs again and again.
#pragma once

#include <exception>
#include <system_error>

namespace heddle::test {

/// The first error that some caller of heddle's heard of. Later ones are its consequences. Kept
/// without allocation, since that may be what fails.
class first_error {
public:
    void note(const std::exception_ptr& exception, const char* who) noexcept;

    explicit operator bool() const noexcept { return kind_ != kinds::none; }
    /// The code of a std::system_error; empty for other exceptions.
    std::error_code code() const noexcept { return code_; }
    bool is_bad_alloc() const noexcept { return kind_ == kinds::bad_alloc; }
    bool is_invalid_argument() const noexcept { return kind_ == kinds::invalid_argument; }
    const char* what() const noexcept { return what_; }
    /// Which part of the program heard of it.
    const char* who() const noexcept { return who_; }

private:
    enum class kinds { none, system_error, bad_alloc, invalid_argument, other };
    kinds kind_ = kinds::none;
    std::error_code code_;
    char what_[500] = {};
    const char* who_ = "";
};

/// Runs the program once, to its good or bad end: it never throws.
first_error run_echo_program() noexcept;

}  // namespace heddle::test
