// What errors say of the limits behind them: which one it is, its value, and what sets it.
#pragma once

#include <new>
#include <string>
#include <string_view>

namespace heddle::detail {

/// " (the limit, its value, what sets it)" for a positive error number that comes from a limit of
/// the system; nothing for others. Errors: std::bad_alloc.
std::string limit_note(int error);

/// A std::bad_alloc that says what there is no memory for.
class no_memory final : public std::bad_alloc {
public:
    /// Keeps as much of the text as fits, since there is no memory for more.
    explicit no_memory(std::string_view text) noexcept;
    const char* what() const noexcept override { return text_; }

private:
    char text_[256];
};

}  // namespace heddle::detail
