// Variables of which every fiber has one of its own.
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include <heddle/local.hpp>
#include <heddle/mutex.hpp>
#include <heddle/scope.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

/// Says when it is destroyed.
struct witness {
    std::vector<int>* log = nullptr;
    int number = 0;
    witness() = default;
    witness(std::vector<int>* to, int n) : log(to), number(n) {}
    witness(const witness&) = delete;
    witness& operator=(const witness&) = delete;
    ~witness() {
        if (log != nullptr) {
            log->push_back(number);
        }
    }
};

fiber_local<int> of_the_program([] { return 7; });

TEST_CASE("each fiber has a value of its own, made when it first asks") {
    fiber_local<std::string> local;
    int made = 0;
    fiber_local<int> counted([&made] { return ++made; });
    in_fiber([&] {
        CHECK_FALSE(local.has_value());
        *local = "main";
        fiber other([&] {
            CHECK_FALSE(local.has_value());
            CHECK(local->empty());
            *local = "other";
            let_others_run();
            CHECK(*local == "other");
            CHECK(*counted == 1);
            CHECK(*counted == 1);
        });
        let_others_run();
        CHECK(*local == "main");
        other.join();
        CHECK(made == 1);
        CHECK(counted.get() == 2);
        counted.reset();
        CHECK_FALSE(counted.has_value());
        counted.reset();
        CHECK(*counted == 3);
    });
}

TEST_CASE(
    "values are destroyed before a joiner goes on, the newest first, however the fiber ends") {
    std::vector<int> log;
    fiber_local<witness> first([&] { return witness(&log, 1); });
    fiber_local<witness> second([&] { return witness(&log, 2); });
    const auto touch = [&] {
        second.get();
        first.get();
    };
    in_fiber([&] {
        fiber(touch).join();
        CHECK(log == std::vector{1, 2});
        CHECK_THROWS_AS(fiber([&] {
                            touch();
                            throw std::runtime_error("end");
                        }).join(),
                        std::runtime_error);
        CHECK(log == std::vector{1, 2, 1, 2});
        fiber stopped([&] {
            touch();
            this_fiber::sleep_for(1h);
        });
        let_others_run();
        stopped = fiber<>();
        CHECK(log.size() == 6);
        spawn_detached(touch);
        let_others_run();
        CHECK(log.size() == 8);
        scope all;
        all.spawn(touch);
        all.join();
        CHECK(log.size() == 10);
        touch();
    });
    CHECK(log.size() == 12);
}

TEST_CASE("destructors of values may use the runtime, and are not cancelled") {
    struct busy {
        mutex* lock = nullptr;
        int* done = nullptr;
        ~busy() {
            if (lock != nullptr) {
                const std::lock_guard guard(*lock);
                this_fiber::sleep_for(1us);
                this_fiber::yield();
                *done += fiber([] { return 1; }).join();
            }
        }
    };
    mutex lock;
    int done = 0;
    fiber_local<busy> local;
    in_fiber([&] {
        std::vector<fiber<>> fibers;
        for (int i = 0; i < 10; ++i) {
            fibers.push_back(spawn([&, i] {
                local->lock = &lock;
                local->done = &done;
                if (i % 2 == 0) {
                    throw std::runtime_error("end");
                }
            }));
            fibers.back().request_stop();
        }
        int thrown = 0;
        for (auto& one : fibers) {
            try {
                one.join();
            } catch (const std::runtime_error& error) {
                CHECK(std::string(error.what()) == "end");  // kept beside what destructors do
                ++thrown;
            }
        }
        CHECK(done == 10);
        CHECK(thrown == 5);
    });
}

TEST_CASE("values that destructors make are destroyed, too; without end they are an error") {
    struct makes_others {
        fiber_local<makes_others>* next = nullptr;
        int* destroyed = nullptr;
        int left = 0;
        ~makes_others() {
            if (next == nullptr) {
                return;
            }
            ++*destroyed;
            if (left-- > 0) {
                makes_others& other = next->get();
                other.next = next;
                other.destroyed = destroyed;
                other.left = left;
            }
        }
    };
    const auto destroyed_of = [](int left) {
        fiber_local<makes_others> local;
        int destroyed = 0;
        in_fiber([&] {
            fiber([&] {
                local->next = &local;
                local->destroyed = &destroyed;
                local->left = left;
            }).join();
        });
        return destroyed;
    };
    CHECK(destroyed_of(10) == 11);
    const child_result endless = run_child([&] { destroyed_of(1'000'000); });
    CHECK(endless.signal == SIGABRT);
    CHECK(contains(endless.output, "make new values without end"));
}

TEST_CASE("a destructor sees the values that are older, and can reset them") {
    std::vector<int> log;
    struct resets {
        fiber_local<witness>* other = nullptr;
        ~resets() {
            if (other != nullptr) {
                CHECK(other->has_value());
                other->reset();
            }
        }
    };
    fiber_local<witness> older([&] { return witness(&log, 1); });
    fiber_local<witness> oldest([&] { return witness(&log, 2); });
    fiber_local<resets> newest;
    in_fiber([&] {
        fiber([&] {
            oldest.get();
            older.get();
            newest->other = &oldest;
        }).join();
    });
    CHECK(log == std::vector{2, 1});
}

TEST_CASE("a place that is used again does not show what another fiber_local left there") {
    std::vector<int> log;
    in_fiber([&log] {
        {
            const fiber_local<witness> gone([&] { return witness(&log, 1); });
            gone.get();
        }
        CHECK(log.empty());
        for (int i = 0; i < 100; ++i) {
            const fiber_local<int> next([i] { return i; });
            CHECK_FALSE(next.has_value());
            CHECK(*next == i);
            fiber([&] {
                CHECK_FALSE(next.has_value());
                CHECK(*next == i);
            }).join();
        }
        fiber ends([&] {
            const fiber_local<witness> left([&] { return witness(&log, 2); });
            left.get();
        });
        ends.join();
        CHECK(log == std::vector{2});
        fiber_local<witness> again([&] { return witness(&log, 3); });
        again.get();
        again.reset();
        CHECK(log == std::vector{2, 3});
    });
    CHECK(log == std::vector{2, 3, 1});  // that of the one that is gone
}

TEST_CASE("one of the program serves every run, and plain threads") {
    CHECK(*of_the_program == 7);
    *of_the_program = 8;
    for (int i = 0; i < 2; ++i) {
        in_fiber([] {
            CHECK(*of_the_program == 7);
            *of_the_program = 9;
            fiber([] { CHECK(*of_the_program == 7); }).join();
        });
    }
    std::vector<int> log;
    std::optional<fiber_local<witness>> of_thread(std::in_place, [&] { return witness(&log, 1); });
    std::thread([&] {
        CHECK(*of_the_program == 7);
        of_thread->get();
    }).join();
    CHECK(log == std::vector{1});
    CHECK(*of_the_program == 8);
    of_the_program.reset();
}

TEST_CASE("what makes a value may throw, wait, or ask for it; then there is one value or none") {
    int attempts = 0;
    fiber_local<int> failing([&]() -> int {
        if (++attempts == 1) {
            throw std::runtime_error("not yet");
        }
        return attempts;
    });
    fiber_local<int>* self = nullptr;
    int depth = 0;
    fiber_local<int> recursive([&] { return depth++ == 0 ? 10 * **self : 1; });
    self = &recursive;
    fiber_local<std::unique_ptr<int>> waiting([] {
        this_fiber::sleep_for(1us);
        return std::make_unique<int>(3);
    });
    in_fiber([&] {
        CHECK_THROWS_AS(failing.get(), std::runtime_error);
        CHECK_FALSE(failing.has_value());
        CHECK(*failing == 2);
        CHECK(*recursive == 1);
        CHECK(*recursive == 1);
        std::vector<fiber<>> fibers;
        for (int i = 0; i < 10; ++i) {
            fibers.push_back(spawn([&] { CHECK(**waiting == 3); }));
        }
        for (auto& one : fibers) {
            one.join();
        }
    });
}

}  // namespace

}  // namespace heddle::test
