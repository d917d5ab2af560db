// Which part of which file an address of code belongs to: a program's own addresses are random, its
// files are not.
#pragma once

#include "runtime/base/text.hpp"

namespace heddle::detail {

/// Notes what is loaded now. Addresses in libraries loaded later are shown as they are.
void note_modules() noexcept;

/// Writes `code` as name+offset where the module is known, else as a number. Async-signal-safe.
void add_code_address(text_line& line, const void* code) noexcept;

}  // namespace heddle::detail
