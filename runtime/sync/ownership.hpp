// What is said of a lock that is used by one who must not.
#pragma once

#include <heddle/detail/current.hpp>

#include <string_view>

namespace heddle::detail {

/// Ends the process with "heddle: <what> is unlocked by <the caller>, but its owner is <owner>".
/// An owner of zero is nobody.
[[noreturn, gnu::cold]] void report_foreign_unlock(std::string_view what, flow_name owner) noexcept;

/// Ends the process with "heddle: <what> is locked by its owner, <the caller>, which would wait for
/// itself".
[[noreturn, gnu::cold]] void report_second_lock(std::string_view what) noexcept;

}  // namespace heddle::detail
