// Exceptions belong to the fiber: it may give way inside of catch blocks and of destructors that
// run during unwinding, and nobody else notices.
#include "helpers.hpp"
#include "runtime/base/random.hpp"
#include "runtime/core/worker.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;
using heddle::spawn;

namespace {

/// What the exception that is being handled says; "none" where none is.
std::string handled_now() {
    const std::exception_ptr current = std::current_exception();
    return current == nullptr
               ? "none"
               : message_of<std::exception>([&] { std::rethrow_exception(current); });
}

/// Calls a function when it dies.
struct at_exit_of_scope {
    std::function<void()> call;
    ~at_exit_of_scope() { call(); }
};

}  // namespace

TEST_CASE("two fibers in catch blocks each rethrow their own exception after many switches") {
    in_fiber([] {
        const auto body = [](const std::string& mine) {
            std::string log;
            try {
                try {
                    throw std::runtime_error(mine);
                } catch (const std::runtime_error&) {
                    for (int turn = 0; turn < 100; ++turn) {
                        heddle::this_fiber::yield();
                        CHECK(handled_now() == mine);
                    }
                    throw;
                }
            } catch (const std::runtime_error& again) {
                heddle::this_fiber::yield();
                log = again.what();
            }
            CHECK(handled_now() == "none");
            return log;
        };
        fiber first(body, "first");
        fiber second(body, "second");
        for (int turn = 0; turn < 50; ++turn) {
            heddle::this_fiber::yield();
            CHECK(handled_now() == "none");
            CHECK(std::uncaught_exceptions() == 0);
        }
        CHECK(first.join() == "first");
        CHECK(second.join() == "second");
    });
}

TEST_CASE("nested exceptions of many fibers stay with their fiber through random switches") {
    heddle::detail::random_sequence random(seed());
    in_fiber([&] {
        const auto pause = [&] {
            switch (random.below(5)) {
            case 0:
                heddle::this_fiber::yield();
                break;
            case 1:
                heddle::this_fiber::sleep_for(std::chrono::microseconds(random.below(20)));
                break;
            case 2:
                fiber([] { CHECK(handled_now() == "none"); }).join();
                break;
            default:
                break;
            }
        };
        const std::function<void(const std::string&, int)> nest = [&](const std::string& name,
                                                                      int depth) {
            const std::string mine = name + std::to_string(depth);
            try {
                pause();
                throw std::runtime_error(mine);
            } catch (const std::runtime_error& error) {
                pause();
                CHECK(handled_now() == mine);
                if (depth > 0) {
                    nest(name, depth - 1);
                    CHECK(handled_now() == mine);
                    try {
                        pause();
                        throw;
                    } catch (const std::runtime_error& again) {
                        pause();
                        CHECK(again.what() == mine);
                    }
                }
                pause();
                CHECK(error.what() == mine);
                CHECK(handled_now() == mine);
            }
        };
        for (int round = 0; round < scaled(20); ++round) {
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 30; ++i) {
                fibers.push_back(spawn([&, i, depth = static_cast<int>(random.below(6))] {
                    nest("fiber " + std::to_string(i) + ", level ", depth);
                    CHECK(handled_now() == "none");
                    CHECK(std::uncaught_exceptions() == 0);
                }));
            }
            for (fiber<>& one : fibers) {
                one.join();
            }
        }
        CHECK(handled_now() == "none");
    });
}

TEST_CASE("a destructor that runs during unwinding may yield, sleep and join") {
    in_fiber([] {
        std::vector<int> counts;
        const auto wait_in_many_ways = [&] {
            counts.push_back(std::uncaught_exceptions());
            heddle::this_fiber::yield();
            counts.push_back(std::uncaught_exceptions());
            heddle::this_fiber::sleep_for(10us);
            counts.push_back(std::uncaught_exceptions());
            fiber([] { CHECK(std::uncaught_exceptions() == 0); }).join();
            counts.push_back(std::uncaught_exceptions());
            fiber([] {
                let_others_run();
                CHECK(std::uncaught_exceptions() == 0);
            }).join();
            counts.push_back(std::uncaught_exceptions());
        };
        const auto unwind = [&](const std::string& mine) {
            try {
                const at_exit_of_scope outer{wait_in_many_ways};
                const at_exit_of_scope inner{wait_in_many_ways};
                throw std::runtime_error(mine);
            } catch (const std::runtime_error& error) {
                CHECK(std::uncaught_exceptions() == 0);
                CHECK(error.what() == mine);
            }
        };
        fiber first(unwind, "first");
        fiber second(unwind, "second");
        fiber third(unwind, "third");
        let_others_run();
        CHECK(std::uncaught_exceptions() == 0);
        first.join();
        second.join();
        third.join();
        CHECK(counts == std::vector<int>(30, 1));
    });
}

TEST_CASE("exceptions thrown within a destructor during unwinding are counted per fiber") {
    in_fiber([] {
        const auto unwind = [] {
            int deepest = 0;
            const at_exit_of_scope outermost{[&] {
                try {
                    const at_exit_of_scope inner{[&] {
                        let_others_run();
                        deepest = std::uncaught_exceptions();
                        let_others_run();
                    }};
                    throw 2;
                } catch (int) {
                    let_others_run();
                    CHECK(std::uncaught_exceptions() == 1);
                }
            }};
            try {
                throw std::runtime_error("outer");
            } catch (...) {
            }
            const at_exit_of_scope check{[&] { CHECK(std::uncaught_exceptions() == 1); }};
            if (deepest == 0) {
                throw 1;
            }
        };
        fiber first(unwind);
        fiber second(unwind);
        let_others_run();
        CHECK_THROWS_AS(first.join(), int);
        CHECK_THROWS_AS(second.join(), int);
        CHECK(std::uncaught_exceptions() == 0);
    });
}

TEST_CASE("a fiber that is started from a catch block or a destructor sees none of it") {
    in_fiber([] {
        const auto sees_nothing = [] {
            return handled_now() == "none" && std::uncaught_exceptions() == 0;
        };
        try {
            throw std::runtime_error("handled");
        } catch (const std::runtime_error&) {
            CHECK(fiber(sees_nothing).join());
            fiber waits([&] {
                heddle::this_fiber::yield();
                return sees_nothing();
            });
            CHECK(waits.join());
            CHECK(handled_now() == "handled");
        }
        bool saw_nothing = false;
        try {
            const at_exit_of_scope guard{[&] { saw_nothing = fiber(sees_nothing).join(); }};
            throw 1;
        } catch (int) {
        }
        CHECK(saw_nothing);
    });
}

TEST_CASE("a fiber that ends while others handle exceptions disturbs none of them") {
    in_fiber([] {
        const auto handles = [](const std::string& mine) {
            try {
                throw std::runtime_error(mine);
            } catch (const std::runtime_error&) {
                for (int turn = 0; turn < 20; ++turn) {
                    heddle::this_fiber::yield();
                    fiber([] {
                        CHECK(handled_now() == "none");
                        throw heddle::cancelled();
                    }).detach();
                    CHECK(handled_now() == mine);
                }
            }
        };
        fiber first(handles, "first");
        fiber second(handles, "second");
        handles("main");
        first.join();
        second.join();
    });
}

TEST_CASE("a fiber that has left its catch block is switched by the short way again") {
    in_fiber([] {
        fiber child([] {
            const auto& flags = heddle::detail::current_worker->current().flags;
            try {
                throw 1;
            } catch (int) {
                heddle::this_fiber::yield();
            }
            heddle::this_fiber::yield();
            return (flags & heddle::detail::flag_slow_switch) == 0;
        });
        let_others_run();
        CHECK(child.join());
    });
}

TEST_CASE("an exception travels to join and through a chain of fibers") {
    in_fiber([] {
        const std::function<int(int)> descend = [&](int level) -> int {
            if (level == 0) {
                throw std::runtime_error("from the bottom");
            }
            return spawn([&, level] { return descend(level - 1); }).join();
        };
        CHECK_THROWS_WITH_AS(descend(100), "from the bottom", std::runtime_error);
        CHECK(std::current_exception() == nullptr);
    });
}

TEST_CASE("an exception outlives its fiber, its stack, its run and its thread") {
    std::exception_ptr kept;
    std::jthread([&] {
        heddle::run([&] {
            fiber child([] { throw std::runtime_error("kept"); });
            try {
                child.join();
            } catch (...) {
                kept = std::current_exception();
            }
        });
    }).join();
    CHECK(message_of<std::runtime_error>([&] { std::rethrow_exception(kept); }) == "kept");
    heddle::run([&] {
        fiber thrower([&] { std::rethrow_exception(kept); });
        CHECK_THROWS_WITH_AS(thrower.join(), "kept", std::runtime_error);
    });
    CHECK(message_of<std::runtime_error>([&] { std::rethrow_exception(kept); }) == "kept");
}

TEST_CASE("an exception_ptr can be rethrown by many fibers at the same time") {
    in_fiber([] {
        const std::exception_ptr shared = std::make_exception_ptr(std::runtime_error("shared"));
        std::vector<fiber<>> fibers;
        for (int i = 0; i < 20; ++i) {
            fibers.push_back(spawn([&] {
                try {
                    std::rethrow_exception(shared);
                } catch (const std::runtime_error& error) {
                    let_others_run();
                    CHECK(std::string(error.what()) == "shared");
                    throw;
                }
            }));
        }
        for (fiber<>& one : fibers) {
            CHECK_THROWS_WITH_AS(one.join(), "shared", std::runtime_error);
        }
    });
}

TEST_CASE("the destructor of an exception may wait") {
    struct waits_at_its_end {
        int* ended;
        explicit waits_at_its_end(int& count) : ended(&count) {}
        waits_at_its_end(waits_at_its_end&& other) noexcept
            : ended(std::exchange(other.ended, nullptr)) {}
        ~waits_at_its_end() {
            if (ended != nullptr) {
                let_others_run();
                ++*ended;
            }
        }
    };
    in_fiber([] {
        int ended = 0;
        const auto body = [&] {
            try {
                throw waits_at_its_end(ended);
            } catch (const waits_at_its_end&) {
                heddle::this_fiber::yield();
            }
            CHECK(handled_now() == "none");
        };
        fiber first(body);
        fiber second(body);
        first.join();
        second.join();
        CHECK(ended == 2);
        fiber thrower([&] { throw waits_at_its_end(ended); });
        try {
            thrower.join();
        } catch (const waits_at_its_end&) {
            CHECK(ended == 2);
        }
        CHECK(ended == 3);
    });
}

TEST_CASE("cancellation unwinds every frame, and its destructors may wait") {
    in_fiber([] {
        std::string log;
        fiber child([&] {
            const at_exit_of_scope outer{[&] {
                let_others_run();
                log += "outer ";
            }};
            try {
                const at_exit_of_scope inner{[&] { fiber([&] { log += "inner "; }).join(); }};
                heddle::this_fiber::sleep_until(heddle::deadline::never());
            } catch (const std::exception&) {
                log += "taken for an error ";
            }
        });
        let_others_run();
        child.request_stop();
        CHECK(code_of([&] { return child.join(), 0; }) == std::errc::operation_canceled);
        CHECK(log == "inner outer ");
    });
}
