// What lists of fibers say of the things that are waited for.
#include "lists.hpp"
#include "tests/support/support.hpp"

#include "heddle/barrier.hpp"
#include "heddle/channel.hpp"
#include "heddle/latch.hpp"
#include "heddle/scope.hpp"
#include "heddle/shared_mutex.hpp"

#include <doctest/doctest.h>

#include <mutex>
#include <shared_mutex>
#include <string>

namespace heddle::test {

namespace {

TEST_CASE("a list says which channel a fiber waits for, how full it is and how many have it") {
    in_fiber([] {
        const channel<int> empty(3);
        const channel<int> full(2);
        const channel<int> without;
        full.send(1);
        full.send(2);
        fiber<> receives({.name = "receives"}, [&] { CHECK(empty.recv() == 1); });
        fiber<> sends({.name = "sends"}, [&, copy = full] { copy.send(3); });
        fiber<> meets({.name = "meets"}, [&] { CHECK(without.recv() == 4); });
        fiber<> meets_too({.name = "meets too"}, [&] { CHECK(without.recv() == 5); });
        let_others_run();
        const std::string list = dumped();
        const std::string receiving = lines_with("\"receives\"", list);
        CHECK(contains(receiving, "waiting: receiving from channel 0x"));
        CHECK(contains(receiving, " (empty, capacity 3, 1 handle), for "));
        const std::string sending = lines_with("\"sends\"", list);
        CHECK(contains(sending, "waiting: sending to channel 0x"));
        CHECK(contains(sending, " (2 of 2 places filled, 2 handles), for "));
        const std::string meeting = lines_with("\"meets\"", list);
        CHECK(contains(meeting, " (no capacity, 1 handle), for "));
        const auto address_in = [](const std::string& line) {
            return line.substr(line.find("0x"), line.find(" (") - line.find("0x"));
        };
        CHECK(address_in(meeting) == address_in(lines_with("\"meets too\"", list)));
        CHECK(address_in(meeting) != address_in(receiving));
        empty.send(1);
        full.recv();
        without.send(4);
        without.send(5);
        sends.join();
    });
}

TEST_CASE("a list says how many are yet to come to a latch") {
    in_fiber([] {
        latch count(3);
        fiber<> waiter({.name = "waiter"}, [&] { count.wait(); });
        let_others_run();
        count.count_down();
        CHECK(contains(lines_with("\"waiter\""), "waiting: for a latch, 2 to come, for "));
        count.count_down(2);
        waiter.join();
    });
}

TEST_CASE("a list says how many are yet to come to a barrier") {
    in_fiber([] {
        barrier meeting(3);
        fiber<> first({.name = "first"}, [&] { meeting.arrive_and_wait(); });
        let_others_run();
        CHECK(
            contains(lines_with("\"first\""), "waiting: for the others at a barrier, 2 to come, "));
        fiber<> second([&] { meeting.arrive_and_wait(); });
        let_others_run();
        CHECK(
            contains(lines_with("\"first\""), "waiting: for the others at a barrier, 1 to come, "));
        meeting.arrive_and_wait();
        first.join();
        second.join();
    });
}

TEST_CASE("a list says for how many readers a writer waits, and who is the writer") {
    in_fiber([] {
        shared_mutex lock;
        lock.lock_shared();
        lock.lock_shared();
        fiber<> writer({.name = "writer"}, [&] {
            const std::lock_guard guard(lock);
            let_others_run();
        });
        fiber<> reader({.name = "reader"}, [&] { const std::shared_lock guard(lock); });
        let_others_run();
        const std::string list = dumped();
        CHECK(contains(lines_with("\"writer\", waiting", list),
                       "until the readers of a shared mutex have left, 2 of them, for "));
        CHECK(contains(lines_with("\"reader\", waiting", list),
                       "locking a mutex held by " + written("writer", writer) + ", for "));
        lock.unlock_shared();
        lock.unlock_shared();
        writer.join();
        reader.join();
    });
}

TEST_CASE("a list says which fiber runs the child of a scope whose value is waited for") {
    in_fiber([] {
        with_scope([](scope& own) {
            latch gate(1);
            fiber_id runs_it;
            child<int> value = own.spawn([&] {
                runs_it = this_fiber::get_id();
                gate.wait();
                return 7;
            });
            // The scope joins the fiber, and who gets the value waits beside it.
            fiber<> getter({.name = "getter"}, [&] { CHECK(value.get() == 7); });
            fiber<> watcher([&] {
                let_others_run();
                const std::string number = std::to_string(runs_it.number());
                const std::string list = dumped();
                CHECK(contains(lines_with("\"main\", waiting", list),
                               "joining fiber " + number + ", for "));
                CHECK(contains(lines_with("\"getter\"", list),
                               "getting the value of child fiber " + number + ", for "));
                gate.count_down();
            });
            own.join();
            getter.join();
            watcher.join();
        });
    });
}

}  // namespace
}  // namespace heddle::test
