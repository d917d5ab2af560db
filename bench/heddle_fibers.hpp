// heddle's fibers, as the questions about spawning ask for them (spawn.hpp).
#pragma once

#include <heddle/heddle.hpp>

#include <cstddef>

namespace bench {

struct heddle_fibers {
    using handle = heddle::fiber<>;

    template <class F>
    static void run(F main_fiber) {
        heddle::run(main_fiber, {.stack_bytes = std::size_t{64} * 1024});
    }
    template <auto Body, class Argument>
    static handle spawn(Argument& argument) {
        return heddle::spawn([&argument] { Body(argument); });
    }
    static void yield() { heddle::this_fiber::yield(); }
};

}  // namespace bench
