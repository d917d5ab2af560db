// Who holds what a fiber waits for, and who waits in a circle: in dumps and in deadlocks.
#include "lists.hpp"
#include "runtime/base/system.hpp"
#include "runtime/core/asleep.hpp"
#include "tests/base/door_keeper.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/mutex.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace heddle::test {

namespace {

using detail::sys::call;

/// A mutex that it holds, and a fiber that waits for it meanwhile.
struct held_and_waited_for {
    mutex held;
    fiber<> waiter;

    held_and_waited_for() {
        held.lock();
        waiter = spawn({.name = "waiter"}, [this] { const std::lock_guard guard(held); });
        let_others_run();
    }
    ~held_and_waited_for() {
        held.unlock();
        waiter.join();
    }
};

TEST_CASE("a list says which fiber holds the mutex that another one locks") {
    in_fiber([] {
        fiber<> owner({.name = "owner"}, [] {
            const held_and_waited_for both;
            const std::string expected = "waiting: locking a mutex held by " +
                                         written("owner", this_fiber::get_id()) + ", for ";
            CHECK(contains(lines_with("\"waiter\""), expected));
        });
        owner.join();
        const held_and_waited_for both;
        CHECK(
            contains(lines_with("\"waiter\""), "held by " + written("main", this_fiber::get_id())));
    });
}

TEST_CASE("a list says that a plain thread holds the mutex") {
    in_fiber([] {
        mutex held;
        std::atomic<bool> done = false;
        std::atomic<bool> locked = false;
        std::thread thread([&] {
            const std::lock_guard guard(held);
            locked = true;
            done.wait(false);
        });
        while (!locked) {
            this_fiber::yield();
        }
        fiber<> waiter({.name = "waiter"}, [&] { const std::lock_guard guard(held); });
        let_others_run();
        CHECK(contains(lines_with("\"waiter\""), "locking a mutex held by a plain thread, for "));
        done = true;
        done.notify_all();
        thread.join();
        waiter.join();
    });
}

TEST_CASE("a list says that a plain thread waits for the mutex of a fiber") {
    in_fiber([] {
        mutex held;
        held.lock();
        std::thread thread([&] { const std::lock_guard guard(held); });
        const std::string expected = "a plain thread, waiting: locking a mutex held by " +
                                     written("main", this_fiber::get_id()) + ", for ";
        while (!contains(dumped(), expected)) {
            this_fiber::yield();  // if it never is, the time limit ends this
        }
        held.unlock();
        thread.join();
    });
}

TEST_CASE("a list says that whoever holds the mutex has ended") {
    // In a process of its own: the mutexes cannot be unlocked any more.
    const child_result child = run_child([] {
        heddle::run([] {
            static mutex by_ended;
            static mutex by_gone;
            const auto lock = [](mutex* which) { which->lock(); };
            fiber<> ended({.name = "ended"}, lock, &by_ended);
            fiber<> gone(lock, &by_gone);
            let_others_run();
            fiber<> a({.name = "a"}, lock, &by_ended);
            fiber<> b({.name = "b"}, lock, &by_gone);
            let_others_run();
            gone.join();
            std::printf("ended is %s\n", written("ended", ended).c_str());
            std::fflush(stdout);
            dump();
            ::_exit(0);
        });
    });
    CAPTURE(child.output);
    const std::string ended = lines_with("ended is ", child.output).substr(9);
    CHECK(contains(lines_with("\"a\"", child.output), "locking a mutex held by " +
                                                          ended.substr(0, ended.size() - 1) +
                                                          ", which has ended, for "));
    CHECK(contains(lines_with("\"b\"", child.output),
                   "locking a mutex held by a fiber that has ended, for "));
    CHECK(lines_with("cycle", child.output).empty());
}

TEST_CASE("a list names the holder also where the system refuses to copy memory") {
    in_fiber([] {
        const held_and_waited_for both;
        const std::string self = written("main", this_fiber::get_id());
        {
            const door_keeper keeper([](call asked, int) -> std::int64_t {
                return asked == call::process_vm_readv ? -EPERM : 0;
            });
            CHECK(contains(lines_with("\"waiter\""), "locking a mutex held by " + self + ", for "));
            CHECK(keeper.count(call::process_vm_readv) > 0);
        }
        const door_keeper keeper([](call asked, int) -> std::int64_t {
            return asked == call::process_vm_readv ? -EPERM : asked == call::pipe2 ? -EMFILE : 0;
        });
        CHECK(contains(lines_with("\"waiter\""), "locking a mutex, for "));
    });
}

TEST_CASE("two fibers that each lock what the other holds are listed as a cycle, and no others") {
    // In a process of its own: there is no way out.
    const child_result child = run_child([] {
        heddle::run(
            [] {
                static mutex first;
                static mutex second;
                const fiber<> one({.name = "one"}, [] {
                    first.lock();
                    this_fiber::yield();
                    second.lock();
                });
                const fiber<> other({.name = "other"}, [] {
                    second.lock();
                    this_fiber::yield();
                    first.lock();
                });
                // They wait for one of the circle, but nobody in it waits for them.
                const fiber<> third({.name = "third"}, [] { first.lock(); });
                const fiber<> fourth({.name = "fourth"}, [] {
                    this_fiber::yield();
                    second.lock();
                });
                let_others_run();
                std::printf("one is %s\nother is %s\n", written("one", one).c_str(),
                            written("other", other).c_str());
                std::fflush(stdout);
                ::raise(SIGQUIT);
                ::_exit(0);
            },
            {.dump_on_sigquit = true});
    });
    CAPTURE(child.output);
    const std::string one = lines_with("one is ", child.output).substr(7);
    const std::string other = lines_with("other is ", child.output).substr(9);
    const std::string first = one.substr(0, one.size() - 1);
    CHECK(lines_with("cycle", child.output) ==
          "heddle: cycle: " + first + " is locking a mutex held by " +
              other.substr(0, other.size() - 1) + ", which is locking a mutex held by " + first +
              '\n');
}

// Answers for the system: a tool may run threads of its own in the process.
class alone {
public:
    alone() {
        detail::other_threads_hook = []() noexcept { return false; };
    }
    alone(const alone&) = delete;
    alone& operator=(const alone&) = delete;
    ~alone() { detail::other_threads_hook = nullptr; }
};

TEST_CASE("a deadlock of locks and joins that stopping resolves is thrown with its cycle") {
    const alone here;
    std::string expected = "nothing";
    const std::string message = message_of<deadlock_error>([&] {
        heddle::run([&] {
            mutex held;
            fiber<> locks;
            fiber<> joins({.name = "joins"}, [&] {
                const std::lock_guard guard(held);
                this_fiber::yield();
                locks.join();
            });
            locks = spawn({.name = "locks"}, [&] { const std::lock_guard guard(held); });
            expected = "\nheddle: cycle: " + written("joins", joins) + " is joining " +
                       written("locks", locks) + ", which is locking a mutex held by " +
                       written("joins", joins);
            let_others_run();
            sleep_for_ever();
        });
        return 0;
    });
    CAPTURE(message);
    CHECK(contains(message + '\n', expected + '\n'));
}

TEST_CASE("a deadlock that stopping cannot resolve ends the process with its cycle") {
    const child_result child = run_child([] {
        const alone here;
        heddle::run([] {
            mutex first;
            mutex second;
            first.lock();
            const fiber<> other({.name = "other"}, [&] {
                second.lock();
                first.lock();
            });
            let_others_run();
            second.lock();
        });
    });
    CAPTURE(child.output);
    CHECK(child.signal == SIGABRT);
    CHECK(contains(child.output, "fibers are left that cannot be stopped"));
    const std::string cycle = lines_with("heddle: cycle: fiber ", child.output);
    CHECK(contains(cycle, "\"main\" is locking a mutex held by fiber "));
    CHECK(contains(cycle, "\"other\", which is locking a mutex held by fiber "));
}

// Fibers in a ring, each of which joins the next.
class ring {
public:
    explicit ring(std::size_t length) : fibers_(length) {
        for (std::size_t i = 0; i < length; ++i) {
            fibers_[i] = spawn([this, i, length] {
                std::error_code ignored;
                fibers_[(i + 1) % length].join(ignored);
            });
        }
        let_others_run();
    }
    ~ring() {
        for (fiber<>& one : fibers_) {
            one.request_stop();
        }
        let_others_run();
    }
    const fiber<>& operator[](std::size_t i) const { return fibers_[i]; }

private:
    std::deque<fiber<>> fibers_;
};

TEST_CASE("of a long cycle the first fibers are named, in lines of bounded length, and counted") {
    in_fiber([] {
        const ring fibers(40);
        const std::string list = dumped();
        const std::string cycle = list.substr(list.find("heddle: cycle: "));
        CAPTURE(cycle);
        std::istringstream lines(cycle);
        for (std::string line; std::getline(lines, line);) {
            CHECK(line.size() < 400);
            CHECK(line.starts_with("heddle: "));
        }
        const auto number = [&](std::size_t i) {
            return std::to_string(fibers[i].get_id().number());
        };
        CHECK(contains(cycle, "heddle: cycle: fiber " + number(0) + " is joining fiber " +
                                  number(1) + ", which is joining fiber " + number(2)));
        CHECK(contains(cycle, "joining fiber " + number(32) +
                                  ", and so on, through 8 more, back to the first\n"));
        CHECK_FALSE(contains(cycle, "joining fiber " + number(33)));
    });
}

TEST_CASE("each of several cycles is listed once, and gone when it has been resolved") {
    in_fiber([] {
        fiber<> target({.name = "target"}, sleep_for_ever);
        fiber<> outside([&] {
            std::error_code ignored;
            target.join(ignored);
        });
        {
            const ring two(2);
            const ring five(5);
            const std::string cycles = lines_with("heddle: cycle: ");
            CAPTURE(cycles);
            CHECK(std::count(cycles.begin(), cycles.end(), '\n') == 2);
            CHECK_FALSE(contains(cycles, "target"));
        }
        CHECK(lines_with("cycle").empty());
        target.request_stop();
        outside.join();
    });
}

TEST_CASE("a list says so where there is no memory to look for cycles") {
    in_fiber([] {
        const ring two(2);
        const door_keeper keeper(
            [](call asked, int) -> std::int64_t { return asked == call::mmap ? -ENOMEM : 0; });
        CHECK(lines_with("cycle") == "heddle: no memory to look for cycles in\n");
    });
}

TEST_CASE("long chains of fibers that join one another are listed in linear time") {
    in_fiber([] {
        // Towards older fibers and towards younger ones. Steps that grew with the square of the
        // number would take longer than the time limit.
        const auto count = static_cast<std::size_t>(scaled_stacks(60'000)) / 2;
        std::deque<fiber<>> older(count);
        for (std::size_t i = 0; i < count; ++i) {
            older[i] = spawn([&older, i] {
                std::error_code ignored;
                if (i == 0) {
                    this_fiber::sleep_until(deadline::never(), ignored);
                } else {
                    older[i - 1].join(ignored);
                }
            });
        }
        std::deque<fiber<>> younger;
        const std::function<void(std::size_t)> next = [&](std::size_t left) {
            std::error_code ignored;
            if (left == 0) {
                this_fiber::sleep_until(deadline::never(), ignored);
            } else {
                fiber<> child(next, left - 1);
                child.join(ignored);
            }
        };
        fiber<> first(next, count);
        let_others_run();
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> nowhere(std::fopen("/dev/null", "w"),
                                                                      std::fclose);
        dump(nowhere.get());
        older[0].request_stop();
        first.request_stop();
        first.join();
        older[count - 1].join();
    });
}

TEST_CASE("lists can be taken from another thread while mutexes come and go with their memory") {
    std::atomic<bool> done = false;
    std::atomic<int> lists = 0;
    std::jthread watcher([&] {
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> nowhere(std::fopen("/dev/null", "w"),
                                                                      std::fclose);
        while (!done) {
            dump(nowhere.get());
            ++lists;
        }
    });
    heddle::run([&] {
        for (int round = 0; round < scaled(300) || lists < 10; ++round) {
            int error = 0;
            const std::size_t page = detail::sys::page_bytes();
            void* const memory = detail::sys::map(page, error);
            REQUIRE(memory != nullptr);
            auto* const held = new (memory) mutex;
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 20; ++i) {
                fibers.push_back(spawn([&, i] {
                    const std::lock_guard guard(*held);
                    this_fiber::yield();
                    if (i % 5 == 0) {
                        fiber<>([] { this_fiber::yield(); }).join();
                    }
                }));
            }
            for (fiber<>& one : fibers) {
                one.join();
            }
            detail::sys::unmap(memory, page);
        }
    });
    done = true;
}

}  // namespace
}  // namespace heddle::test
