// What a test case tells the world besides pass or fail: that it was skipped, and its seed. Also
// the test log, through which tests/run learns what ran; its format is in testlog.py.
#pragma once

#include <cstdint>
#include <string_view>

namespace heddle::test {

/// Marks the running test case as skipped and prints why: `return skip("no IPv6 loopback");`.
///
/// The caller returns from the test case; from inside a fiber, nothing may be left to do after it.
/// tests/run fails when the reason matches no line of tests/allowed_skips.txt.
void skip(std::string_view reason);

/// A seed for a random test: HEDDLE_SEED where that is set, fresh otherwise. Prints it, so that a
/// failure can be repeated.
std::uint64_t seed();

/// Appends one line, `verb` and `text` separated by a tab, to the file that HEDDLE_TEST_LOG names,
/// at once, so that nothing is lost in a crash. Does nothing where that is unset.
void log_event(std::string_view verb, std::string_view text);

}  // namespace heddle::test
