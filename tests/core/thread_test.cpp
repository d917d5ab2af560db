// Plain threads, and fibers of several runs, that join, stop and drop one another's fibers.
#include "helpers.hpp"
#include "runtime/base/random.hpp"
#include "runtime/core/thread_wait.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <latch>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;
using heddle::spawn;

namespace {

/// Gives way until a thread has done its work.
void let_run_until(const std::atomic<bool>& done) {
    while (!done) {
        heddle::this_fiber::sleep_for(10us);
    }
}

/// Hands fibers from thread to thread.
class exchange_place {
public:
    void put(fiber<int> one) {
        const std::lock_guard guard(lock_);
        waiting_.push_back(std::move(one));
    }
    std::optional<fiber<int>> take() {
        const std::lock_guard guard(lock_);
        if (waiting_.empty()) {
            return std::nullopt;
        }
        std::optional<fiber<int>> first(std::move(waiting_.front()));
        waiting_.pop_front();
        return first;
    }

private:
    std::mutex lock_;
    std::deque<fiber<int>> waiting_;
};

}  // namespace

TEST_CASE("a plain thread joins a fiber and gets its value or its exception") {
    heddle::run([] {
        fiber value([] {
            heddle::this_fiber::sleep_for(100us);
            return 7;
        });
        fiber failed([] { throw std::runtime_error("to the thread"); });
        fiber stopped(sleep_for_ever);
        std::atomic<bool> done = false;
        const std::jthread thread([&] {
            CHECK(value.join() == 7);
            CHECK_THROWS_WITH_AS(failed.join(), "to the thread", std::runtime_error);
            CHECK(stopped.request_stop());
            CHECK(code_of([&] { return stopped.join(), 0; }) == std::errc::operation_canceled);
            CHECK(code_of([&] { return stopped.join(), 0; }) == std::errc::invalid_argument);
            done = true;
        });
        let_run_until(done);
    });
}

TEST_CASE("the join of a plain thread times out, not early, and can be repeated") {
    heddle::run([] {
        std::atomic<bool> open = false;
        fiber child([&] {
            let_run_until(open);
            return 7;
        });
        std::atomic<bool> done = false;
        const std::jthread thread([&] {
            for (int i = 0; i < 3; ++i) {
                const heddle::deadline soon = 500us;
                CHECK(code_of([&] { return child.join(soon); }) == std::errc::timed_out);
                CHECK(soon.has_passed());
                std::error_code code;
                CHECK_FALSE(child.join(in_the_past(), code).has_value());
                CHECK(code == std::errc::timed_out);
            }
            open = true;
            CHECK(child.join(1h) == 7);
            done = true;
        });
        let_run_until(done);
    });
}

TEST_CASE("a plain thread may give up a join again and again while the fiber ends") {
    for (int round = 0; round < scaled(300); ++round) {
        heddle::run([] {
            std::atomic<bool> begun = false;
            std::atomic<bool> joined = false;
            fiber child([&] {
                begun = true;
                heddle::this_fiber::yield();
                return 7;
            });
            const std::jthread thread([&] {
                while (!begun) {
                }
                std::error_code error;
                std::optional<int> value;
                while (!(value = child.join(heddle::deadline(1us), error))) {
                    CHECK(error == std::errc::timed_out);
                }
                CHECK(value == 7);
                joined = true;
            });
            let_run_until(joined);
        });
    }
}

TEST_CASE("a plain thread may drop, detach and assign over handles of running fibers") {
    std::atomic<int> ended = 0;
    heddle::run([&] {
        const auto sleeper = [&] {
            struct count {
                std::atomic<int>& ended;
                ~count() { ++ended; }
            } const at_end{ended};
            sleep_for_ever();
        };
        fiber dropped(sleeper);
        fiber assigned(sleeper);
        fiber detached(sleeper);
        std::atomic<bool> done = false;
        const std::jthread thread([&] {
            { const fiber<> here = std::move(dropped); }
            CHECK(ended == 1);
            assigned = fiber<>();
            CHECK(ended == 2);
            detached.detach();
            done = true;
        });
        let_run_until(done);
        CHECK(ended == 2);
    });
    CHECK(ended == 3);
}

TEST_CASE("what a fiber wrote is seen by the thread that has joined it") {
    heddle::run([] {
        for (int round = 0; round < scaled(300); ++round) {
            std::vector<int> written;
            fiber writer([&] {
                for (int i = 0; i < 100; ++i) {
                    written.push_back(i);
                }
            });
            std::atomic<bool> done = false;
            const std::jthread thread([&] {
                writer.join();
                CHECK(written.size() == 100);
                done = true;
            });
            let_run_until(done);
        }
    });
}

TEST_CASE("threads that come one after the other wait with the same control block") {
    heddle::detail::fiber_block* first = nullptr;
    std::jthread([&] { first = &heddle::detail::this_thread_block(); }).join();
    for (int i = 0; i < 100; ++i) {
        std::jthread([&] { CHECK(&heddle::detail::this_thread_block() == first); }).join();
    }
    heddle::detail::fiber_block* mine = nullptr;
    std::jthread([&] {
        mine = &heddle::detail::this_thread_block();
        std::jthread([&] { CHECK(&heddle::detail::this_thread_block() != mine); }).join();
        CHECK(&heddle::detail::this_thread_block() == mine);
    }).join();
}

TEST_CASE("a handle in a thread-local variable is joined after the thread's own block is gone") {
    heddle::run([] {
        fiber child([](std::stop_token token) {
            while (!token.stop_requested()) {
                heddle::this_fiber::sleep_for(10us, *std::make_unique<std::error_code>());
            }
        });
        const heddle::detail::fiber_block* used_again = nullptr;
        std::atomic<bool> done = false;
        const std::jthread thread([&] {
            std::jthread([&] {
                // Made before the block, and so destroyed after it.
                static thread_local fiber<> kept;
                const heddle::detail::fiber_block* const own = &heddle::detail::this_thread_block();
                used_again = own;
                kept = std::move(child);
            }).join();
            // Nobody else has been given that block twice.
            const auto* const mine = &heddle::detail::this_thread_block();
            std::jthread([&] { CHECK(&heddle::detail::this_thread_block() != mine); }).join();
            done = true;
        });
        let_run_until(done);
    });
}

TEST_CASE("fibers of one run join those of another, whose workers may end at once") {
    heddle::options patient;
    patient.shutdown_grace = std::chrono::minutes(1);  // the second run may get its turn late
    for (int round = 0; round < scaled(500); ++round) {
        fiber<int> target;
        std::latch handed_over(1);
        std::atomic<bool> open = false;
        const std::jthread first([&] {
            heddle::run(
                [&] {
                    target = spawn([&] {
                        while (!open) {
                            heddle::this_fiber::yield();
                        }
                        return 7;
                    });
                    handed_over.count_down();
                },
                patient);
        });
        handed_over.wait();
        const std::jthread second([&] {
            heddle::run([&] {
                heddle::spawn_detached([&] { open = true; });
                std::error_code code;
                if (round % 2 == 0) {
                    CHECK(target.join() == 7);
                    return;
                }
                // Its end, its deadline and a stop meet.
                fiber joiner([&] {
                    std::optional<int> value;
                    while (!value) {
                        value = target.join(heddle::deadline(1us), code);
                    }
                    return *value;
                });
                CHECK(joiner.join() == 7);
            });
        });
    }
}

TEST_CASE("fibers of several runs and plain threads exchange fibers and join them") {
    constexpr int threads = 3;
    const int per_thread = scaled(3000);
    exchange_place place;
    std::atomic<int> joined = 0;
    std::atomic<int> sum = 0;
    const auto join_some = [&] {
        while (joined < threads * per_thread) {
            std::optional<fiber<int>> one = place.take();
            if (!one) {
                heddle::this_fiber::sleep_for(1us);
                continue;
            }
            std::error_code code;
            if (const std::optional<int> value = one->join(heddle::deadline(5us), code)) {
                sum += *value;
                ++joined;
            } else {
                CHECK(code == std::errc::timed_out);
                place.put(std::move(*one));
            }
        }
    };
    {
        std::vector<std::jthread> all;
        for (int t = 0; t < threads; ++t) {
            all.emplace_back([&] {
                heddle::run([&] {
                    std::vector<fiber<>> joiners;
                    for (int i = 0; i < 4; ++i) {
                        joiners.push_back(spawn(join_some));
                    }
                    for (int i = 0; i < per_thread; ++i) {
                        place.put(spawn([i] {
                            if (i % 3 == 0) {
                                heddle::this_fiber::sleep_for(3us);
                            }
                            return 1;
                        }));
                        if (i % 64 == 0) {
                            heddle::this_fiber::yield();
                        }
                    }
                    for (fiber<>& one : joiners) {
                        one.join();
                    }
                });
            });
        }
        all.emplace_back(join_some);
        all.emplace_back(join_some);
    }
    CHECK(sum == threads * per_thread);
}

TEST_CASE("a run on another thread takes requests and joins until it is over, and after") {
    heddle::detail::random_sequence random(seed());
    for (int round = 0; round < scaled(300); ++round) {
        constexpr int count = 20;
        std::vector<fiber<>> handles(count);
        std::latch ready(1);
        const std::jthread worker([&] {
            heddle::run([&] {
                for (int i = 0; i < count; ++i) {
                    handles[static_cast<std::size_t>(i)] = spawn([i] {
                        for (int turn = 0; turn < i; ++turn) {
                            heddle::this_fiber::yield();
                        }
                        if (i % 2 == 0) {
                            sleep_for_ever();
                        }
                    });
                }
                ready.count_down();
                // And ends, in the middle of it all.
            });
        });
        ready.wait();
        const auto use = [&](std::size_t first, std::uint64_t own_seed) {
            heddle::detail::random_sequence mine(own_seed);
            for (std::size_t i = first; i < count; i += 2) {
                std::error_code code;
                switch (mine.below(6)) {
                case 0:
                    handles[i].request_stop();
                    break;
                case 1:
                    handles[i].join(code);
                    break;
                case 2:
                    handles[i].join(heddle::deadline(std::chrono::nanoseconds(mine.below(2000))),
                                    code);
                    break;
                case 3:
                    handles[i].detach();
                    break;
                case 4:
                    handles[i] = fiber<>();
                    break;
                case 5:
                    static_cast<void>(handles[i].get_stop_token());
                    break;
                }
            }
        };
        const std::uint64_t seeds[] = {random.next(), random.next()};
        const std::jthread even(use, 0, seeds[0]);
        const std::jthread odd(use, 1, seeds[1]);
    }
}
