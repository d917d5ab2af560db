// Fibers that await what coroutines await, and coroutines that await fibers.
#include "heddle/await.hpp"

#include "runtime/base/system.hpp"
#include "tests/base/door_keeper.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/mutex.hpp"
#include "heddle/semaphore.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::test {

namespace {

using namespace std::chrono_literals;

/// Completes when somebody calls the function that it leaves in `resume`.
template <class T>
struct by_hand {
    std::function<void()>& resume;
    std::function<T()> result;

    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
        resume = [waiting] { waiting.resume(); };
    }
    T await_resume() { return result(); }
};

/// Is complete from the start.
template <class T>
struct ready {
    T value;

    bool await_ready() const { return true; }
    void await_suspend(std::coroutine_handle<>) const { CHECK(false); }
    T await_resume() { return std::forward<T>(value); }
};

/// Completes in a thread of its own. Its result is there only while that resumes whoever waits.
struct in_thread {
    std::thread& thread;
    const std::string* result = nullptr;

    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
        thread = std::thread([this, waiting] {
            const std::string text = "from a thread";
            result = &text;
            waiting.resume();
        });
    }
    std::string await_resume() const { return *result; }
};

TEST_CASE("what is complete is had at once, and nobody else runs meanwhile") {
    in_fiber([] {
        bool other_ran = false;
        fiber<> other([&] { other_ran = true; });
        CHECK(await(ready<int>{7}) == 7);
        int value = 1;
        CHECK(&await(ready<int&>{value}) == &value);
        CHECK(*await(ready<std::unique_ptr<int>>{std::make_unique<int>(8)}) == 8);
        CHECK_FALSE(other_ran);
    });
}

TEST_CASE("a fiber waits for an awaitable until another one completes it") {
    on_both_atomic_paths([] {
        in_fiber([] {
            std::function<void()> resume;
            fiber<int> waits([&] { return await(by_hand<int>{resume, [] { return 7; }}); });
            this_fiber::yield();
            CHECK(contains(dumped(), "waiting: for an awaitable, for "));
            resume();
            CHECK(waits.join() == 7);
            fiber<> of_void([&] { await(by_hand<void>{resume, [] {}}); });
            this_fiber::yield();
            resume();
            of_void.join();
            int value = 1;
            fiber<int*> of_reference([&] {
                by_hand<int&> named{resume, [&]() -> int& { return value; }};
                return &await(named);
            });
            this_fiber::yield();
            resume();
            CHECK(of_reference.join() == &value);
        });
    });
}

TEST_CASE("an awaitable's exception reaches the fiber, from each of its functions") {
    struct throws_at_once : ready<int> {
        bool await_ready() const { throw std::runtime_error("ready"); }
    };
    struct throws_at_suspension : ready<int> {
        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<>) const { throw std::runtime_error("suspend"); }
    };
    in_fiber([] {
        CHECK(message_of<std::runtime_error>([] { return await(throws_at_once{}); }) == "ready");
        CHECK(message_of<std::runtime_error>([] { return await(throws_at_suspension{}); }) ==
              "suspend");
        std::function<void()> resume;
        fiber<std::string> waits([&] {
            return message_of<std::runtime_error>([&] {
                return await(
                    by_hand<int>{resume, []() -> int { throw std::runtime_error("resume"); }});
            });
        });
        this_fiber::yield();
        resume();
        CHECK(waits.join() == "resume");
    });
}

TEST_CASE("an awaitable may decline to suspend, or resume another coroutine in its place") {
    struct declines : ready<int> {
        bool await_ready() const { return false; }
        bool await_suspend(std::coroutine_handle<>) const { return false; }
    };
    struct transfers : ready<int> {
        bool await_ready() const { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) const {
            return waiting;
        }
    };
    in_fiber([] {
        CHECK(await(declines{{7}}) == 7);
        CHECK(await(transfers{{8}}) == 8);
    });
}

struct with_member {
    ready<int> operator co_await() const { return {1}; }
};
struct with_function {};
ready<int> operator co_await(with_function) {
    return {2};
}

TEST_CASE("operator co_await is found as a member and as a function") {
    in_fiber([] {
        CHECK(await(with_member{}) == 1);
        CHECK(await(with_function{}) == 2);
    });
}

TEST_CASE("an awaitable that completes in another thread lets the fiber go on in its own") {
    std::thread thread;
    in_fiber([&] {
        for (int round = 0; round < scaled(200); ++round) {
            const auto here = std::this_thread::get_id();
            CHECK(await(in_thread{thread}) == "from a thread");
            CHECK(std::this_thread::get_id() == here);
            thread.join();
        }
    });
    CHECK(await(in_thread{thread}) == "from a thread");  // a plain thread
    thread.join();
}

TEST_CASE("awaiting is no cancellation point, and the next one throws") {
    in_fiber([] {
        std::function<void()> resume;
        bool resumed = false;
        fiber<> waits([&] {
            await(by_hand<void>{resume, [] {}});
            resumed = true;
            CHECK_THROWS_AS(this_fiber::sleep_for(1h), cancelled);
        });
        this_fiber::yield();
        waits.request_stop();
        let_others_run();
        CHECK_FALSE(resumed);
        resume();
        waits.join();
        CHECK(resumed);
    });
}

/// A coroutine that runs until it waits, and keeps what it comes to.
template <class T>
class task {
public:
    struct promise_type {
        task get_return_object() {
            return task(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_never initial_suspend() noexcept { return {}; }
        auto final_suspend() noexcept {
            struct publish {
                bool await_ready() noexcept { return false; }
                void await_suspend(std::coroutine_handle<promise_type> self) noexcept {
                    self.promise().ended.store(true, std::memory_order_release);
                }
                void await_resume() noexcept {}
            };
            return publish{};
        }
        template <class U>
        void return_value(U&& result) {
            value.emplace(std::forward<U>(result));
        }
        void unhandled_exception() { exception = std::current_exception(); }

        std::optional<T> value;
        std::exception_ptr exception;
        std::atomic<bool> ended = false;
    };

    explicit task(std::coroutine_handle<promise_type> self) : self_(self) {}
    task(task&& other) noexcept : self_(std::exchange(other.self_, nullptr)) {}
    task& operator=(task&&) = delete;
    ~task() {
        if (self_ != nullptr) {
            self_.destroy();
        }
    }

    bool ended() const { return self_.promise().ended.load(std::memory_order_acquire); }
    T result() {
        REQUIRE(ended());
        if (self_.promise().exception) {
            std::rethrow_exception(self_.promise().exception);
        }
        return std::move(*self_.promise().value);
    }

private:
    std::coroutine_handle<promise_type> self_;
};

template <class T>
task<std::remove_reference_t<T>> result_of(fiber<T> awaited) {
    co_return co_await std::move(awaited);
}
task<std::string> error_of(fiber<int> awaited) {
    try {
        co_await std::move(awaited);
    } catch (const std::exception& error) {
        co_return error.what();
    }
    co_return "none";
}
task<std::error_code> code_of_end(fiber<> awaited) {
    try {
        co_await std::move(awaited);
    } catch (const std::system_error& error) {
        co_return error.code();
    }
    co_return std::error_code();
}

TEST_CASE("a coroutine goes on at once if the fiber has ended, and else when it ends") {
    on_both_atomic_paths([] {
        in_fiber([] {
            fiber<int> early([] { return 7; });
            this_fiber::yield();
            auto of_early = result_of(std::move(early));
            CHECK(of_early.ended());
            CHECK(of_early.result() == 7);
            binary_semaphore gate(0);
            auto late = result_of(fiber([&] {
                gate.acquire();
                return std::make_unique<int>(8);
            }));
            let_others_run();
            CHECK_FALSE(late.ended());
            gate.release();
            let_others_run();
            CHECK(late.ended());
            CHECK(*late.result() == 8);
            const std::string text(1000, 'x');  // has no room in a control block
            auto large = result_of(spawn([text, more = text] { return text + more; }));
            let_others_run();
            CHECK(large.result() == text + text);
            int value = 1;
            auto reference = result_of(spawn([&]() -> int& { return value; }));
            let_others_run();
            CHECK(reference.result() == 1);
        });
        CHECK(dumped() == "heddle: 0 fibers\n");
    });
}

TEST_CASE("a coroutine is thrown what ended the fiber") {
    in_fiber([] {
        const auto throws = []() -> int { throw std::runtime_error("thrown"); };
        auto late = error_of(spawn(throws));
        let_others_run();
        CHECK(late.result() == "thrown");
        auto early = spawn(throws);
        this_fiber::yield();
        CHECK(error_of(std::move(early)).result() == "thrown");
        fiber<> stopped([] { this_fiber::sleep_for(1h); });
        stopped.request_stop();
        auto cancelled = code_of_end(std::move(stopped));
        let_others_run();
        CHECK(cancelled.result() == std::errc::operation_canceled);
        CHECK(code_of_end({}).result() == std::errc::invalid_argument);
    });
}

task<fiber_id> goes_on_waiting(fiber<> awaited, mutex& lock, std::error_code& slept) {
    std::error_code ignored;
    try {
        co_await std::move(awaited);
    } catch (const std::system_error&) {
        // It was stopped.
    }
    const std::lock_guard guard(lock);
    this_fiber::sleep_for(1us, slept);
    fiber<int> child([] { return 7; });
    CHECK(child.join() == 7);
    co_return this_fiber::get_id();
}

TEST_CASE("a coroutine that a fiber resumes may wait in it, although that was asked to stop") {
    in_fiber([] {
        mutex lock;
        for (const bool stop : {false, true}) {
            CAPTURE(stop);
            fiber<> awaited([] { let_others_run(); });
            const fiber_id id = awaited.get_id();
            if (stop) {
                awaited = spawn([] { this_fiber::sleep_for(1h); });
                static_cast<void>(awaited.get_stop_token());
                this_fiber::yield();
                awaited.request_stop();
            }
            const fiber_id runs_on = stop ? awaited.get_id() : id;
            lock.lock();
            std::error_code slept;
            auto coroutine = goes_on_waiting(std::move(awaited), lock, slept);
            for (int turn = 0; turn < 20; ++turn) {
                this_fiber::yield();
            }
            CHECK_FALSE(coroutine.ended());
            lock.unlock();
            while (!coroutine.ended()) {
                this_fiber::yield();
            }
            CHECK(coroutine.result() == runs_on);
            CHECK_FALSE(slept);
        }
    });
    CHECK(dumped() == "heddle: 0 fibers\n");
}

TEST_CASE("a coroutine that waits when run() ends is resumed by the fiber that is stopped") {
    std::optional<task<std::error_code>> coroutine;
    in_fiber([&] {
        coroutine.emplace(code_of_end(spawn([] { this_fiber::sleep_for(1h); })));
        let_others_run();
    });
    CHECK(coroutine->result() == std::errc::operation_canceled);
}

TEST_CASE("a coroutine whose fiber gets no stack is resumed outside of any fiber") {
    std::optional<task<std::string>> coroutine;
    std::optional<fiber_id> resumed_in;
    const auto note = [&](fiber<int> awaited) -> task<std::string> {
        try {
            co_await std::move(awaited);
        } catch (const std::system_error& error) {
            resumed_in = this_fiber::get_id();
            co_return std::string(error.code() == std::errc::not_enough_memory ? "no stack" : "?");
        }
        co_return "none";
    };
    in_fiber([&] {
        const door_keeper keeper([](detail::sys::call asked, int) -> std::int64_t {
            return asked == detail::sys::call::mmap ? -ENOMEM : 0;
        });
        // Of a size for which there are no stacks yet.
        coroutine.emplace(note(spawn({.stack_bytes = 768 * 1024}, [] { return 7; })));
        let_others_run();
    });
    CHECK(coroutine->result() == "no stack");
    CHECK(resumed_in == fiber_id());
    CHECK(dumped() == "heddle: 0 fibers\n");
}

TEST_CASE("a coroutine that is destroyed while it waits stops and joins the fiber") {
    in_fiber([] {
        bool stopped = false;
        {
            const auto waits = result_of(spawn([&] {
                std::error_code code;
                this_fiber::sleep_for(1h, code);
                stopped = code == std::errc::operation_canceled;
                return 0;
            }));
            let_others_run();
        }
        CHECK(stopped);
    });
}

TEST_CASE("a coroutine in a plain thread awaits a fiber, which resumes it in its own thread") {
    for (int round = 0; round < scaled(300); ++round) {
        std::optional<task<int>> coroutine;
        std::thread::id began_in;
        std::thread::id went_on_in;
        std::atomic<bool> went_on = false;
        const auto await_it = [&](fiber<int> awaited) -> task<int> {
            began_in = std::this_thread::get_id();
            const int value = co_await std::move(awaited);
            went_on_in = std::this_thread::get_id();
            went_on = true;
            co_return value;
        };
        std::thread thread;
        const auto here = std::this_thread::get_id();
        heddle::run([&] {
            binary_semaphore gate(0);
            fiber<int> child([&] {
                gate.acquire();
                return 7;
            });
            thread = std::thread([&, child = std::move(child)]() mutable {
                coroutine.emplace(await_it(std::move(child)));
            });
            if (round % 2 == 0) {
                this_fiber::yield();  // or else the fiber may have ended first
            }
            gate.release();
            while (!went_on) {
                this_fiber::yield();
            }
        });
        thread.join();
        CHECK(coroutine->result() == 7);
        CHECK(began_in != here);
        CHECK((went_on_in == here || went_on_in == began_in));
    }
}

}  // namespace
}  // namespace heddle::test
