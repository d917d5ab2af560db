// The names of functions in a program's or library's file, for readers of dumps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace heddle::detail {

/// A code address without the bit by which ARM tells Thumb code.
inline std::uintptr_t without_mode(std::uintptr_t code) noexcept {
#ifdef __arm__
    constexpr std::uintptr_t is_thumb = 1;
    return code & ~is_thumb;
#else
    return code;
#endif
}

/// The table of symbols of one ELF file, read where it lies: the file is mapped as long as this
/// lives. Every function is async-signal-safe. A file that is stripped, damaged or gone has no
/// names; nothing in it is trusted.
class symbol_table {
public:
    symbol_table() noexcept = default;
    explicit symbol_table(const char* path) noexcept;
    symbol_table(const symbol_table&) = delete;
    symbol_table& operator=(const symbol_table&) = delete;
    ~symbol_table();

    /// The name, as the linker knows it, of the function that has `address` (as the file counts,
    /// without_mode) inside, a zero after it; empty if there is none. Complexity: linear in the
    /// symbols.
    std::string_view function_at(std::uintptr_t address) const noexcept;

private:
    bool find_tables() noexcept;
    template <class T>
    const T* at(std::uintptr_t offset, std::size_t count = 1) const noexcept;

    std::size_t bytes_ = 0;
    const std::byte* file_ = nullptr;
    const std::byte* symbols_ = nullptr;
    std::size_t symbol_count_ = 0;
    const char* names_ = nullptr;
    std::size_t name_bytes_ = 0;
};

}  // namespace heddle::detail
