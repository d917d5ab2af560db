// State Threads as the contenders here use it: its epoll back-end, stacks of 64 KiB.
//
// Its one setting besides (st_randomize_stacks) lets stacks begin at random places of their first
// page. It is on where it makes the answer faster. For `timer` and `sleep`, where two stacks get in
// each other's way otherwise: 155 ns a wait among 100 000 timers instead of 314 and 3.8 us a warm
// sleep instead of 4.6. Where many threads run in turn it costs a second page and its place in the
// TLB: 280 ns a yield among 10 000 instead of 31, 1.0 us for each of a warm batch of 100 000
// instead of 0.42, 540 ms for a tree of 100 000 leaves instead of 451. With a single child it makes
// no difference.
#pragma once

#include "../answer.hpp"

#include <st.h>

#include <cstddef>
#include <utility>

namespace bench {

/// Turns the calling thread into the first of State Threads, unless it is.
inline void begin_state_threads(bool random_stacks = false) {
    static bool begun = false;
    if (std::exchange(begun, true))
        return;
    st_randomize_stacks(random_stacks ? 1 : 0);
    if (st_set_eventsys(ST_EVENTSYS_ALT) != 0 || st_init() != 0)
        give_up("State Threads do not start");
}

struct state_thread {
    st_thread_t thread = nullptr;

    template <auto Body, class Argument>
    static state_thread spawn(Argument& argument, std::size_t bytes) {
        const auto enter = [](void* passed) -> void* {
            Body(*static_cast<Argument*>(passed));
            return nullptr;
        };
        return start(enter, &argument, bytes);
    }

    /// The same for a body that is only known when the program runs.
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
        return start(enter, new call{body, argument}, bytes);
    }

    void join() const { st_thread_join(thread, nullptr); }

private:
    static state_thread start(void* (*enter)(void*), void* argument, std::size_t bytes) {
        state_thread made;
        made.thread = st_thread_create(enter, argument, 1, static_cast<int>(bytes));
        if (made.thread == nullptr)
            give_up("State Threads refuse another thread");
        return made;
    }
};

/// State Threads has no yield. Its sleep for no time is not one: it reads the clock, and every
/// round goes to the kernel for events. The cheapest that its interface allows is to wait without a
/// limit for the next to yield, and to end the wait of the one before.
class state_thread_yields {
public:
    static void yield() {
        wake(std::exchange(before_, st_thread_self()));
        st_usleep(ST_UTIME_NO_TIMEOUT);
    }
    /// Nobody else wakes the one that yielded last.
    static void join(const state_thread& thread) {
        wake(std::exchange(before_, nullptr));
        thread.join();
    }

private:
    static void wake(st_thread_t thread) {
        if (thread != nullptr)
            st_thread_interrupt(thread);
    }

    inline static st_thread_t before_ = nullptr;  // yielded last, and waits
};

/// A thread among such that yield.
struct yielding_state_thread {
    state_thread thread;

    void join() const { state_thread_yields::join(thread); }
};

/// The contender of the questions about spawning (spawn.hpp).
struct state_threads {
    using handle = state_thread;

    template <class F>
    static void run(F main_fiber) {
        begin_state_threads();
        main_fiber();
    }
    template <auto Body, class Argument>
    static handle spawn(Argument& argument) {
        return handle::spawn<Body>(argument, std::size_t{64} * 1024);
    }
};

}  // namespace bench
