// Nobody hogs the worker and nobody is forgotten: timers and descriptors have their turn within a
// bounded number of switches, and a worker with nothing to do does nothing.
#include "helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/io.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <thread>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;
using heddle::spawn;

namespace {

// A turn of the dispatcher comes after at most so many switches (worker.cpp), and every runnable
// fiber has its turn before somebody who became runnable then.
constexpr std::uint64_t turn_max = 1024;
// One who joins fibers that have not started may go on for four turns more before he queues up.
constexpr std::uint64_t joiner_turns_max = 5;

struct pipe_ends {
    int ends[2] = {-1, -1};
    pipe_ends() { REQUIRE(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0); }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    ~pipe_ends() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
};

/// Something that a storm does all the time; each call counts as a step.
struct storm {
    std::uint64_t steps = 0;
    std::uint64_t steps_when_due = 0;
    bool over = false;

    /// Notes when what is waited for has come, by the storm's own clock.
    void step(bool due) {
        ++steps;
        if (due && steps_when_due == 0) {
            steps_when_due = steps;
        }
    }
    std::uint64_t lateness() const { return steps_when_due == 0 ? 0 : steps - steps_when_due; }
};

/// Has a timer fire in the middle of what `act` does again and again in `fibers` fibers; says after
/// how many steps too many.
template <class Act>
std::uint64_t lateness_of_timer(int fibers, Act act) {
    storm weather;
    const heddle::deadline due = 2ms;
    std::vector<fiber<>> noisy;
    for (int i = 0; i < fibers; ++i) {
        noisy.push_back(spawn([&] {
            while (!weather.over) {
                weather.step(due.has_passed());
                act();
            }
        }));
    }
    fiber sleeper([&] {
        heddle::this_fiber::sleep_until(due);
        CHECK(due.has_passed());
        weather.over = true;
        return weather.lateness();
    });
    return sleeper.join();
}

}  // namespace

TEST_CASE("a storm of yielding fibers keeps no timer waiting beyond a bound in switches") {
    in_fiber([] {
        for (const int fibers : {1, 2, 100, 3000}) {
            const auto late = lateness_of_timer(fibers, [] { heddle::this_fiber::yield(); });
            CHECK(late <= turn_max + 2 * static_cast<std::uint64_t>(fibers));
        }
    });
}

TEST_CASE("one fiber that spawns and joins without end keeps no timer waiting") {
    in_fiber([] {
        constexpr std::uint64_t most = joiner_turns_max * turn_max + 2;
        CHECK(lateness_of_timer(1, [] { fiber([] {}).join(); }) <= most);
        CHECK(lateness_of_timer(1, [] { const fiber dropped([] {}); }) <= most);
        CHECK(lateness_of_timer(2, [] { fiber([] { heddle::this_fiber::yield(); }).join(); }) <=
              turn_max + 8);
    });
}

TEST_CASE("a chain of fibers that each end the wait of the next keeps nobody waiting") {
    in_fiber([] {
        constexpr std::uint64_t turns_in_between = 5;
        const auto count = static_cast<std::uint64_t>(scaled_stacks(20'000));
        bool begun = false;
        std::uint64_t ended = 0;
        std::uint64_t most_at_once = 0;
        std::vector<fiber<>> chain;
        chain.push_back(spawn([&] {
            while (!begun) {
                heddle::this_fiber::yield();
            }
        }));
        while (chain.size() < count) {
            chain.push_back(spawn([&chain, &ended, before = chain.size() - 1] {
                chain[before].join();
                ++ended;
            }));
        }
        let_others_run();
        fiber other([&] {
            begun = true;
            std::uint64_t seen = 0;
            while (ended < count - 1) {
                heddle::this_fiber::yield();
                most_at_once = std::max(most_at_once, ended - seen);
                seen = ended;
            }
        });
        other.join();
        CHECK(most_at_once <= turns_in_between * turn_max);
        chain.back().join();
    });
}

TEST_CASE("fibers that detach without end keep no timer waiting") {
    in_fiber([] {
        CHECK(lateness_of_timer(10, [] {
                  heddle::spawn_detached([] {});
                  heddle::this_fiber::yield();
              }) <= turn_max + 40);
    });
}

TEST_CASE("waits that end at once keep no timer waiting") {
    in_fiber([] {
        CHECK(lateness_of_timer(2, [] { heddle::this_fiber::sleep_until(in_the_past()); }) <=
              turn_max + 8);
        std::error_code code;
        bool open = false;
        fiber<> target([&] {
            while (!open) {
                heddle::this_fiber::yield();
            }
        });
        CHECK(lateness_of_timer(2, [&] { target.join(in_the_past(), code); }) <= turn_max + 8);
        open = true;
    });
}

TEST_CASE("descriptors that are always ready keep no timer waiting") {
    const pipe_ends pipe;
    in_fiber([&] {
        CHECK(lateness_of_timer(2, [&] { heddle::wait_writable(pipe.ends[1]); }) <= turn_max + 8);
        CHECK(lateness_of_timer(2, [&] {
                  char byte[1] = {};
                  heddle::write(pipe.ends[1], byte);
                  heddle::read(pipe.ends[0], byte);
              }) <= turn_max + 8);
    });
}

TEST_CASE("a storm of yielding fibers keeps no ready descriptor waiting") {
    if (const char* const reactor = std::getenv("HEDDLE_REACTOR");
        reactor != nullptr && std::string_view(reactor) == "test") {
        return skip("the reactor called test is late on purpose");
    }
    const pipe_ends pipe;
    in_fiber([&] {
        for (const int fibers : {1, 100}) {
            storm weather;
            bool written = false;
            std::vector<fiber<>> noisy;
            for (int i = 0; i < fibers; ++i) {
                noisy.push_back(spawn([&] {
                    while (!weather.over) {
                        if (weather.steps == 5000) {
                            CHECK(::write(pipe.ends[1], "x", 1) == 1);
                            written = true;
                        }
                        weather.step(written);
                        heddle::this_fiber::yield();
                    }
                }));
            }
            fiber reader([&] {
                char byte[1];
                CHECK(heddle::read(pipe.ends[0], byte) == 1);
                weather.over = true;
                return weather.lateness();
            });
            CHECK(reader.join() <= turn_max + 2 * static_cast<std::uint64_t>(fibers));
        }
    });
}

TEST_CASE("a storm of yielding fibers keeps no mail from another thread waiting for ever") {
    heddle::run([] {
        bool over = false;
        fiber<> noisy([&] {
            while (!over) {
                heddle::this_fiber::yield();
            }
        });
        fiber<> sleeper([] { heddle::this_fiber::sleep_until(heddle::deadline::never()); });
        let_others_run();
        const std::jthread thread([&] { sleeper.request_stop(); });
        std::error_code code;
        CHECK_FALSE(sleeper.join(code));
        over = true;
    });
}

TEST_CASE("an idle worker sleeps: it asks the system seldom and uses almost no time") {
    in_fiber([] {
        const auto used = [] {
            std::timespec now = {};
            ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
            return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
        };
        const pipe_ends pipe;
        fiber<> reader([&] { heddle::wait_readable(pipe.ends[0]); });
        fiber<> sleeper([] { heddle::this_fiber::sleep_for(1h); });
        let_others_run();
        // A virtual machine that stands still may count that as this thread's time; one that spins
        // uses all there is each time. If it does, the time limit ends this.
        for (auto time = std::chrono::nanoseconds::max(); time >= 50ms;) {
            const auto before = used();
            const std::uint64_t polls = heddle::get_statistics().reactor_polls;
            heddle::this_fiber::sleep_for(200ms);
            CHECK(heddle::get_statistics().reactor_polls - polls <= 5);
            time = used() - before;
        }
    });
}
