// The question (yield.hpp): what does a yield cost when N fibers on one thread yield in turn?
// This is the answer of threads of the system, all on one CPU. sched_yield(2) promises no order, so
// each hands the turn to the next by a POSIX semaphore, which is a futex, and waits for its own.
#include "../yield.hpp"
#include "system_thread.hpp"

#include <semaphore.h>

#include <deque>

namespace {

std::size_t members_made = 0;

/// One of the ring: its turn, and what it runs.
struct member {
    sem_t turn{};
    std::size_t number = members_made++;
    void (*body)(bench::ring&) = nullptr;
    bench::ring* shared = nullptr;

    member() { sem_init(&turn, 0, 0); }
};

std::deque<member> members;  // in the order of the turns; the first is the clock
thread_local std::size_t own = 0;

void hand_on() {
    sem_post(&members[own + 1 == members.size() ? 0 : own + 1].turn);
}

void wait_for_turn() {
    while (sem_wait(&members[own].turn) != 0) {
    }
}

void begin(member& self) {
    // Until its first turn others are added to the ring.
    sem_wait(&self.turn);
    own = self.number;
    self.body(*self.shared);
    hand_on();
}

struct joinable {
    bench::system_thread thread;
    bool first;

    /// The one that is joined first gets the turn, and each that ends hands it on.
    void join() const {
        if (first)
            hand_on();
        thread.join();
    }
};

struct system_threads {
    using handle = joinable;

    template <class F>
    static void run(F main_fiber) {
        members.clear();
        members_made = 0;
        members.emplace_back();
        main_fiber();
    }
    static handle spawn(void (*body)(bench::ring&), bench::ring& shared) {
        member& made = members.emplace_back();
        made.body = body;
        made.shared = &shared;
        return {bench::system_thread::spawn<begin>(made), members.size() == 2};
    }
    static void yield() {
        hand_on();
        wait_for_turn();
    }
};

}  // namespace

int main(int argc, char** argv) {
    constexpr std::size_t threads_max = 1000;
    return bench::yield_main<system_threads>(argc, argv, threads_max);
}
