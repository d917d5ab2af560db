// Requests to stop: who may make them when, what they end, and where they do not enter.
#include "helpers.hpp"
#include "runtime/core/worker.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <iostream>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;
using heddle::spawn;

namespace {

/// Whether a sleep that begins now is cancelled.
bool sleep_is_cancelled() {
    std::error_code code;
    heddle::this_fiber::sleep_for(0ns, code);
    return code == std::errc::operation_canceled;
}

heddle::detail::cold_block& cold_part_of_current() {
    return *heddle::detail::current_worker->current().cold;
}

}  // namespace

TEST_CASE("a fiber that was stopped before its start runs, and its first wait is cancelled") {
    on_both_atomic_paths([] {
        in_fiber([] {
            bool began = false;
            bool went_on = false;
            fiber child([&] {
                began = true;
                heddle::this_fiber::yield();
                sleep_for_ever();
                went_on = true;
            });
            CHECK(child.request_stop());
            CHECK(code_of([&] { return child.join(), 0; }) == std::errc::operation_canceled);
            CHECK(began);
            CHECK_FALSE(went_on);
        });
    });
}

TEST_CASE("only the first request to stop says that it was one") {
    in_fiber([] {
        fiber child(sleep_for_ever);
        CHECK(child.request_stop());
        CHECK_FALSE(child.request_stop());
        let_others_run();
        CHECK_FALSE(child.request_stop());
    });
}

TEST_CASE("a request to stop is sticky: every further wait is cancelled") {
    in_fiber([] {
        fiber child([] {
            int cancelled = 0;
            for (int i = 0; i < 10; ++i) {
                try {
                    switch (i % 5) {
                    case 0:
                        heddle::this_fiber::sleep_for(1h);
                        break;
                    case 1:
                        heddle::this_fiber::sleep_until(in_the_past());
                        break;
                    case 2:
                        heddle::this_fiber::check_cancelled();
                        break;
                    case 3:
                        sleep_for_ever();
                        break;
                    case 4:
                        fiber(sleep_for_ever).join();
                        break;
                    }
                } catch (const heddle::cancelled&) {
                    ++cancelled;
                }
            }
            return cancelled;
        });
        let_others_run();
        child.request_stop();
        CHECK(child.join() == 10);
    });
}

TEST_CASE("code that catches everything everywhere still comes to its end") {
    in_fiber([] {
        int rounds = 0;
        bool others_ran = true;
        fiber child([&](std::stop_token token) {
            while (!token.stop_requested() || rounds < 1000) {
                try {
                    sleep_for_ever();
                } catch (...) {
                    ++rounds;
                    CHECK(others_ran);
                    others_ran = false;
                }
            }
        });
        fiber other([&](std::stop_token token) {
            while (!token.stop_requested()) {
                others_ran = true;
                heddle::this_fiber::yield();
            }
        });
        let_others_run();
        child.request_stop();
        child.join();
        CHECK(rounds == 1000);
    });
}

TEST_CASE("check_cancelled does nothing until the fiber is asked to stop, and then throws") {
    in_fiber([] {
        int checks = 0;
        fiber child([&] {
            for (;; ++checks) {
                heddle::this_fiber::check_cancelled();
                heddle::this_fiber::yield();
            }
        });
        let_others_run();
        CHECK(checks > 2);
        child.request_stop();
        CHECK(code_of([&] { return child.join(), 0; }) == std::errc::operation_canceled);
    });
}

TEST_CASE("check_cancelled reports in an error code when it is given one, and gives way first") {
    in_fiber([] {
        bool others_ran = false;
        fiber child([&] {
            std::error_code code = std::make_error_code(std::errc::io_error);
            heddle::this_fiber::check_cancelled(code);
            CHECK_FALSE(code);
            let_others_run();
            fiber other([&] { others_ran = true; });
            heddle::this_fiber::check_cancelled(code);
            CHECK(code == std::errc::operation_canceled);
            CHECK(others_ran);
        });
        let_others_run();
        child.request_stop();
        child.join();
    });
}

TEST_CASE("yield is no cancellation point") {
    in_fiber([] {
        fiber child([] {
            let_others_run();
            return 1;
        });
        child.request_stop();
        CHECK(child.join() == 1);
    });
}

TEST_CASE("a fiber may ask itself to stop") {
    in_fiber([] {
        fiber<bool> self;
        self = fiber([&] {
            CHECK(self.request_stop());
            return sleep_is_cancelled();
        });
        let_others_run();
        CHECK(self.join());
    });
}

TEST_CASE("a destructor that runs during unwinding is not cancelled") {
    struct sleeps_in_destructor {
        bool& slept;
        ~sleeps_in_destructor() {
            CHECK_FALSE(sleep_is_cancelled());
            heddle::this_fiber::check_cancelled();
            heddle::this_fiber::sleep_for(10us);
            fiber([] { let_others_run(); }).join();
            // Nor where it catches exceptions of its own.
            try {
                throw 1;
            } catch (int) {
                CHECK_FALSE(sleep_is_cancelled());
            }
            slept = true;
        }
    };
    in_fiber([] {
        bool slept = false;
        fiber child([&] {
            const sleeps_in_destructor guard{slept};
            sleep_for_ever();
        });
        let_others_run();
        child.request_stop();
        CHECK(code_of([&] { return child.join(), 0; }) == std::errc::operation_canceled);
        CHECK(slept);

        slept = false;
        child = fiber([&] {
            try {
                const sleeps_in_destructor guard{slept};
                throw std::runtime_error("unwinding");
            } catch (const std::runtime_error&) {
                CHECK(sleep_is_cancelled());
            }
        });
        child.request_stop();
        child.join();
        CHECK(slept);
    });
}

TEST_CASE("a wait that began in a destructor during unwinding is not ended by a stop") {
    struct joins_in_destructor {
        fiber<>& inner;
        ~joins_in_destructor() { inner.join(); }
    };
    in_fiber([] {
        bool open = false;
        fiber<> inner([&] {
            while (!open) {
                heddle::this_fiber::yield();
            }
        });
        fiber outer([&] {
            const joins_in_destructor guard{inner};
            throw std::runtime_error("unwinding");
        });
        let_others_run();
        outer.request_stop();
        let_others_run();
        CHECK(inner.joinable());
        open = true;
        CHECK_THROWS_WITH_AS(outer.join(), "unwinding", std::runtime_error);
        CHECK_FALSE(inner.joinable());
    });
}

TEST_CASE("a destructor of the ordinary end is cancelled like any code") {
    in_fiber([] {
        bool cancelled = false;
        fiber child([&] {
            struct sleeps {
                bool& cancelled;
                ~sleeps() { cancelled = sleep_is_cancelled(); }
            } const guard{cancelled};
        });
        child.request_stop();
        child.join();
        CHECK(cancelled);
    });
}

TEST_CASE("output to a stream inside a cancelled fiber writes as ever") {
    in_fiber([] {
        std::ostringstream out;
        out.exceptions(std::ios::badbit | std::ios::failbit);
        fiber child([&] {
            try {
                sleep_for_ever();
            } catch (const heddle::cancelled&) {
                out << "cancelled " << 1 << ' ' << 2.5;
                std::cout << std::flush;
                CHECK(std::cout.good());
                throw;
            }
        });
        child.request_stop();
        CHECK(code_of([&] { return child.join(), 0; }) == std::errc::operation_canceled);
        CHECK(out.str() == "cancelled 1 2.5");
    });
}

TEST_CASE("stop callbacks run once, in the caller of request_stop or of their constructor") {
    in_fiber([] {
        std::vector<std::uint64_t> ran_in;
        const auto note = [&] { ran_in.push_back(heddle::this_fiber::get_id().number()); };
        fiber child([&](std::stop_token token) {
            const std::stop_callback first(token, note);
            const std::stop_callback second(token, note);
            CHECK_THROWS_AS(sleep_for_ever(), heddle::cancelled);
            const std::stop_callback late(token, note);
        });
        const std::uint64_t child_id = child.get_id().number();
        const std::uint64_t own_id = heddle::this_fiber::get_id().number();
        let_others_run();
        child.request_stop();
        child.request_stop();
        child.join();
        CHECK(ran_in == std::vector<std::uint64_t>{own_id, own_id, child_id});
    });
}

TEST_CASE("a stop token is made when somebody asks for one, and says what was asked before") {
    in_fiber([] {
        fiber child([] {
            CHECK_FALSE(cold_part_of_current().stop.stop_possible());
            CHECK(sleep_is_cancelled());
            CHECK_FALSE(cold_part_of_current().stop.stop_possible());
            const std::stop_token token = heddle::this_fiber::get_stop_token();
            CHECK(cold_part_of_current().stop.stop_possible());
            CHECK(token.stop_requested());
            CHECK(token == heddle::this_fiber::get_stop_token());
        });
        child.request_stop();
        child.join();
        // The next fiber takes the same block and begins anew.
        child = fiber([] {
            CHECK_FALSE(cold_part_of_current().stop.stop_possible());
            CHECK_FALSE(heddle::this_fiber::get_stop_token().stop_requested());
            CHECK_FALSE(sleep_is_cancelled());
        });
        child.join();
    });
}

TEST_CASE("a stop token outlives its fiber, its handle and the run") {
    std::stop_token of_ended;
    std::stop_token of_stopped;
    std::stop_token of_left;
    heddle::run([&] {
        {
            fiber ended([] {});
            of_ended = ended.get_stop_token();
            CHECK(of_ended.stop_possible());
            ended.join();
            fiber stopped(sleep_for_ever);
            of_stopped = stopped.get_stop_token();
            CHECK_FALSE(of_stopped.stop_requested());
        }
        CHECK(of_stopped.stop_requested());
        fiber left(sleep_for_ever);
        of_left = left.get_stop_token();
        left.detach();
        CHECK_FALSE(of_left.stop_requested());
    });
    CHECK_FALSE(of_ended.stop_requested());
    CHECK_FALSE(of_ended.stop_possible());
    CHECK(of_stopped.stop_requested());
    CHECK(of_left.stop_requested());
}

TEST_CASE("a request to stop from a plain thread ends a sleep, and runs the callbacks there") {
    std::thread::id ran_in;
    std::thread::id asker;
    heddle::run([&] {
        fiber child([&](std::stop_token token) {
            const std::stop_callback note(token, [&] { ran_in = std::this_thread::get_id(); });
            sleep_for_ever();
        });
        heddle::this_fiber::yield();
        const std::jthread thread([&] {
            asker = std::this_thread::get_id();
            CHECK(child.request_stop());
            CHECK_FALSE(child.request_stop());
        });
        CHECK(code_of([&] { return child.join(), 0; }) == std::errc::operation_canceled);
    });
    CHECK(ran_in == asker);
}

TEST_CASE("whoever is cancelled finds its stop token stopped") {
    for (int round = 0; round < scaled(200); ++round) {
        heddle::run([] {
            fiber child([](std::stop_token token) {
                CHECK_THROWS_AS(sleep_for_ever(), heddle::cancelled);
                return token.stop_requested();
            });
            heddle::this_fiber::yield();
            const std::jthread thread([&] { child.request_stop(); });
            CHECK(child.join());
        });
    }
}

TEST_CASE("stops from plain threads meet fibers that start, wait and end") {
    for (int round = 0; round < scaled(150); ++round) {
        heddle::run([] {
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 32; ++i) {
                fibers.push_back(spawn([i] {
                    for (int turn = 0; turn < i; ++turn) {
                        heddle::this_fiber::yield();
                        heddle::this_fiber::check_cancelled();
                    }
                    if (i % 2 == 0) {
                        sleep_for_ever();
                    }
                }));
            }
            const auto stop = [&](std::size_t first) {
                for (std::size_t i = first; i < fibers.size(); i += 2) {
                    fibers[i].request_stop();
                }
            };
            const std::jthread even(stop, 0);
            const std::jthread odd(stop, 1);
            // The handles are dropped when both threads are done with them.
            while (heddle::get_statistics().fibers_alive > 1) {
                heddle::this_fiber::yield();
            }
        });
    }
}
