// Which part of which file an address of code belongs to: a program's own addresses are random, its
// files are not.
#pragma once

#include "runtime/base/symbols.hpp"
#include "runtime/base/text.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace heddle::detail {

/// Notes what is loaded now. Addresses in libraries loaded later are shown as they are.
void note_modules() noexcept;

/// Writes addresses of code, for as many as there are in one list: it keeps what it has read.
class code_names {
public:
    /// Whether names may be put into the form in which a person writes them, which allocates;
    /// otherwise every function here is async-signal-safe.
    enum class form { as_linked, as_written };

    explicit code_names(form wanted) noexcept : form_(wanted) {}

    /// Writes the return address `code` as file+offset and, where the file tells, the function; as
    /// a number where no module is known.
    void add_to(text_line& line, const void* code) noexcept;

private:
    // Fibers are spawned at few places, and a name is costly to find.
    struct known_name {
        const void* code = nullptr;
        char name[128] = {};
    };

    const char* name_of(const void* code, std::size_t module) noexcept;

    form form_;
    std::array<known_name, 16> known_ = {};
    std::size_t open_module_ = SIZE_MAX;
    std::optional<symbol_table> symbols_;
};

/// Writes one address. Async-signal-safe.
inline void add_code_address(text_line& line, const void* code) noexcept {
    code_names(code_names::form::as_linked).add_to(line, code);
}

}  // namespace heddle::detail
