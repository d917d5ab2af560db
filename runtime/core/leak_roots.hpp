// The pointers that waiting fibers keep, for the leak sanitizer.
#pragma once

namespace heddle::detail {

/// Makes them known to the tool when the process ends. Does its work once, however often it is
/// called. For programs that are linked with such a tool.
void show_leak_roots() noexcept;

}  // namespace heddle::detail
