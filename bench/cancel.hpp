// The question: what does it cost to cancel a fiber that waits?
//
// A fiber is spawned and begins to wait; then it is cancelled and joined. So the cost is that of a
// whole life that is cut short. How it waits, and how it ends:
//
//   wait:    for a semaphore, or the like; the wait returns an error, and the fiber ends
//   sleep:   for an hour, with a timer; the same
//   unwind:  as `wait`, but the wait throws, and nothing catches that before the end of the fiber
//
// A contender is a struct as spawn.hpp describes it, with `signal`, which is what all waits need
// besides the fiber, and let_wait(signal), which lets a spawned fiber run until it waits;
// wait(signal) and sleep(signal), true once cancelled; wait_or_throw(signal); and
// cancel_and_join(signal, handle). Stacks are 64 KiB for everybody.
#pragma once

#include "answer.hpp"
#include "microbenchmark.hpp"

#include <cstdint>

namespace bench {

enum class way { wait, sleep, unwind };

/// What is thrown where the library does not throw itself.
struct stopped {};

template <class Library>
struct victim {
    typename Library::signal signal{};
    std::int64_t ended = 0;
};

/// Adds one when it is destroyed, so that an end that leaves destructors out is noticed. With
/// `unwind` it is the exception that destroys it.
class count_at_end {
public:
    explicit count_at_end(std::int64_t& count) : count_(count) {}
    count_at_end(const count_at_end&) = delete;
    count_at_end& operator=(const count_at_end&) = delete;
    ~count_at_end() { ++count_; }

private:
    std::int64_t& count_;
};

template <class Library, way Way>
void live(victim<Library>& self) {
    if constexpr (Way == way::unwind) {
        try {
            const count_at_end counted(self.ended);
            Library::wait_or_throw(self.signal);
        } catch (const stopped&) {
            return;
        }
    } else {
        const count_at_end counted(self.ended);
        if (Way == way::wait ? Library::wait(self.signal) : Library::sleep(self.signal))
            return;
    }
    give_up("a wait ended by itself");
}

template <class Library, way Way>
void cancel_each(benchmark::State& state) {
    Library::run([&] {
        victim<Library> shared;
        for (auto _ : state) {
            auto fiber = Library::template spawn<live<Library, Way>>(shared);
            Library::let_wait(shared.signal);
            Library::cancel_and_join(shared.signal, fiber);
        }
        if (shared.ended != state.iterations())
            state.SkipWithError("a fiber did not end, or did so twice");
    });
    state.SetItemsProcessed(state.iterations());
}

/// The main function of a contender.
template <class Library>
int cancel_main(int argc, char** argv) {
    ask("cancel/wait", cancel_each<Library, way::wait>);
    ask("cancel/sleep", cancel_each<Library, way::sleep>);
    ask("cancel/unwind", cancel_each<Library, way::unwind>);
    return answer(argc, argv);
}

}  // namespace bench
