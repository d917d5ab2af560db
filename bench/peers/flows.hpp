// The floor of spawning (spawn.hpp): a fiber is noted when it is spawned, and when it is joined a
// flow is made for it on a stack that is already warm; a switch there, the body, a switch back.
// Nothing is allocated, there is no scheduler, and bodies cannot wait.
#pragma once

#include "inline_switch.hpp"

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace bench {

struct flows {
    static constexpr std::size_t stack_bytes = std::size_t{64} * 1024;

    inline static flow parent;
    inline static flow child;
    inline static char* stack_top = nullptr;

    struct handle {
        void (*begin)(void*) = nullptr;
        void* argument = nullptr;

        void join() const {
            make_flow(child, stack_top, begin, argument);
            inline_switch(&parent, &child);
        }
    };

    template <class F>
    static void run(F main_fiber) {
        const std::unique_ptr<void, void (*)(void*)> stack(std::aligned_alloc(4096, stack_bytes),
                                                           std::free);
        stack_top = static_cast<char*>(stack.get()) + stack_bytes;
        main_fiber();
    }
    template <auto Body, class Argument>
    static handle spawn(Argument& argument) {
        const auto begin = [](void* passed) {
            Body(*static_cast<Argument*>(passed));
            inline_switch(&child, &parent);
        };
        return {begin, &argument};
    }
};

}  // namespace bench
