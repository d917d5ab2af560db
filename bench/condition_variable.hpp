// The question: what does it cost to wait for a condition, and to wake those who do?
//
// `ping_pong`: two fibers have one mutex and one condition variable, and a number says whose turn
// it is. Each waits for its turn, hands it on and notifies the other. A hop is one such turn. That
// is asked in a process of one thread and in one of two (other_thread.hpp).
//
// `notify_all`: a hundred fibers wait for the next round. The last to arrive notifies the first
// fiber, which begins the round and notifies all. The cost is that of one of the hundred.
//
// A contender is a struct as spawn.hpp describes it, with `mutex` and `condition_variable` like the
// standard's. Stacks are 64 KiB for everybody.
#pragma once

#include "microbenchmark.hpp"
#include "other_thread.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace bench {

template <class Library>
struct rally {
    typename Library::mutex lock{};
    typename Library::condition_variable changed{};
    std::int64_t turns;     ///< that each of the two has
    std::int64_t turn = 0;  ///< even: the first one's; under the lock
};

/// Takes the next turn of a player, and hands on the one after.
template <class Library, class Lock>
void take_turn(rally<Library>& shared, Lock& hold, std::int64_t player) {
    shared.changed.wait(hold, [&] { return shared.turn % 2 == player; });
    ++shared.turn;
    shared.changed.notify_one();
}

template <class Library>
void play_second(rally<Library>& shared) {
    std::unique_lock hold(shared.lock);
    for (std::int64_t left = shared.turns; left > 0; --left)
        take_turn(shared, hold, 1);
}

template <class Library>
void ping_pong(benchmark::State& state, bool with_thread) {
    const other_thread sleeper(with_thread);
    Library::run([&] {
        rally<Library> shared{.turns = times(state)};
        auto other = Library::template spawn<play_second<Library>>(shared);
        {
            std::unique_lock hold(shared.lock);
            for (auto _ : state)
                take_turn(shared, hold, 0);
        }
        other.join();
        if (shared.turn != 2 * state.iterations())
            state.SkipWithError("a turn was left out");
    });
    state.SetItemsProcessed(2 * state.iterations());
}

template <class Library>
struct race {
    static constexpr std::int64_t runners = 100;

    typename Library::mutex lock{};
    typename Library::condition_variable begun{};
    typename Library::condition_variable all_have_come{};
    std::int64_t rounds;  ///< that there will be
    // Under the lock.
    std::int64_t come = 0;  ///< runners that wait for the next round
    std::int64_t round = 0;
    std::int64_t run = 0;  ///< rounds, by all runners
};

template <class Library>
void run_rounds(race<Library>& shared) {
    std::unique_lock hold(shared.lock);
    for (std::int64_t next = 1; next <= shared.rounds; ++next) {
        if (++shared.come == shared.runners)
            shared.all_have_come.notify_one();
        shared.begun.wait(hold, [&] { return shared.round == next; });
        ++shared.run;
    }
}

template <class Library>
void notify_all(benchmark::State& state) {
    Library::run([&] {
        race<Library> shared{.rounds = times(state)};
        std::vector<typename Library::handle> fibers(shared.runners);
        for (auto& one : fibers)
            one = Library::template spawn<run_rounds<Library>>(shared);
        {
            std::unique_lock hold(shared.lock);
            for (auto _ : state) {
                shared.all_have_come.wait(hold, [&] { return shared.come == shared.runners; });
                shared.come = 0;
                ++shared.round;
                shared.begun.notify_all();
            }
        }
        for (auto& one : fibers)
            one.join();
        if (shared.run != shared.runners * state.iterations())
            state.SkipWithError("somebody missed a round");
    });
    state.SetItemsProcessed(race<Library>::runners * state.iterations());
}

/// The main function of a contender.
template <class Library>
int condition_variable_main(int argc, char** argv) {
    ask("condition_variable/ping_pong", [](auto& state) { ping_pong<Library>(state, false); });
    ask("condition_variable/notify_all", notify_all<Library>);
    // Last, since a process that has had a second thread counts as one that has it.
    ask("condition_variable/ping_pong_with_threads",
        [](auto& state) { ping_pong<Library>(state, true); });
    return answer(argc, argv);
}

}  // namespace bench
