// Calls that report by a callback, waited for.
#include "runtime/base/random.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include "heddle/callback.hpp"
#include "heddle/cancel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
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

/// Runs what it is given in a thread of its own, later.
class elsewhere {
public:
    elsewhere() = default;
    elsewhere(const elsewhere&) = delete;
    elsewhere& operator=(const elsewhere&) = delete;
    ~elsewhere() { join(); }

    void join() {
        for (std::thread& one : threads_) {
            one.join();
        }
        threads_.clear();
    }

    void run(std::function<void()> what) { threads_.emplace_back(std::move(what)); }

private:
    std::vector<std::thread> threads_;
};

const std::error_code broken = std::make_error_code(std::future_errc::broken_promise);

TEST_CASE("an answer is returned that came at once, later in a fiber, or in another thread") {
    on_both_atomic_paths([] {
        in_fiber([] {
            CHECK(await_callback<int>([](auto done) { done(7); }) == 7);
            fiber<> answers;
            CHECK(await_callback<int>(
                      [&](auto done) { answers = spawn([done] { CHECK(done(8)); }); }) == 8);
            elsewhere threads;
            CHECK(await_callback<std::string>([&](completion<std::string> done) {
                      threads.run([done] { done("text"); });
                  }) == "text");
            std::error_code code = broken;
            CHECK(await_callback<int>([](auto done) { done(9); }, code) == 9);
            CHECK_FALSE(code);
        });
    });
}

TEST_CASE("a plain thread waits for an answer as well") {
    elsewhere threads;
    CHECK(await_callback<int>([&](auto done) { threads.run([done] { done(7); }); }) == 7);
    CHECK(code_of([] { return await_callback<int>([](auto) {}), 0; }) == broken);
}

TEST_CASE("an answer may be void, move-only, or made of several arguments") {
    in_fiber([] {
        await_callback([](auto done) { done(); });
        std::error_code code;
        CHECK(await_callback([](auto done) { done(); }, code));
        const std::unique_ptr<int> moved =
            await_callback<std::unique_ptr<int>>([](auto done) { done(std::make_unique<int>(7)); });
        CHECK(*moved == 7);
        CHECK(await_callback<std::pair<int, std::string>>([](auto done) { done(1, "one"); }) ==
              std::pair<int, std::string>(1, "one"));
    });
}

TEST_CASE("the first answer counts, whichever copy gives it") {
    in_fiber([] {
        std::optional<completion<int>> kept;
        CHECK(await_callback<int>([&](completion<int> done) {
                  kept = done;
                  CHECK(done(1));
                  CHECK_FALSE((*kept)(2));
                  CHECK_FALSE(done.fail(broken));
              }) == 1);
        CHECK_FALSE((*kept)(3));
        kept.reset();
    });
}

TEST_CASE("a callback that is dropped and was not called is a broken promise") {
    in_fiber([] {
        CHECK(code_of([] { return await_callback<int>([](auto) {}); }) == broken);
        std::error_code code;
        CHECK_FALSE(await_callback<int>([](auto) {}, code));
        CHECK(code == broken);
        fiber<> drops;
        CHECK(code_of([&] {
                  return await_callback<int>([&](completion<int> done) {
                      drops = spawn([first = done, second = done] {});
                  });
              }) == broken);
    });
}

TEST_CASE("an answer may be an error or an exception") {
    in_fiber([] {
        const std::error_code refused = std::make_error_code(std::errc::connection_refused);
        const auto fails = [&](auto done) { done.fail(refused); };
        CHECK(code_of([&] { return await_callback<int>(fails); }) == refused);
        std::error_code code;
        CHECK_FALSE(await_callback<int>(fails, code));
        CHECK(code == refused);
        CHECK_FALSE(await_callback(fails, code));
        CHECK(code == refused);
        const auto throws = [](auto done) {
            done.fail(std::make_exception_ptr(std::runtime_error("thrown")));
        };
        CHECK(message_of<std::runtime_error>([&] { return await_callback<int>(throws); }) ==
              "thrown");
        CHECK_THROWS_AS(await_callback<int>(throws, code), std::runtime_error);
        CHECK_FALSE(await_callback<int>(
            [&](auto done) { done.fail(std::make_exception_ptr(std::system_error(refused))); },
            code));
        CHECK(code == refused);
    });
}

TEST_CASE("an answer by an error that is none is a broken promise, and gives no value") {
    in_fiber([] {
        const auto fails = [](auto done) { CHECK(done.fail(std::error_code())); };
        CHECK(code_of([&] { return await_callback<std::string>(fails); }) == broken);
        CHECK(code_of([&] { return await_callback(fails), 0; }) == broken);
        std::error_code code;
        CHECK_FALSE(await_callback(fails, code));
        CHECK(code == broken);
        const auto throws = [](auto done) { CHECK(done.fail(std::exception_ptr())); };
        CHECK(code_of([&] { return await_callback<std::string>(throws); }) == broken);
        CHECK_FALSE(await_callback<int>(throws, code));
        CHECK(code == broken);
    });
}

TEST_CASE("what starting throws goes to the caller, and a late answer is dropped") {
    in_fiber([] {
        std::optional<completion<int>> kept;
        CHECK_THROWS_AS(await_callback<int>([&](auto done) {
                            kept = done;
                            throw std::runtime_error("not started");
                        }),
                        std::runtime_error);
        CHECK_FALSE((*kept)(1));
    });
}

TEST_CASE("a value that cannot be made is its maker's exception, and a broken promise") {
    struct throwing {
        explicit throwing(int) { throw std::runtime_error("no value"); }
    };
    in_fiber([] {
        fiber<> answers;
        CHECK(code_of([&] {
                  await_callback<throwing>([&](auto done) {
                      answers = spawn([done] { CHECK_THROWS_AS(done(1), std::runtime_error); });
                  });
                  return 0;
              }) == broken);
    });
}

TEST_CASE("a deadline ends the wait, and the late answer hits nothing") {
    in_fiber([] {
        std::optional<completion<std::string>> kept;
        const auto keep = [&](auto done) { kept = done; };
        CHECK(code_of([&] { return await_callback<std::string>(keep, in_the_past()); }) ==
              std::errc::timed_out);
        CHECK_FALSE((*kept)("late"));
        std::error_code code;
        CHECK_FALSE(await_callback<std::string>(keep, 1ms, code));
        CHECK(code == std::errc::timed_out);
        CHECK_FALSE((*kept)("late"));
        // One that came at once is in time for any deadline.
        CHECK(await_callback<int>([](auto done) { done(1); }, in_the_past()) == 1);
    });
}

TEST_CASE("a fiber that was asked to stop does not start, and one that waits goes on") {
    in_fiber([] {
        bool started = false;
        std::optional<completion<int>> kept;
        const auto start = [&](auto done) {
            started = true;
            kept = done;
        };
        fiber<> before([&] {
            std::error_code code;
            CHECK_FALSE(await_callback<int>(start, code));
            CHECK(code == std::errc::operation_canceled);
            CHECK_THROWS_AS(await_callback<int>(start), cancelled);
        });
        before.request_stop();
        before.join();
        CHECK_FALSE(started);
        fiber<> during([&] { CHECK_THROWS_AS(await_callback<int>(start), cancelled); });
        let_others_run();
        CHECK(started);
        during.request_stop();
        during.join();
        CHECK_FALSE((*kept)(1));
        // Under a shield the answer is waited for.
        fiber<int> shielded([&] {
            const shield held;
            return await_callback<int>(start);
        });
        let_others_run();
        shielded.request_stop();
        let_others_run();
        CHECK((*kept)(7));
        CHECK(shielded.join() == 7);
    });
}

TEST_CASE("an answer wins over a request to stop that comes after it") {
    in_fiber([] {
        std::optional<completion<int>> kept;
        fiber<int> waits([&] { return await_callback<int>([&](auto done) { kept = done; }); });
        let_others_run();
        CHECK((*kept)(7));
        waits.request_stop();
        CHECK(waits.join() == 7);
    });
}

TEST_CASE("an answer that is being made when the wait is cancelled counts") {
    struct slow {
        int value;
        explicit slow(int made_of) : value(made_of) { let_others_run(); }
    };
    in_fiber([] {
        std::optional<completion<slow>> kept;
        fiber<int> waits(
            [&] { return await_callback<slow>([&](auto done) { kept = done; }).value; });
        let_others_run();
        fiber<> answers([&] { CHECK((*kept)(7)); });
        this_fiber::yield();  // it is in the middle of it
        waits.request_stop();
        CHECK(waits.join() == 7);
    });
}

TEST_CASE("answers from threads race with deadlines and requests, and each is taken or dropped") {
    detail::random_sequence random(seed());
    in_fiber([&] {
        for (int round = 0; round < scaled(500); ++round) {
            elsewhere threads;
            std::atomic<int> taken = 0;
            std::atomic<int> accepted = 0;
            std::vector<fiber<>> fibers;
            const auto delay = [&] { return std::chrono::microseconds(random.below(60)); };
            for (int i = 0; i < 4; ++i) {
                fibers.push_back(spawn([&, until = delay(), pause = delay()] {
                    std::error_code code;
                    const auto value = await_callback<std::string>(
                        [&](completion<std::string> done) {
                            threads.run([&accepted, done = std::move(done), pause] {
                                std::this_thread::sleep_for(pause);
                                accepted += done(std::string(100, 'x')) ? 1 : 0;
                            });
                        },
                        until, code);
                    if (value) {
                        CHECK(value->size() == 100);
                        ++taken;
                    } else {
                        CHECK((code == std::errc::timed_out ||
                               code == std::errc::operation_canceled));
                    }
                }));
            }
            this_fiber::sleep_for(delay());
            fibers[0].request_stop();
            for (fiber<>& one : fibers) {
                one.join();
            }
            threads.join();
            CHECK(taken == accepted);
        }
    });
}

}  // namespace
}  // namespace heddle::test
