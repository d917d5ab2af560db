// What happens when every fiber waits for another.
#include "helpers.hpp"
#include "runtime/core/asleep.hpp"
#include "tests/support/support.hpp"

#include "heddle/mutex.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <mutex>
#include <thread>

using namespace heddle::test;
using heddle::deadlock_error;
using heddle::fiber;
using heddle::spawn;

namespace {

// Answers for the system: a tool may run threads of its own in the process.
class alone {
public:
    explicit alone(bool (*answer)() noexcept = []() noexcept { return false; }) {
        heddle::detail::other_threads_hook = answer;
    }
    alone(const alone&) = delete;
    alone& operator=(const alone&) = delete;
    ~alone() { heddle::detail::other_threads_hook = nullptr; }
};

}  // namespace

TEST_CASE("fibers that can never run again are stopped, and run() throws the list of them") {
    const alone here;
    bool unwound = false;
    std::string list;
    try {
        heddle::run([&] {
            auto waiter = spawn(heddle::fiber_options{.name = "waiter"}, [&] {
                struct note {
                    bool& unwound;
                    ~note() { unwound = true; }
                } const at_end{unwound};
                sleep_for_ever();
            });
            waiter.join();
        });
    } catch (const deadlock_error& error) {
        list = error.what();
    }
    CHECK(unwound);
    CHECK(list.find("\"main\", waiting: joining fiber") != std::string::npos);
    CHECK(list.find("\"waiter\", waiting: sleeping") != std::string::npos);
}

TEST_CASE("fibers that were spawned after a deadlock are stopped by the next one") {
    const alone here;
    bool locked = false;
    CHECK_THROWS_AS(heddle::run([&] {
                        std::error_code ec;
                        heddle::this_fiber::sleep_until(heddle::deadline::never(), ec);
                        CHECK(ec == std::errc::operation_canceled);
                        heddle::mutex mutex;
                        fiber<> late([&] {
                            const std::lock_guard guard(mutex);
                            sleep_for_ever();
                        });
                        heddle::this_fiber::yield();
                        mutex.lock();  // nothing can end this but the end of the other
                        locked = true;
                        mutex.unlock();
                    }),
                    deadlock_error);
    CHECK(locked);
}

TEST_CASE("a fiber that cannot be stopped makes a deadlock end the process at once, listed") {
    const child_result ended = run_child([] {
        const alone here;
        heddle::run(
            [] {
                // The destructor's join is no cancellation point, and the fiber it waits for goes
                // on waiting for good, whatever it is asked.
                fiber<> stubborn = spawn([] {
                    for (;;) {
                        std::error_code ignored;
                        fiber<> endless = spawn([] {
                            struct waits_in_destructor {
                                ~waits_in_destructor() {
                                    std::error_code also_ignored;
                                    heddle::this_fiber::sleep_until(heddle::deadline::never(),
                                                                    also_ignored);
                                }
                            };
                            try {
                                const waits_in_destructor last;
                                throw 1;
                            } catch (int) {
                            }
                        });
                        endless.join(ignored);
                        return;
                    }
                });
            },
            {.shutdown_grace = std::chrono::hours(1)});
    });
    CHECK(ended.signal == SIGABRT);
    CHECK(ended.output.find("fibers are left that cannot be stopped") != std::string::npos);
    CHECK(ended.output.find("sleeping") != std::string::npos);
}

TEST_CASE("a program that another thread can still wake is not taken for a deadlock") {
    fiber<int> asleep;
    std::thread outside;
    heddle::run([&] {
        asleep = spawn([] {
            std::error_code stopped;
            heddle::this_fiber::sleep_until(heddle::deadline::never(), stopped);
            return 7;
        });
        outside = std::thread([&] { asleep.request_stop(); });
        CHECK(asleep.join() == 7);
    });
    outside.join();
}

TEST_CASE("a list of fibers says that their runtime sleeps until another thread wakes one") {
    std::thread outside;
    heddle::run([&] {
        fiber<> asleep = spawn(sleep_for_ever);
        outside = std::thread([&] {
            while (!contains(dumped(), "\nheddle: 1 runtime sleeps until another thread wakes")) {
                std::this_thread::yield();
            }
            asleep.request_stop();
        });
        std::error_code ended;
        asleep.join(ended);
        CHECK(ended == std::errc::operation_canceled);
        CHECK_FALSE(contains(dumped(), "runtime sleeps"));
    });
    outside.join();
}

TEST_CASE("what the last other thread did before it ended is seen before a deadlock is declared") {
    static fiber<>* asleep = nullptr;
    // The thread ends between the dispatcher's look at its mail and its look at the threads.
    const alone here([]() noexcept {
        if (asleep != nullptr) {
            std::thread([] { asleep->request_stop(); }).join();
        }
        return false;
    });
    heddle::run([] {
        fiber<> child = spawn(sleep_for_ever);
        asleep = &child;
        std::error_code ended;
        child.join(ended);
        CHECK(ended == std::errc::operation_canceled);
        asleep = nullptr;
    });
}

TEST_CASE(
    "a fiber that catches its stop in a deadlock may still end well, and run() still throws") {
    const alone here;
    CHECK_THROWS_AS(heddle::run([] {
                        try {
                            sleep_for_ever();
                        } catch (const heddle::cancelled&) {
                        }
                    }),
                    deadlock_error);
}

TEST_CASE("stop callbacks of a deadlock run as on a plain thread") {
    const alone here;
    bool called = false;
    CHECK_THROWS_AS(heddle::run([&] {
                        const std::stop_callback note(heddle::this_fiber::get_stop_token(), [&] {
                            called = heddle::this_fiber::get_id() == heddle::fiber_id();
                        });
                        sleep_for_ever();
                    }),
                    deadlock_error);
    CHECK(called);
}

TEST_CASE("threads are counted as the system tells") {
    if (heddle::detail::under_valgrind() || heddle::detail::switches_are_watched()) {
        return skip("a tool may have threads of its own");
    }
    // A thread that was joined may be counted for a moment longer: join() returns when it has
    // touched its last memory. If one stays, the time limit ends this.
    while (heddle::detail::other_threads_exist()) {
        std::this_thread::yield();
    }
    std::atomic<bool> counted = false;
    std::thread other([&] { counted.wait(false); });
    CHECK(heddle::detail::other_threads_exist());
    counted = true;
    counted.notify_all();
    other.join();
}
