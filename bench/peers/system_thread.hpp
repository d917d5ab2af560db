// Threads of the system as the contenders here use them: stacks of 64 KiB with the guard that the C
// library gives them.
#pragma once

#include "../answer.hpp"

#include <pthread.h>
#include <sched.h>

#include <cstddef>

namespace bench {

/// How the threads here are made.
struct thread_attributes {
    pthread_attr_t value;

    thread_attributes() {
        pthread_attr_init(&value);
        pthread_attr_setstacksize(&value, std::size_t{64} * 1024);
    }
};

struct system_thread {
    pthread_t thread = 0;

    /// Starts body(argument). A system that refuses another thread ends the program without blame:
    /// how many there may be is up to its settings.
    template <auto Body, class Argument>
    static system_thread spawn(Argument& argument) {
        const auto enter = [](void* passed) -> void* {
            Body(*static_cast<Argument*>(passed));
            return nullptr;
        };
        return start(enter, &argument);
    }

    /// The same for a body that is only known when the program runs.
    template <class Argument>
    static system_thread spawn(void (*body)(Argument&), Argument& argument) {
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
        return start(enter, new call{body, argument});
    }

    void join() const { pthread_join(thread, nullptr); }

private:
    static system_thread start(void* (*enter)(void*), void* argument) {
        static const thread_attributes attributes;
        system_thread made;
        if (pthread_create(&made.thread, &attributes.value, enter, argument) != 0) {
            std::fputs("the system refuses so many threads\n", stderr);
            std::_Exit(not_allowed);
        }
        return made;
    }
};

/// The contender of the questions about spawning (spawn.hpp).
struct system_threads {
    using handle = system_thread;

    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    template <auto Body, class Argument>
    static handle spawn(Argument& argument) {
        return handle::spawn<Body>(argument);
    }
    static void yield() { sched_yield(); }
};

}  // namespace bench
