// The question (timer.hpp): what does a wait with a deadline cost that ends before the deadline,
// when N other timers are armed? This is the answer of State Threads. Its join takes no deadline;
// the cheapest wait that does is that for a condition, and its deadlines count from its scheduler's
// last look at the clock.
#include "../timer.hpp"
#include "state_threads.hpp"

namespace {

st_cond_t ended = nullptr;

struct count_and_tell {
    std::int64_t* ran;
    bool over = false;
};

struct state_threads {
    template <class F>
    static void run(F main_fiber) {
        bench::begin_state_threads(true);
        ended = st_cond_new();
        main_fiber();
    }
    static void arm(const std::vector<bench::deadline>& all) {
        static std::vector<st_utime_t> lengths;
        static std::size_t asleep = 0;
        for (const bench::deadline& one : all)
            lengths.push_back(static_cast<st_utime_t>(one.length.count()));
        const auto sleep = [](void* length) -> void* {
            ++asleep;
            st_usleep(*static_cast<const st_utime_t*>(length));
            return nullptr;
        };
        for (st_utime_t& length : lengths)
            start(sleep, &length);
        while (asleep < all.size())
            st_usleep(0);
    }
    static void wait(std::int64_t& ran, const bench::deadline& until) {
        count_and_tell child{&ran};
        const auto body = [](void* argument) -> void* {
            auto& self = *static_cast<count_and_tell*>(argument);
            ++*self.ran;
            self.over = true;
            st_cond_signal(ended);
            return nullptr;
        };
        start(body, &child);
        while (!child.over) {
            if (st_cond_timedwait(ended, static_cast<st_utime_t>(until.length.count())) != 0)
                bench::give_up("the deadline came");
        }
    }

private:
    static void start(void* (*body)(void*), void* argument) {
        if (st_thread_create(body, argument, 0, bench::stack_bytes) == nullptr)
            bench::give_up("State Threads refuse another thread");
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::timer_main<state_threads>(argc, argv);
}
