// The conditions of State Threads with the face of the standard's, for code that is written for
// several libraries. Nothing runs between two calls of State Threads, so the lock that the standard
// asks for has nothing to do.
#pragma once

#include "state_threads.hpp"

namespace bench {

struct no_mutex {
    void lock() {}
    void unlock() {}
};

class state_thread_condition {
public:
    state_thread_condition() = default;
    state_thread_condition(const state_thread_condition&) = delete;
    state_thread_condition& operator=(const state_thread_condition&) = delete;
    ~state_thread_condition() { st_cond_destroy(value_); }

    template <class Lock>
    void wait(Lock&) {
        st_cond_wait(value_);
    }
    template <class Lock, class Predicate>
    void wait(Lock&, Predicate done) {
        while (!done())
            st_cond_wait(value_);
    }
    void notify_one() { st_cond_signal(value_); }
    void notify_all() { st_cond_broadcast(value_); }

private:
    st_cond_t value_ = st_cond_new();
};

}  // namespace bench
