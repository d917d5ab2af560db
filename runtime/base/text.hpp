// Text put together without allocation, for messages from signal handlers and dying processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace heddle::detail {

/// A line under construction in a fixed buffer; what does not fit is cut off. Every function is
/// async-signal-safe.
class text_line {
public:
    text_line& operator<<(std::string_view text) noexcept;
    text_line& operator<<(std::uint64_t number) noexcept;
    /// Writes an address as 0x and hexadecimal digits.
    text_line& address(const void* pointer) noexcept;
    /// Writes a duration as seconds with three decimals, and the unit.
    text_line& seconds(std::int64_t nanoseconds) noexcept;

    std::string_view view() const noexcept { return {buffer_, size_}; }
    /// Writes the line and a newline to `fd`; an error is ignored, since there is nobody to tell.
    void write_to(int fd) noexcept;

private:
    static constexpr std::size_t capacity = 400;  // one dump line with the longest name and reason
    char buffer_[capacity + 1];
    std::size_t size_ = 0;
};

}  // namespace heddle::detail
