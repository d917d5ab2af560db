// Random programs of fibers that wait for one another's semaphores, events, latches and conditions,
// each step checked against a queue and a number.
#include "runtime/base/random.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/condition_variable.hpp"
#include "heddle/event.hpp"
#include "heddle/latch.hpp"
#include "heddle/semaphore.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::test {

namespace {

using detail::random_sequence;

/// Who waits, in order. One is let go on, or is stopped; which came first decides.
class queue_model {
public:
    void wait(int fiber) { waiting_.push_back(fiber); }
    /// The first is let go on; false if nobody waits.
    bool let_go() {
        if (waiting_.empty()) {
            return false;
        }
        let_go_.push_back(waiting_.front());
        waiting_.pop_front();
        return true;
    }
    /// What a wait of this fiber that was not over at once has to give now that it is.
    bool was_let_go(int fiber) { return take(let_go_, fiber); }
    void stop(int fiber) { take(waiting_, fiber); }

private:
    static bool take(std::deque<int>& from, int fiber) {
        const auto found = std::find(from.begin(), from.end(), fiber);
        if (found == from.end()) {
            return false;
        }
        from.erase(found);
        return true;
    }

    std::deque<int> waiting_;
    std::deque<int> let_go_;
};

/// What a program needs of each primitive: whether a wait has to be over at once, the wait, and
/// something that lets others go on.
struct semaphore_game {
    queue_model queue;
    counting_semaphore<> real{2};
    std::uint64_t permits = 2;

    bool is_over_at_once() {
        const bool free = permits > 0;
        permits -= free ? 1 : 0;
        return free;
    }
    void wait(std::error_code& ec) { real.acquire(ec); }
    void act(random_sequence& random) {
        const std::uint64_t count = random.below(3);
        for (std::uint64_t i = 0; i < count; ++i) {
            permits += queue.let_go() ? 0 : 1;
        }
        real.release(static_cast<std::ptrdiff_t>(count));
        if (random.below(4) == 0) {
            CHECK(real.try_acquire() == is_over_at_once());
        }
    }
};

struct event_game {
    queue_model queue;
    event real;
    bool set = false;

    bool is_over_at_once() const { return set; }
    void wait(std::error_code& ec) { real.wait(ec); }
    void act(random_sequence& random) {
        if (random.below(2) == 0) {
            set = false;
            real.reset();
        } else {
            set = true;
            while (queue.let_go()) {
            }
            real.set();
        }
        CHECK(real.is_set() == set);
    }
};

struct auto_event_game {
    queue_model queue;
    auto_reset_event real;
    bool set = false;

    bool is_over_at_once() { return std::exchange(set, false); }
    void wait(std::error_code& ec) { real.wait(ec); }
    void act(random_sequence& random) {
        if (random.below(6) == 0) {
            set = false;
            real.reset();
        } else {
            set = set || !queue.let_go();
            real.set();
        }
        CHECK(real.is_set() == set);
    }
};

struct latch_game {
    queue_model queue;
    latch real{10};
    int count = 10;

    bool is_over_at_once() const { return count == 0; }
    void wait(std::error_code& ec) { real.wait(ec); }
    void act(random_sequence&) {
        if (count > 0) {
            --count;
            while (count == 0 && queue.let_go()) {
            }
            real.count_down();
        }
        CHECK(real.try_wait() == (count == 0));
    }
};

struct condition_game {
    queue_model queue;
    mutex lock;
    condition_variable real;

    static bool is_over_at_once() { return false; }
    void wait(std::error_code& ec) {
        lock.lock();  // nobody keeps it
        real.wait(lock, ec);
        lock.unlock();
    }
    void act(random_sequence& random) {
        if (random.below(4) == 0) {
            while (queue.let_go()) {
            }
            real.notify_all();
        } else {
            queue.let_go();
            real.notify_one();
        }
    }
};

/// A few fibers that play one game until all have ended or are stopped.
template <class Game>
class waiting_program {
public:
    explicit waiting_program(std::uint64_t seed) : random_(seed) {}

    void run() {
        in_fiber([this] {
            const std::uint64_t count = 2 + random_.below(6);
            for (std::uint64_t i = 0; i < count; ++i) {
                fibers_.push_back(spawn([this, me = static_cast<int>(i)] { body(me); }));
            }
            // Acts for as long as anybody waits for it, and stops one now and then.
            for (int turns = 0; ended_ < static_cast<int>(count); ++turns) {
                if (random_.below(3) == 0) {
                    game_.act(random_);
                }
                if (random_.below(12) == 0 || turns > 300) {
                    const std::uint64_t which = random_.below(count);
                    game_.queue.stop(static_cast<int>(which));
                    fibers_[which].request_stop();
                }
                this_fiber::yield();
            }
            fibers_.clear();
        });
    }

private:
    void body(int me) {
        fiber<>& self = fibers_[static_cast<std::size_t>(me)];
        for (std::uint64_t step = random_.below(20); step > 0; --step) {
            if (random_.below(3) == 0) {
                game_.act(random_);
            } else if (random_.below(3) == 0) {
                this_fiber::yield();
            } else {
                wait(me, self.get_stop_token().stop_requested());
            }
        }
        ++ended_;
    }

    void wait(int me, bool is_stopped) {
        std::error_code ec = std::make_error_code(std::errc::io_error);
        if (is_stopped) {
            game_.wait(ec);
            CHECK(ec == std::errc::operation_canceled);
        } else if (game_.is_over_at_once()) {
            game_.wait(ec);
            CHECK_FALSE(ec);
        } else {
            game_.queue.wait(me);
            game_.wait(ec);
            if (game_.queue.was_let_go(me)) {
                CHECK_FALSE(ec);
            } else {
                CHECK(ec == std::errc::operation_canceled);
            }
        }
    }

    random_sequence random_;
    Game game_;
    std::vector<fiber<>> fibers_;
    int ended_ = 0;
};

TEST_CASE_TEMPLATE("random programs of waits end each as the model says", Game, semaphore_game,
                   event_game, auto_event_game, latch_game, condition_game) {
    random_sequence random(seed());
    on_both_atomic_paths([&] {
        for (int i = 0; i < scaled(1000); ++i) {
            waiting_program<Game>(random.next()).run();
        }
    });
}

TEST_CASE("permits are neither lost nor made when deadlines, stops and threads meet") {
    random_sequence random(seed());
    counting_semaphore<> permits(3);
    std::atomic<std::ptrdiff_t> taken = 0;
    std::atomic<std::ptrdiff_t> given = 3;
    const auto work = [&](std::uint64_t own_seed) {
        random_sequence mine(own_seed);
        for (int i = 0; i < scaled(2000); ++i) {
            switch (mine.below(4)) {
            case 0:
                ++given;
                permits.release();
                break;
            case 1:
                taken += permits.try_acquire() ? 1 : 0;
                break;
            default: {
                std::error_code ec;
                permits.acquire(std::chrono::nanoseconds(mine.below(20'000)), ec);
                taken += ec ? 0 : 1;
                break;
            }
            }
        }
    };
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
        threads.emplace_back(work, random.next());
        threads.emplace_back([&work, first = random.next(), second = random.next()] {
            in_fiber([&] {
                fiber<> other([&] { work(first); });
                work(second);
                other.request_stop();
                other.join();
            });
        });
    }
    for (auto& one : threads) {
        one.join();
    }
    while (permits.try_acquire()) {
        ++taken;
    }
    CHECK(taken.load() == given.load());
}

}  // namespace

}  // namespace heddle::test
