// What users of Go, Boost.Fiber, std::thread and Asio write here instead: the right column of the
// tables in README, each entry compiled and run. tests/style/check sees that none is missing.
#include <heddle/heddle.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <coroutine>
#include <csignal>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

using namespace heddle;
using namespace std::chrono_literals;

namespace {

int f() {
    return 1;
}
int g() {
    return 2;
}

}  // namespace

TEST_CASE("who comes from Go finds goroutines as fibers") {
    int runs = 0;
    run([&] {
        auto f = [&] { ++runs; };
        spawn_detached(f);
        this_fiber::yield();
        CHECK(runs == 1);
    });
}

TEST_CASE("who comes from Go finds channels") {
    run([] {
        channel<int> ch(10);
        int v = 5;
        ch.send(v);
        std::optional<int> got = ch.recv();
        CHECK(got == 5);
        ch.close();
        CHECK_FALSE(ch.recv().has_value());
        std::error_code ec;
        ch.send(v, ec);
        CHECK(ec == errc::closed);
    });
}

TEST_CASE("who comes from Go finds loops over channels") {
    run([] {
        channel<int> ch(2);
        ch.send(6);
        ch.send(7);
        ch.close();
        int sum = 0;
        for (int& v : ch) {
            sum += v;
        }
        CHECK(sum == 13);
    });
}

TEST_CASE("who comes from Go finds select, with default and time.After") {
    run([] {
        channel<int> in(1);
        channel<int> out(1);
        std::string said;
        auto use = [&](std::optional<int> v) { said += "got " + std::to_string(v.value()) + "; "; };
        auto sent = [&] { said += "sent; "; };
        auto idle = [&] { said += "idle; "; };
        in.send(3);
        select(on_recv(in, use), otherwise(idle));
        select(on_recv(in, use), otherwise(idle));
        select(on_recv(in, use), on_send(out, 4, sent));
        select(on_recv(in, use), after(1ms, idle));
        CHECK(said == "got 3; idle; sent; idle; ");
        CHECK(out.recv() == 4);
    });
}

TEST_CASE("who comes from Go finds contexts as deadlines and scopes") {
    run([] {
        CHECK(with_deadline(1s, f) == 1);
        auto never = [] { this_fiber::sleep_for(1h); };
        try {
            with_deadline(1ms, never);
            FAIL_CHECK("the deadline has passed");
        } catch (const std::system_error& error) {
            CHECK(error.code() == std::errc::timed_out);
        }

        scope s;
        child<> c = s.spawn(never);
        s.cancel();
        s.join();
        std::error_code ec;
        c.get(ec);
        CHECK(ec == std::errc::operation_canceled);

        this_fiber::check_cancelled();
        CHECK_FALSE(this_fiber::get_stop_token().stop_requested());
    });
}

TEST_CASE("who comes from Go finds groups as scopes") {
    run([] {
        auto work = [](scope& s) {
            child<int> c = s.spawn(f);
            s.spawn(g);
            return c.get();
        };
        CHECK(with_scope(work) == 1);
        auto fail = [](scope& s) {
            s.spawn([] { this_fiber::sleep_for(1h); });
            s.spawn([] { throw std::domain_error("the first error"); });
        };
        CHECK_THROWS_AS(with_scope(fail), std::domain_error);

        latch done(2);
        spawn_detached([&] { done.count_down(); });
        spawn_detached([&] { done.count_down(); });
        done.wait();
    });
}

TEST_CASE("who comes from Boost.Fiber finds fibers with results, and join in every destructor") {
    run([] {
        fiber a{f};
        CHECK(a.join() == 1);
        CHECK(spawn(g).join() == 2);

        channel<int> promise(1);
        promise.send(3);
        CHECK(promise.recv() == 3);

        static thread_local int shared;
        static fiber_local<int> local;
        shared = 4;
        *local = 4;
        fiber other{[] { return std::pair(shared, *local); }};
        CHECK(other.join() == std::pair(4, 0));
        CHECK(*local == 4);

        channel<int> ch;  // a rendezvous
        std::error_code ec;
        ch.recv(0s, ec);
        CHECK(ec == std::errc::timed_out);
    });
}

TEST_CASE("who comes from std::thread finds what is in std, under the same names") {
    run([] {
        auto until_stopped = [](std::stop_token stop) {
            std::error_code ec;
            this_fiber::sleep_for(1h, ec);
            return stop.stop_requested();
        };
        fiber t{until_stopped};
        t.request_stop();
        CHECK(t.join());

        mutex m;
        int shared = 0;
        {
            std::lock_guard lock(m);
            ++shared;
        }
        shared_mutex rw;
        std::shared_lock reader(rw);

        condition_variable changed;
        fiber writer{[&] {
            std::lock_guard lock(m);
            ++shared;
            changed.notify_all();
        }};
        std::unique_lock lock(m);
        changed.wait(lock, [&] { return shared == 2; });
        lock.unlock();

        counting_semaphore<> permits(1);
        permits.acquire();
        CHECK_FALSE(permits.try_acquire_for(1ms));

        barrier meeting(1);
        meeting.arrive_and_wait();

        once_flag flag;
        int calls = 0;
        auto f = [&] {
            this_fiber::sleep_for(1ms);
            ++calls;
        };
        call_once(flag, f);
        call_once(flag, f);
        CHECK(calls == 1);
    });
}

TEST_CASE("who comes from std::thread may use the same primitives in plain threads") {
    channel<int> ch;
    event ready;
    std::jthread thread([&] {
        ready.wait();
        ch.send(f() + g());
    });
    run([&] {
        ready.set();
        CHECK(ch.recv() == 3);
    });
}

TEST_CASE("who comes from Asio finds blocking calls that block no thread") {
    CHECK(run(f) == 1);
    run([] {
        tcp_listener listener(address::parse("127.0.0.1:0"));
        fiber server{[&] {
            tcp_stream peer = listener.accept();
            char b[5];
            peer.read_exactly(b);
            peer.write_all(b);
        }};
        tcp_stream s = tcp_stream::connect(listener.local_address(), 10s);
        std::string b = "hello";
        s.write_all(b);
        b.clear();
        b.resize(1);
        CHECK(s.read(b) == 1);
        CHECK(b == "h");
        CHECK(s.read(b, 10s) == 1);
        CHECK(b == "e");
        std::error_code ec;
        CHECK(s.read(b, 10s, ec) == 1);
        CHECK(b == "l");
    });
}

TEST_CASE("who comes from Asio finds the operators of awaitables as functions") {
    run([] {
        std::tuple both = join_all(f, g);
        CHECK(both == std::tuple(1, 2));
        auto g = [] {
            this_fiber::sleep_for(1h);
            return 2;
        };
        CHECK(race(f, g) == 1);
    });
}

TEST_CASE("who comes from Asio finds timers, strands and cancellation signals") {
    run([] {
        this_fiber::sleep_for(1ms);

        auto_reset_event poke;
        fiber poker{[&] { poke.set(); }};
        std::error_code ec;
        poke.wait(10s, ec);
        CHECK_FALSE(ec);

        fiber t{[] { this_fiber::sleep_for(1h); }};
        t.request_stop();
        t.join(ec);
        CHECK(ec == std::errc::operation_canceled);

        signal_set signals{SIGUSR1};
        std::raise(SIGUSR1);
        CHECK(signals.wait() == SIGUSR1);
    });
}

TEST_CASE("who comes from Asio finds callbacks and awaitables as calls that wait") {
    run([] {
        auto start = [](auto done) { done(7); };
        CHECK(await_callback<int>(start) == 7);
#ifdef __cpp_impl_coroutine
        struct {
            bool await_ready() { return true; }
            void await_suspend(std::coroutine_handle<>) {}
            int await_resume() { return 8; }
        } awaitable;
        CHECK(await(awaitable) == 8);
#endif
    });
}
