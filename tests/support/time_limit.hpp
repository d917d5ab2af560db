// The time limit of a test case: a test that hangs says where, and ends.
#pragma once

namespace heddle::test {

/// The limit of a test case: HEDDLE_TEST_SECONDS, 30 where unset; 0 is none.
long limit_seconds();

/// Starts the limit of a test case: HEDDLE_TEST_SECONDS, 30 where unset, none where 0 (for
/// debuggers). When it passes, or when tests/run sends SIGALRM, the case is named on standard
/// error, the fibers are listed, and the process aborts. `name` and `file` stay valid until
/// stop_time_limit.
void start_time_limit(const char* name, const char* file, unsigned line);

/// Ends the limit of the running test case.
void stop_time_limit();

}  // namespace heddle::test
