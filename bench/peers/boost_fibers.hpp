// Boost.Fiber at its best, as the questions about spawning ask for it (spawn.hpp): the stacks of
// boost_stacks.hpp and its round-robin scheduler. Programs are built twice: with
// HEDDLE_BENCH_LAUNCH as `post`, where the child waits for its turn, and as `dispatch`, where it
// runs inside the spawn before the parent continues.
#pragma once

#include "boost_stacks.hpp"

#include <boost/fiber/fiber.hpp>
#include <boost/fiber/operations.hpp>

#include <memory>

namespace bench {

struct boost_fibers {
    using handle = boost::fibers::fiber;

    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    template <auto Body, class Argument>
    static handle spawn(Argument& argument) {
        return handle(boost::fibers::launch::HEDDLE_BENCH_LAUNCH, std::allocator_arg, boost_stacks,
                      [&argument] { Body(argument); });
    }
    static void yield() { boost::this_fiber::yield(); }
};

}  // namespace bench
