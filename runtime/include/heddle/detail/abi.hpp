// What headers and archive must agree on, as the name of one symbol: the archive defines it, and
// every object that was compiled with the headers needs it. A program of a mismatched pair does not
// link, and the linker's message names what the headers wanted.
//
// Two things decide: the version, and the standard library, whose types are handed over. The
// options that an archive is built with do not: no header depends on them.
#pragma once

#include <heddle/version.hpp>

#include <version>

#if defined(_LIBCPP_VERSION)
#define HEDDLE_STANDARD_LIBRARY libcxx
#elif defined(_GLIBCXX_USE_CXX11_ABI) && !_GLIBCXX_USE_CXX11_ABI
#define HEDDLE_STANDARD_LIBRARY libstdcxx_with_old_strings
#else
#define HEDDLE_STANDARD_LIBRARY libstdcxx
#endif

#define HEDDLE_JOIN(a, b, c, d, e, f) a##b##c##d##e##f
#define HEDDLE_EXPANDED(a, b, c, d, e, f) HEDDLE_JOIN(a, b, c, d, e, f)
#define HEDDLE_NAME(prefix)                                                                        \
    HEDDLE_EXPANDED(prefix, HEDDLE_VERSION_MAJOR, _, HEDDLE_VERSION_MINOR, _for_,                  \
                    HEDDLE_STANDARD_LIBRARY)

/// The symbol.
#define HEDDLE_ARCHIVE HEDDLE_NAME(heddle_archive_of_version_)

#pragma GCC visibility push(default)

extern "C" const char HEDDLE_ARCHIVE;

#pragma GCC visibility pop

namespace heddle::detail {

// The need for it: eight bytes of data in a whole program, that no code reads. `used` keeps the
// compiler from leaving it out and `retain` the linker (--gc-sections). The name tells what is
// needed, since the linker keeps one variable of a name only.
[[gnu::used, gnu::retain]] inline const char* const HEDDLE_NAME(needed_) = &HEDDLE_ARCHIVE;

}  // namespace heddle::detail
