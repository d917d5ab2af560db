// Locks that are used by one who must not end the process, and say who owns them.
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/mutex.hpp"
#include "heddle/once.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <string>
#include <string_view>
#include <thread>

namespace heddle::test {

namespace {

/// What a child says that ends by an error of ownership; its fibers have the names that are given.
template <class Body>
std::string said_by(Body body) {
    const child_result child = run_child([=] {
        body();
        std::puts("it went on");
    });
    CHECK(child.signal == SIGABRT);
    CHECK_FALSE(contains(child.output, "it went on"));
    return child.output;
}

/// Locks in a fiber named "keeper", and then unlocks in one named "thief".
template <class Mutex>
void steal() {
    in_fiber([] {
        Mutex lock;
        fiber<> keeper({.name = "keeper"}, [&] {
            lock.lock();
            this_fiber::sleep_until(deadline::never());
        });
        let_others_run();
        fiber<> thief({.name = "thief"}, [&] { lock.unlock(); });
        thief.join();
    });
}

void check_theft(const std::string& output, std::string_view what) {
    CAPTURE(output);
    const auto of = [&](std::string_view name) {
        const std::size_t end = output.find(" \"" + std::string(name) + "\"");
        const std::size_t begin = output.rfind(' ', end - 1) + 1;
        return "fiber " + output.substr(begin, end - begin) + " \"" + std::string(name) + "\"";
    };
    CHECK(contains(output, "heddle: " + std::string(what) + " is unlocked by " + of("thief") +
                               ", but its owner is " + of("keeper") + "\n"));
    CHECK(contains(output, "heddle: in " + of("thief") + ", spawned at "));
}

TEST_CASE("unlocking a mutex of another fiber ends the process, and both are named") {
    check_theft(said_by(steal<mutex>), "a mutex");
    check_theft(said_by(steal<timed_mutex>), "a mutex");
    check_theft(said_by(steal<recursive_mutex>), "a mutex");
    check_theft(said_by(steal<shared_mutex>), "a shared mutex");
}

TEST_CASE("unlocking what nobody or another thread owns ends the process") {
    CHECK(contains(said_by([] { mutex().unlock(); }),
                   "heddle: a mutex is unlocked by this plain thread, but its owner is nobody\n"));
    CHECK(contains(said_by([] {
                       mutex lock;
                       std::thread([&] { lock.lock(); }).join();
                       lock.unlock();
                   }),
                   "unlocked by this plain thread, but its owner is a plain thread\n"));
    CHECK(contains(said_by([] { shared_mutex().unlock(); }), "but its owner is nobody\n"));
    CHECK(contains(said_by([] {
                       shared_mutex lock;
                       lock.lock_shared();
                       lock.unlock();
                   }),
                   "heddle: a shared mutex is unlocked by this plain thread"));
    CHECK(contains(said_by([] {
                       shared_mutex lock;
                       lock.lock();
                       lock.unlock_shared();
                   }),
                   "heddle: a shared mutex is unlocked by a reader, but no reader has locked it"));
    CHECK(contains(said_by([] { shared_mutex().unlock_shared(); }), "no reader has locked it"));
    CHECK(contains(said_by([] {
                       recursive_mutex lock;
                       lock.lock();
                       lock.lock();
                       lock.unlock();
                       lock.unlock();
                       lock.unlock();
                   }),
                   "but its owner is nobody\n"));
}

TEST_CASE("locking a mutex twice ends the process instead of waiting for ever") {
    const std::string words = " is locked by its owner, fiber ";
    CHECK(contains(said_by([] {
                       in_fiber([] {
                           mutex lock;
                           lock.lock();
                           lock.lock();
                       });
                   }),
                   "heddle: a mutex" + words));
    CHECK(contains(said_by([] {
                       timed_mutex lock;
                       lock.lock();
                       static_cast<void>(lock.try_lock_until(deadline::never()));
                   }),
                   "heddle: a mutex is locked by its owner, this plain thread, which would wait"));
    CHECK(contains(said_by([] {
                       in_fiber([] {
                           shared_mutex lock;
                           lock.lock();
                           lock.lock_shared();
                       });
                   }),
                   "heddle: a shared mutex" + words));
    CHECK(contains(said_by([] {
                       in_fiber([] {
                           once_flag flag;
                           call_once(flag, [&] { call_once(flag, [] {}); });
                       });
                   }),
                   "heddle: a once flag" + words));
}

}  // namespace

}  // namespace heddle::test
