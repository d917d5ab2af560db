// The program's operator new: counts what is alive, and fails when it is told to.
#pragma once

#include "runtime/base/sanitizer.hpp"

namespace heddle::test {

/// The thread sanitizer has an operator new of its own, which cannot be replaced: then nothing is
/// counted, and nothing fails.
#ifdef HEDDLE_TSAN
constexpr bool has_own_heap = false;
#else
constexpr bool has_own_heap = true;
#endif

/// How many blocks of operator new are alive.
long blocks_alive();

/// Asked before each allocation when set; true makes it fail by std::bad_alloc.
extern bool (*allocation_fails)();

}  // namespace heddle::test
