// The program's operator new: counts what is alive, and fails when it is told to.
#pragma once

namespace heddle::test {

/// How many blocks of operator new are alive.
long blocks_alive();

/// Asked before each allocation when set; true makes it fail by std::bad_alloc.
extern bool (*allocation_fails)();

}  // namespace heddle::test
