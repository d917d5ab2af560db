// State Threads as the contenders here use it: its epoll back-end, stacks of 64 KiB.
#pragma once

#include "../answer.hpp"

#include <st.h>

#include <cstddef>

namespace bench {

/// Turns the calling thread into the first of State Threads.
inline void begin_state_threads() {
    if (st_set_eventsys(ST_EVENTSYS_ALT) != 0 || st_init() != 0)
        give_up("State Threads do not start");
}

struct state_thread {
    st_thread_t thread;

    template <class Argument>
    static state_thread spawn(void (*body)(Argument&), Argument& argument, std::size_t bytes) {
        // The thread runs later, so both have to be packed into what lives that long.
        struct call {
            void (*body)(Argument&);
            Argument& argument;
        };
        const auto enter = [](void* packed) -> void* {
            const call what = *static_cast<call*>(packed);
            delete static_cast<call*>(packed);
            what.body(what.argument);
            return nullptr;
        };
        const st_thread_t made =
            st_thread_create(enter, new call{body, argument}, 1, static_cast<int>(bytes));
        if (made == nullptr)
            give_up("State Threads refuse another thread");
        return {made};
    }
    void join() const { st_thread_join(thread, nullptr); }
};

}  // namespace bench
