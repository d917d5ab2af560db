// The question: what does a mutex cost to lock and to unlock: one that nobody else wants, in a
// process of one thread and in one of several, and one that fibers wait for?
//
// The other thread of a process of several only sleeps: other_thread.hpp says why it is there.
//
// Where fibers wait for the mutex, each holds it across a yield, and yields once more before it
// locks it again: so every lock finds the mutex taken, and nobody gains by being unfair. The cost
// is that of one lock and unlock with both yields. What each adds to a counter is lost when the
// mutex lets two in.
//
// A contender is a struct as spawn.hpp describes it, with `mutex`, which has lock() and unlock(),
// and yield(). Stacks are 64 KiB for everybody.
#pragma once

#include "microbenchmark.hpp"
#include "other_thread.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace bench {

/// Whether the process has threads besides this one, as far as the C library can tell.
inline bool has_threads(bool otherwise) {
#if __has_include(<sys/single_threaded.h>)
    static_cast<void>(otherwise);
    return __libc_single_threaded == 0;
#else
    return otherwise;
#endif
}

template <class Library>
void lock_alone(benchmark::State& state, bool with_thread) {
    const other_thread sleeper(with_thread);
    Library::run([&] {
        if (has_threads(with_thread) != with_thread)
            state.SkipWithError("the process has other threads than it should");
        typename Library::mutex lock;
        std::int64_t locked = 0;
        for (auto _ : state) {
            lock.lock();
            ++locked;
            lock.unlock();
        }
        if (locked != state.iterations())
            state.SkipWithError("a lock was left out");
    });
    state.SetItemsProcessed(state.iterations());
}

template <class Library>
struct contest {
    typename Library::mutex lock;
    std::int64_t each = 0;    ///< how often every fiber locks it
    std::int64_t locked = 0;  ///< by all of them; under the lock
};

template <class Library>
void hold_across_a_yield(contest<Library>& shared) {
    for (std::int64_t left = shared.each; left > 0; --left) {
        shared.lock.lock();
        const std::int64_t before = shared.locked;
        Library::yield();
        shared.locked = before + 1;
        shared.lock.unlock();
        Library::yield();
    }
}

template <class Library>
void lock_in_turn(benchmark::State& state, std::int64_t fibers) {
    Library::run([&] {
        contest<Library> shared;
        shared.each = (times(state) + fibers - 1) / fibers;
        std::vector<typename Library::handle> handles(static_cast<std::size_t>(fibers));
        while (state.KeepRunningBatch(times(state))) {
            for (auto& one : handles)
                one = Library::template spawn<hold_across_a_yield<Library>>(shared);
            for (auto& one : handles)
                one.join();
        }
        if (shared.locked != shared.each * fibers)
            state.SkipWithError("the mutex let in two at a time");
        state.SetItemsProcessed(shared.locked);
    });
}

/// The main function of a contender.
template <class Library>
int mutex_main(int argc, char** argv) {
    ask("mutex/uncontended", [](auto& state) { lock_alone<Library>(state, false); });
    ask("mutex/2_fibers", [](auto& state) { lock_in_turn<Library>(state, 2); });
    ask("mutex/100_fibers", [](auto& state) { lock_in_turn<Library>(state, 100); });
    // Last, since a process that has had a second thread counts as one that has it.
    ask("mutex/uncontended_with_threads", [](auto& state) { lock_alone<Library>(state, true); });
    return answer(argc, argv);
}

}  // namespace bench
