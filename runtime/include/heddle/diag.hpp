// Seeing what the fibers of a program do.
#pragma once

#include <heddle/detail/abi.hpp>

#include <cstdio>

#pragma GCC visibility push(default)

namespace heddle {
inline namespace v1 {

/// Prints every fiber of the process: id, name, state, what it waits for and since when, and who
/// holds that: the owner of a mutex, the fiber that is joined. Fibers that wait for one another in
/// a circle are listed as such.
///
/// Never blocks on a lock of heddle's. Fibers of other threads go on meanwhile, so their lines are
/// each a snapshot. Threads: any.
void dump(std::FILE* to = stderr);

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
