// Stacks for Boost.Fiber, as it is fastest with them: from its pool, 17 pages and 256 bytes apart.
//
// With exactly 64 KiB the stacks of all fibers share a few sets of each cache and TLB. A page more
// spreads them over the TLB, and 256 bytes, to which Boost.Fiber rounds the top of a stack, over
// the caches. So a yield among 1 000 fibers took 18.9 ns instead of 22.5 and among 100 000 it took
// 106 instead of 137, a tree of 100 000 leaves 352 ms instead of 463 and 564 MiB instead of 884,
// and the first batch of 100 000 fibers 4.9 us each instead of 6.2.
//
// The pool writes its list of free stacks into them, which touches a page of each. Stacks from
// malloc (fixedsize_stack) at the same distance spare that and are as fast to yield on, but going
// back and forth between malloc and the kernel costs much more: 503 ms for that tree, 4.4 us for
// each fiber of a warm batch of 100 000 instead of 0.73. Only what waits for good has them:
// memory_boost_fiber.cpp.
#pragma once

#include <boost/fiber/pooled_fixedsize_stack.hpp>

#include <cstddef>

namespace bench {

/// The pool asks malloc for blocks that double in size. At 100 000 stacks the last would be 4 GiB,
/// which the system may refuse, so they stop growing at 256 MiB.
inline boost::fibers::pooled_fixedsize_stack boost_stacks(std::size_t{17} * 4096 + 256, 32, 3800);

}  // namespace bench
