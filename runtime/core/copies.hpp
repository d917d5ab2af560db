// Several copies of heddle in one process: libraries that were each linked with an archive of their
// own. A copy knows its own fibers only, and would take one of another's for a plain thread, whose
// waits block everybody. So where a copy finds that it runs on no fiber of its own, it asks the
// others, and says so instead.
#pragma once

namespace heddle::detail {

/// Aborts, naming the other, if the calling thread runs a fiber of another copy of heddle.
void refuse_fiber_of_another_copy() noexcept;

}  // namespace heddle::detail
