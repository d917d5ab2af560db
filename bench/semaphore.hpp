// The question: what does it cost to hand on from one fiber to another by a semaphore?
//
// Two fibers and two semaphores without permits: each fiber releases the other's and acquires its
// own, so that they run in turn. A round trip is two hops. The ball that they exchange is a number,
// and one that comes back as another was not waited for. That is asked in a process of one thread
// and in one of two (other_thread.hpp).
//
// A contender is a struct as spawn.hpp describes it, with `semaphore` (acquire(), release(), and
// made from the number of permits). Stacks are 64 KiB for everybody.
#pragma once

#include "microbenchmark.hpp"
#include "other_thread.hpp"

#include <cstdint>

namespace bench {

template <class Library>
struct court {
    typename Library::semaphore there{0};
    typename Library::semaphore back{0};
    std::int64_t balls;         ///< that are going to be played
    std::int64_t played = 0;    ///< the ball that is under way
    std::int64_t returned = 0;  ///< the last that came back
};

template <class Library>
void return_balls(court<Library>& shared) {
    for (std::int64_t ball = shared.balls; ball > 0; --ball) {
        shared.there.acquire();
        shared.returned = shared.played;
        shared.back.release();
    }
}

template <class Library>
void play(benchmark::State& state, bool with_thread) {
    const other_thread sleeper(with_thread);
    Library::run([&] {
        court<Library> shared{.balls = times(state)};
        std::int64_t lost = 0;
        auto other = Library::template spawn<return_balls<Library>>(shared);
        for (auto _ : state) {
            ++shared.played;
            shared.there.release();
            shared.back.acquire();
            lost += shared.returned != shared.played;
        }
        other.join();
        if (lost != 0 || shared.returned != state.iterations())
            state.SkipWithError("a semaphore was acquired that nobody had released");
    });
    state.SetItemsProcessed(2 * state.iterations());
}

/// The main function of a contender.
template <class Library>
int semaphore_main(int argc, char** argv) {
    ask("semaphore/hop", [](auto& state) { play<Library>(state, false); });
    // Last, since a process that has had a second thread counts as one that has it.
    ask("semaphore/hop_with_threads", [](auto& state) { play<Library>(state, true); });
    return answer(argc, argv);
}

}  // namespace bench
