// The list of fibers as text.
#pragma once

#include "runtime/base/modules.hpp"

#include <string_view>

namespace heddle::detail {

/// Calls each(line, argument) for the lines of the list. As below if `each` is.
/// Functions are named in the given form.
void for_each_dump_line(code_names::form names, void (*each)(std::string_view line, void* argument),
                        void* argument);

/// Writes a line per fiber of the process to `fd`. Async-signal-safe and without a lock: what
/// other threads change meanwhile is shown as it was found.
void dump_to(int fd, code_names::form names = code_names::form::as_linked) noexcept;

/// Writes one line about the fiber that the calling thread runs, if it runs one. As above.
void describe_current_fiber(int fd) noexcept;

}  // namespace heddle::detail
