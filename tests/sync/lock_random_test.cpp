// Random programs of fibers that lock, checked step by step: who owns what, who may overtake whom.
#include "runtime/base/random.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/mutex.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <stop_token>
#include <system_error>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using detail::random_sequence;

/// What is known of a mutex from outside: who asked for it, in order, and who has it.
class mutex_model {
public:
    /// A flow asks. Its wait may end early if `may_give_up`.
    void ask(int flow, bool may_give_up) {
        asked_at_ = ++steps_;
        queue_.push_back({flow, may_give_up, 0});
    }

    /// It has got the mutex.
    void got(int flow) {
        CHECK(owner_ == nobody);
        owner_ = flow;
        const bool at_once = steps_ == asked_at_ && queue_.back().flow == flow;
        for (entry& ahead : queue_) {
            if (ahead.flow == flow) {
                break;
            }
            // Those that may give up may have done so, and not have come to say it.
            if (!ahead.may_give_up) {
                CHECK(at_once);
                ahead.passed += &ahead == &queue_.front() ? 1 : 0;
                CHECK(ahead.passed <= 1);
                break;
            }
        }
        leave(flow);
    }

    /// It has given up.
    void gave_up(int flow) {
        CHECK(find(flow)->may_give_up);
        leave(flow);
    }

    void let_go(int flow) {
        CHECK(owner_ == flow);
        owner_ = nobody;
        ++steps_;
    }

    bool is_free_for_all() const { return owner_ == nobody && queue_.empty(); }

private:
    static constexpr int nobody = -1;
    struct entry {
        int flow;
        bool may_give_up;
        int passed;
    };

    std::deque<entry>::iterator find(int flow) {
        return std::find_if(queue_.begin(), queue_.end(),
                            [&](const entry& one) { return one.flow == flow; });
    }
    void leave(int flow) {
        queue_.erase(find(flow));
        ++steps_;
    }

    std::deque<entry> queue_;
    int owner_ = nobody;
    std::uint64_t steps_ = 0;
    std::uint64_t asked_at_ = 0;
};

/// Some fibers, some mutexes, and each fiber takes one after the other in random ways.
class lock_program {
public:
    explicit lock_program(std::uint64_t seed) : random_(seed) {}

    void run() {
        in_fiber([this] {
            std::vector<fiber<>> fibers;
            const std::uint64_t count = 2 + random_.below(6);
            for (std::uint64_t i = 0; i < count; ++i) {
                fibers.push_back(spawn([this, me = static_cast<int>(i)] { body(me); }));
            }
            for (auto& one : fibers) {
                one.join();
            }
        });
        CHECK(model_.is_free_for_all());
        CHECK(lock_.try_lock());
        lock_.unlock();
    }

private:
    void body(int me) {
        for (std::uint64_t step = random_.below(30); step > 0; --step) {
            if (take(me)) {
                for (std::uint64_t turns = random_.below(4); turns > 1; --turns) {
                    this_fiber::yield();
                }
                model_.let_go(me);
                lock_.unlock();
            }
            if (random_.below(2) == 0) {
                this_fiber::yield();
            }
        }
    }

    bool take(int me) {
        switch (random_.below(6)) {
        case 0:
            model_.ask(me, true);
            return told(me, lock_.try_lock());
        case 1:
            model_.ask(me, true);
            return told(me, lock_.try_lock_for(std::chrono::nanoseconds(random_.below(3000))));
        case 2: {
            std::stop_source source;
            if (random_.below(2) == 0) {
                spawn_detached([this, source]() mutable {
                    for (std::uint64_t turns = random_.below(6); turns > 0; --turns) {
                        this_fiber::yield();
                    }
                    source.request_stop();
                });
            }
            std::error_code ec;
            model_.ask(me, true);
            lock_.lock(source.get_token(), ec);
            return told(me, !ec);
        }
        default:
            model_.ask(me, false);
            lock_.lock();
            return told(me, true);
        }
    }

    bool told(int me, bool got) {
        got ? model_.got(me) : model_.gave_up(me);
        return got;
    }

    random_sequence random_;
    timed_mutex lock_;
    mutex_model model_;
};

TEST_CASE("random programs of locks keep to the order, with one to overtake each waiter") {
    random_sequence random(seed());
    on_both_atomic_paths([&] {
        for (int i = 0; i < scaled(1000); ++i) {
            lock_program(random.next()).run();
        }
    });
}

/// Readers and writers, of whom the model knows who is in.
class shared_program {
public:
    explicit shared_program(std::uint64_t seed) : random_(seed) {}

    void run() {
        in_fiber([this] {
            std::vector<fiber<>> fibers;
            const std::uint64_t count = 2 + random_.below(6);
            for (std::uint64_t i = 0; i < count; ++i) {
                fibers.push_back(spawn([this] { body(); }));
            }
            for (auto& one : fibers) {
                one.join();
            }
        });
        CHECK(lock_.try_lock());
        lock_.unlock();
    }

private:
    void body() {
        for (std::uint64_t step = random_.below(30); step > 0; --step) {
            if (random_.below(3) == 0) {
                write();
            } else {
                read();
            }
            if (random_.below(2) == 0) {
                this_fiber::yield();
            }
        }
    }

    void stay() {
        for (std::uint64_t turns = random_.below(4); turns > 1; --turns) {
            this_fiber::yield();
        }
    }

    void write() {
        switch (random_.below(4)) {
        case 0:
            if (!lock_.try_lock()) {
                return;
            }
            break;
        case 1:
            if (!lock_.try_lock_for(std::chrono::nanoseconds(random_.below(3000)))) {
                return;
            }
            break;
        case 2: {
            std::stop_source source;
            spawn_detached([source]() mutable { source.request_stop(); });
            std::error_code ec;
            lock_.lock(source.get_token(), ec);
            if (ec) {
                return;
            }
            break;
        }
        default:
            lock_.lock();
            break;
        }
        CHECK(readers_ == 0);
        CHECK_FALSE(writing_);
        writing_ = true;
        stay();
        CHECK(readers_ == 0);
        writing_ = false;
        lock_.unlock();
    }

    void read() {
        switch (random_.below(3)) {
        case 0:
            if (!lock_.try_lock_shared()) {
                return;
            }
            break;
        case 1:
            if (!lock_.try_lock_shared_for(std::chrono::nanoseconds(random_.below(3000)))) {
                return;
            }
            break;
        default:
            lock_.lock_shared();
            break;
        }
        CHECK_FALSE(writing_);
        ++readers_;
        stay();
        CHECK_FALSE(writing_);
        --readers_;
        lock_.unlock_shared();
    }

    random_sequence random_;
    shared_timed_mutex lock_;
    int readers_ = 0;
    bool writing_ = false;
};

TEST_CASE("random programs of readers and writers never meet inside, and all come through") {
    random_sequence random(seed());
    on_both_atomic_paths([&] {
        for (int i = 0; i < scaled(1000); ++i) {
            shared_program(random.next()).run();
        }
    });
}

/// The same mutexes from several threads: what can be seen then is who is inside.
TEST_CASE("random lockers of several threads exclude one another and lose nothing") {
    random_sequence random(seed());
    timed_mutex lock;
    shared_timed_mutex shared;
    std::uint64_t under_lock = 0;
    std::uint64_t under_shared = 0;
    std::atomic<std::uint64_t> counted_lock = 0;
    std::atomic<std::uint64_t> counted_shared = 0;
    const auto work = [&](std::uint64_t own_seed) {
        random_sequence mine(own_seed);
        for (int i = 0; i < scaled(2000); ++i) {
            const auto moment = std::chrono::nanoseconds(mine.below(20'000));
            switch (mine.below(5)) {
            case 0:
                if (lock.try_lock_for(moment)) {
                    ++under_lock;
                    ++counted_lock;
                    lock.unlock();
                }
                break;
            case 1:
                lock.lock();
                ++under_lock;
                ++counted_lock;
                if (mine.below(4) == 0) {
                    this_fiber::yield();
                }
                lock.unlock();
                break;
            case 2:
                if (shared.try_lock_for(moment)) {
                    ++under_shared;
                    ++counted_shared;
                    shared.unlock();
                }
                break;
            case 3:
                shared.lock();
                ++under_shared;
                ++counted_shared;
                shared.unlock();
                break;
            default:
                if (shared.try_lock_shared_for(moment)) {
                    CHECK(under_shared <= counted_shared.load());
                    shared.unlock_shared();
                }
                break;
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
                other.join();
            });
        });
    }
    for (auto& one : threads) {
        one.join();
    }
    CHECK(under_lock == counted_lock.load());
    CHECK(under_shared == counted_shared.load());
}

}  // namespace

}  // namespace heddle::test
