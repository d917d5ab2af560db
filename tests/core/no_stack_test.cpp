// What happens when the system gives no stack: the fiber that wanted it ends by an error that names
// the limit, and everything else goes on.
#include "helpers.hpp"
#include "runtime/base/system.hpp"
#include "runtime/core/stack.hpp"
#include "tests/base/door_keeper.hpp"
#include "tests/support/emulator.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <sys/mman.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

using namespace heddle::test;
using heddle::fiber;
using heddle::spawn;
using heddle::detail::guard_kind;
using heddle::detail::guards;
using heddle::detail::sys::call;

namespace {

/// Fails every call of one kind while it lives.
class refused {
public:
    explicit refused(call which, int error)
        : keeper_([=](call asked, int) -> std::int64_t { return asked == which ? -error : 0; }) {}

private:
    door_keeper keeper_;
};

// A size that nobody has used yet, so that its first stack has to be made.
std::size_t fresh_size() {
    static std::size_t next = 1024 * 1024;
    return next += 512 * 1024;
}

struct mapped_guards {
    guard_kind found = guards;
    mapped_guards() { guards = guard_kind::mapped; }
    mapped_guards(const mapped_guards&) = delete;
    mapped_guards& operator=(const mapped_guards&) = delete;
    ~mapped_guards() { guards = found; }
};

std::string refusal_of(fiber<>& child) {
    try {
        child.join();
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::not_enough_memory);
        return error.what();
    }
    return "it ran";
}

}  // namespace

TEST_CASE("a fiber that gets no stack does not run, and its join names call, sizes and limit") {
    in_fiber([] {
        bool ran = false;
        const auto body = [&] { ran = true; };
        for (const bool in_turn : {false, true}) {
            const std::size_t size = fresh_size();
            fiber child({.stack_bytes = size}, body);
            std::string message;
            {
                const refused no_memory(call::mmap, ENOMEM);
                if (in_turn) {
                    let_others_run();
                }
                message = refusal_of(child);
            }
            CAPTURE(message);
            CHECK(contains(message, std::to_string(size)));
            CHECK(contains(message, "mmap"));
            CHECK(contains(message, "vm.max_map_count"));
            CHECK_FALSE(ran);
            // With memory there again the next one runs.
            CHECK(fiber({.stack_bytes = size}, [] { return 1; }).join() == 1);
        }
        CHECK(heddle::get_statistics().fibers_alive == 1);
        CHECK(heddle::get_statistics().stacks_in_use == 1);
    });
}

TEST_CASE("a guard that cannot be made is a stack that cannot be had") {
    in_fiber([] {
        {
            fiber child({.stack_bytes = fresh_size()}, [] {});
            fiber([] {}).join();  // probes
            if (guards == guard_kind::light) {
                const refused no_memory(call::madvise, ENOMEM);
                CHECK(contains(refusal_of(child), "MADV_GUARD_INSTALL"));
                CHECK(heddle::get_statistics().stacks_in_use == 1);
            } else {
                child.join();
            }
        }
        const mapped_guards only;
        fiber child({.stack_bytes = fresh_size()}, [] {});
        const refused no_memory(call::mprotect, ENOMEM);
        const std::string message = refusal_of(child);
        CHECK(contains(message, "mprotect"));
        CHECK(contains(message, "vm.max_map_count"));
    });
}

TEST_CASE("guards that could not be probed for want of a descriptor are probed again") {
    const guard_kind found = guards;
    for (const call which : {call::mmap, call::madvise, call::pipe2, call::write}) {
        const child_result child = run_child([=] {
            guards = guard_kind::unknown;
            heddle::run([=] {
                if (guards != guard_kind::light) {
                    std::puts("as it should be");  // there is nothing to find again
                    return;
                }
                guards = guard_kind::unknown;
                int asked = 0;
                {
                    // The second mmap and madvise are those of the probe.
                    const door_keeper keeper([&](call one, int) -> std::int64_t {
                        const bool fails =
                            one == which &&
                            ++asked == (which == call::mmap || which == call::madvise ? 2 : 1);
                        return fails ? -(which == call::mmap || which == call::madvise ? ENOMEM
                                                                                       : EMFILE)
                                     : 0;
                    });
                    fiber({.stack_bytes = fresh_size()}, [] {}).join();
                }
                const bool open = guards == guard_kind::unknown;
                fiber({.stack_bytes = fresh_size()}, [] {}).join();
                std::puts(open && guards == guard_kind::light ? "as it should be" : "stuck");
            });
        });
        CHECK(child.output == "as it should be\n");
    }
    CHECK(guards == found);
}

TEST_CASE("a lack of address space or of lockable memory for a stack is told apart") {
    in_fiber([] {
        fiber child({.stack_bytes = fresh_size()}, [] {});
        const refused locked(call::mmap, EAGAIN);
        const std::string message = refusal_of(child);
        CHECK(contains(message, "mmap"));
        CHECK(contains(message, "ulimit -l"));
        CHECK_FALSE(contains(message, "max_map_count"));
    });
}

TEST_CASE("memory that is locked gets guards by mprotect") {
    door_keeper keeper(
        [](call asked, int) -> std::int64_t { return asked == call::madvise ? -EINVAL : 0; });
    struct light_guards {
        guard_kind found = guards;
        light_guards() { guards = guard_kind::light; }
        ~light_guards() { guards = found; }
    } const pretended;
    in_fiber([&] {
        keeper.forget();
        CHECK(fiber({.stack_bytes = fresh_size()}, [] { return 1; }).join() == 1);
        CHECK(keeper.count(call::madvise) > 0);
        CHECK(keeper.count(call::mprotect) == 1);
    });
}

TEST_CASE("a process that locks all its memory runs fibers") {
    const child_result child = run_child([] {
        if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
            std::puts("must not lock\nran 7");
            return;
        }
        std::printf("ran %d\n", heddle::run([] { return fiber([] { return 7; }).join(); },
                                            {.stack_bytes = 64 * 1024}));
    });
    CHECK(contains(child.output, "ran 7"));
    CHECK(child.exit_status == 0);
}

TEST_CASE("the handle of a fiber that got no stack can be dropped, also by one that was stopped") {
    in_fiber([] {
        auto payload = std::make_shared<int>(1);
        fiber parent([&] {
            fiber child({.stack_bytes = fresh_size()}, [payload] {});
            {
                const refused no_memory(call::mmap, ENOMEM);
                heddle::this_fiber::yield();
            }
            child.join();  // not reached by the error: its caller is cancelled first
        });
        heddle::this_fiber::yield();
        parent.request_stop();
        std::error_code ec;
        CHECK_FALSE(parent.join(ec));
        CHECK(ec == std::errc::operation_canceled);
        CHECK(payload.use_count() == 1);
    });
}

TEST_CASE("run throws where its first fiber gets no stack") {
    {
        const refused no_memory(call::mmap, ENOMEM);
        const std::string message = message_of<std::system_error>([] { heddle::run([] {}); });
        CHECK(contains(message, "heddle: no stack"));
    }
    CHECK(heddle::run([] { return 1; }) == 1);
}

TEST_CASE("many fibers are refused while others run, and nothing is left of them") {
    in_fiber([] {
        const std::size_t size = fresh_size();
        int ran = 0;
        std::vector<fiber<>> others;
        for (int i = 0; i < 10; ++i) {
            others.push_back(spawn([&] {
                let_others_run();
                ++ran;
            }));
        }
        heddle::this_fiber::yield();
        auto payload = std::make_shared<int>(1);
        std::vector<fiber<>> refusals;
        for (int i = 0; i < 1000; ++i) {
            refusals.push_back(spawn({.stack_bytes = size}, [payload] {}));
        }
        CHECK(payload.use_count() == 1001);
        {
            const refused no_memory(call::mmap, ENOMEM);
            let_others_run();
        }
        for (std::size_t i = 0; i < refusals.size(); ++i) {
            switch (i % 3) {
            case 0:
                CHECK(contains(refusal_of(refusals[i]), "no stack"));
                break;
            case 1: {
                std::error_code code;
                CHECK_FALSE(refusals[i].join(code));
                CHECK(code == std::errc::not_enough_memory);
                break;
            }
            default:
                CHECK_THROWS_AS(refusals[i].join(), std::system_error);
                break;
            }
        }
        CHECK(payload.use_count() == 1);
        for (fiber<>& one : others) {
            one.join();
        }
        CHECK(ran == 10);
        CHECK(heddle::get_statistics().fibers_alive == 1);
    });
}

TEST_CASE("the closure of a refused fiber may wait when it is destroyed") {
    in_fiber([] {
        for (const bool in_turn : {false, true}) {
            bool stopped = false;
            fiber inner([&](std::stop_token token) {
                while (!token.stop_requested()) {
                    heddle::this_fiber::yield();
                }
                let_others_run();
                stopped = true;
            });
            fiber refused_one({.stack_bytes = fresh_size()}, [handle = std::move(inner)] {});
            {
                const refused no_memory(call::mmap, ENOMEM);
                if (in_turn) {
                    let_others_run();
                }
                CHECK(contains(refusal_of(refused_one), "no stack"));
            }
            CHECK(stopped);
            let_others_run();
        }
        CHECK(heddle::get_statistics().fibers_alive == 1);
    });
}

namespace {

int handled = 0;

}  // namespace

TEST_CASE("a detached fiber that gets no stack is an exception of a detached fiber") {
    handled = 0;
    heddle::run(
        [] {
            heddle::spawn_detached({.stack_bytes = fresh_size()}, [] {});
            spawn({.stack_bytes = fresh_size()}, [] {}).detach();
            const refused no_memory(call::mmap, ENOMEM);
            let_others_run();
        },
        {.on_detached_exception = [](heddle::fiber_id, std::exception_ptr exception) {
            CHECK(message_of<std::system_error>([&] { std::rethrow_exception(exception); }) !=
                  "nothing was thrown");
            ++handled;
        }});
    CHECK(handled == 2);
    const child_result child = run_child([] {
        heddle::run([] {
            heddle::spawn_detached({.name = "refused", .stack_bytes = fresh_size()}, [] {});
            const refused no_memory(call::mmap, ENOMEM);
            let_others_run();
        });
    });
    CHECK(child.signal == SIGABRT);
    CHECK(contains(child.output, "\"refused\""));
    CHECK(contains(child.output, "no stack"));
}

TEST_CASE("guards by mprotect serve many fibers until the mappings run out, and then say so") {
    unsigned long limit = 0;
    std::ifstream("/proc/sys/vm/max_map_count") >> limit;
    const child_result child = run_child(
        [=] {
            const mapped_guards only;
            heddle::run([=] {
                // Where the system's limit is far off, or a tool or an emulator, which needs
                // mappings itself, would die of it, a smaller one stands in for it.
                const bool near = limit > 0 && limit <= 100'000 &&
                                  !heddle::detail::switches_are_watched() &&
                                  !heddle::detail::under_valgrind() && !under_emulator();
                const unsigned long enough = near ? limit : 10'000;
                int mprotects = 0;
                const door_keeper keeper([&](call asked, int) -> std::int64_t {
                    return !near && asked == call::mprotect && ++mprotects > 1000 ? -ENOMEM : 0;
                });
                bool open = false;
                unsigned long ran = 0;
                std::vector<fiber<>> fibers;
                for (unsigned long i = 0; i < enough; ++i) {
                    fibers.push_back(spawn({.stack_bytes = 16 * 1024}, [&] {
                        ++ran;
                        while (!open) {
                            heddle::this_fiber::yield();
                        }
                    }));
                }
                let_others_run();
                open = true;
                unsigned long refusals = 0;
                std::string message;
                for (fiber<>& one : fibers) {
                    try {
                        one.join();
                    } catch (const std::system_error& error) {
                        ++refusals;
                        message = error.what();
                    }
                }
                std::printf("all accounted for: %d, some ran: %d, some did not: %d\n%s\n",
                            ran + refusals == enough, ran >= 100, refusals > 0, message.c_str());
                // What was made is used again.
                std::printf("afterwards: %d\n",
                            fiber({.stack_bytes = 16 * 1024}, [] { return 7; }).join());
            });
        },
        std::chrono::seconds(60));
    CAPTURE(child.output);
    CHECK(contains(child.output, "all accounted for: 1, some ran: 1, some did not: 1"));
    CHECK(contains(child.output, "vm.max_map_count"));
    CHECK(contains(child.output, "afterwards: 7"));
    CHECK(child.exit_status == 0);
}
