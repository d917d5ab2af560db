// Limits that are really reached, each in a process of its own: the error names the limit, nothing
// is left behind, and what exists goes on. (Mappings: tests/core/no_stack_test.cpp.)
#include "runtime/base/sanitizer.hpp"
#include "runtime/base/system.hpp"
#include "tests/base/door_keeper.hpp"
#include "tests/faults/echo.hpp"
#include "tests/faults/heap.hpp"
#include "tests/faults/process_state.hpp"
#include "tests/support/child.hpp"
#include "tests/support/emulator.hpp"
#include "tests/support/report.hpp"

#include <heddle/heddle.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::test {
namespace {

using namespace std::chrono_literals;
using detail::sys::call;

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != text.npos;
}

// Lets the process have no more than `more` descriptors beyond those that it has, while it lives.
class few_descriptors {
public:
    explicit few_descriptors(int more) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const int next = ::dup(0);
        ::close(next);
        const rlimit few = {static_cast<rlim_t>(next + more), before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &few);
    }
    few_descriptors(const few_descriptors&) = delete;
    few_descriptors& operator=(const few_descriptors&) = delete;
    ~few_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

// Lets the process have no more than `more` bytes of address space beyond what it has.
class little_address_space {
public:
    explicit little_address_space(std::size_t more) {
        ::getrlimit(RLIMIT_AS, &before_);
        std::size_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        const rlimit little = {pages * detail::sys::page_bytes() + more, before_.rlim_max};
        ::setrlimit(RLIMIT_AS, &little);
    }
    little_address_space(const little_address_space&) = delete;
    little_address_space& operator=(const little_address_space&) = delete;
    ~little_address_space() { ::setrlimit(RLIMIT_AS, &before_); }

private:
    rlimit before_{};
};

constexpr std::size_t mebibyte = 1024 * 1024;

// Each returns whether the test case is over, because a tool takes for itself what is limited.
bool tool_needs_address_space() {
    if (detail::switches_are_watched() || detail::under_valgrind()) {
        skip("the tool needs the address space itself");
        return true;
    }
    if (under_emulator()) {
        skip("the emulator sets no limit to the address space");
        return true;
    }
    return false;
}

// (The undefined-behaviour sanitizer looks at memory through a pipe.)
bool tool_needs_descriptors() {
    if (detail::switches_are_watched()) {
        skip("the tool needs descriptors itself");
        return true;
    }
    return false;
}

TEST_CASE("with however few descriptors, the echo program works or says what it lacks") {
    if (tool_needs_descriptors()) {
        return;
    }
    const child_result child = run_child([] {
        run_echo_program();
        const process_state usual = process_state::now();
        // The program has not so many at once.
        constexpr int enough = 24;
        int refused = 0;
        for (int more = 0; more <= enough; ++more) {
            first_error error;
            {
                const few_descriptors left(more);
                error = run_echo_program();
            }
            const bool of_test = contains(error.what(), "the test has no pipe");
            const bool named = error.code() == std::errc::too_many_files_open &&
                               contains(error.what(), "RLIMIT_NOFILE");
            const bool scope =
                error.is_invalid_argument() && contains(error.what(), "RLIMIT_NOFILE");
            refused += static_cast<bool>(error);
            if (error && !named && !scope && !of_test) {
                std::printf("with %d: %s\n", more, error.what());
            }
            if (more == enough && error) {
                std::printf("never enough: %s\n", error.what());
            }
            const process_state after = process_state::now();
            const std::string left = after.beyond(usual);
            if (!left.empty()) {
                std::printf("with %d:%s\n", more, left.c_str());
            }
        }
        std::printf("%s\n", refused > 5 ? "refused often" : "hardly refused");
    });
    CHECK(child.output == "refused often\n");
    CHECK(child.exit_status == 0);
}

TEST_CASE("run says that it has no descriptor, for every reactor, and runs when it has") {
    if (tool_needs_descriptors()) {
        return;
    }
    const child_result child = run_child([] {
        for (const char* const name : {"poll", "epoll", "automatic"}) {
            ::setenv("HEDDLE_REACTOR", name, 1);
            const process_state before = process_state::now();
            try {
                const few_descriptors none(0);
                heddle::run([] {});
            } catch (const std::system_error& error) {
                const bool named = error.code() == std::errc::too_many_files_open &&
                                   contains(error.what(), "RLIMIT_NOFILE");
                std::printf("%s ", named ? "named" : error.what());
            }
            const bool same = process_state::now().descriptors == before.descriptors;
            std::printf("%s %d\n", same ? "none left" : "some left", heddle::run([] { return 7; }));
        }
    });
    CHECK(child.output == "named none left 7\nnamed none left 7\nnamed none left 7\n");
}

// An echo over what is connected already.
void exchange(tcp_stream& client, tcp_stream& server) {
    char bytes[4];
    client.write_all("weft");
    server.read_exactly(bytes);
    server.write_all(bytes);
    client.read_exactly(bytes);
    if (std::string_view(bytes, 4) != "weft") {
        std::puts("other bytes came back");
    }
}

TEST_CASE("while accept finds no descriptor, connections are served, and a pausing loop is idle") {
    if (tool_needs_descriptors()) {
        return;
    }
    const child_result child = run_child([] {
        heddle::run([] {
            tcp_listener listener(address("127.0.0.1", 0));
            tcp_stream client = tcp_stream::connect(listener.local_address());
            tcp_stream server = listener.accept();
            tcp_stream waiting = tcp_stream::connect(listener.local_address());
            heddle::wait_readable(listener.native_handle());  // or the first try could be too early
            const door_keeper keeper;
            int failures = 0;
            fiber<tcp_stream> acceptor([&] {
                for (;;) {
                    std::error_code ec;
                    tcp_stream peer = listener.accept(ec);
                    if (ec != std::errc::too_many_files_open) {
                        return peer;
                    }
                    ++failures;
                    this_fiber::sleep_for(1ms);  // as the docstring of tcp_listener says
                }
            });
            {
                const few_descriptors none(0);
                for (int i = 0; i < 1000 || failures < 3; ++i) {
                    exchange(client, server);
                }
            }
            tcp_stream late = acceptor.join();
            // No try beyond those that the loop asked for.
            std::printf("tries beyond: %d\n", keeper.count(call::accept4) - failures - 1);
            exchange(waiting, late);
        });
    });
    CHECK(child.output == "tries beyond: 0\n");
    CHECK(child.exit_status == 0);
}

TEST_CASE("a loop that accepts again at once, without a descriptor, starves nobody") {
    if (tool_needs_descriptors()) {
        return;
    }
    const child_result child = run_child([] {
        heddle::run([] {
            tcp_listener listener(address("127.0.0.1", 0));
            tcp_stream client = tcp_stream::connect(listener.local_address());
            tcp_stream server = listener.accept();
            const tcp_stream waiting = tcp_stream::connect(listener.local_address());
            const few_descriptors none(0);
            const fiber<> acceptor([&] {
                for (std::error_code ec; ec != std::errc::operation_canceled;) {
                    listener.accept(ec);
                }
            });
            for (int i = 0; i < 100; ++i) {
                exchange(client, server);
            }
        });
        std::puts("served");
    });
    CHECK(child.output == "served\n");
}

// Spawns with `spawn_one` until that fails, with so much address space left, then lets all run;
// says how that went.
template <class SpawnOne>
void spawn_until_refused(std::size_t left_bytes, SpawnOne spawn_one) {
    const process_state before = process_state::now();
    for (int round = 0; round < 2; ++round) {
        heddle::run([&] {
            std::string why;
            std::vector<fiber<int>> all;
            all.reserve(1 << 20);
            {
                const little_address_space left(left_bytes);
                try {
                    while (all.size() < all.capacity()) {
                        all.push_back(spawn_one());
                    }
                    why = "never refused";
                } catch (const std::bad_alloc& error) {
                    why = error.what();
                }
            }
            std::size_t ran = 0;
            for (fiber<int>& one : all) {
                ran += static_cast<std::size_t>(one.join());
            }
            std::printf("%s, %s: %s\n", all.size() > 20 ? "some" : "hardly any",
                        ran == all.size() ? "all ran" : "some did not run", why.c_str());
        });
    }
    const process_state after = process_state::now();
    std::puts(after.descriptors == before.descriptors ? "no descriptor left" : "descriptors left");
}

// What takes the most address space depends on how far its powers of two have come.
TEST_CASE("without address space for control blocks spawn names the limit, and the others run") {
    if (tool_needs_address_space()) {
        return;
    }
    const child_result child = run_child(
        [] { spawn_until_refused(16 * mebibyte, [] { return fiber<int>([] { return 1; }); }); });
    CAPTURE(child.output);
    CHECK(contains(child.output, "some, all ran: heddle: no memory for the control block"));
    CHECK(contains(child.output, "ulimit -v"));
    CHECK(contains(child.output, "no descriptor left"));
    CHECK(child.exit_status == 0);
}

TEST_CASE("without address space for places in the queue spawn names the limit, and others run") {
    if (tool_needs_address_space()) {
        return;
    }
    const child_result child = run_child(
        [] { spawn_until_refused(64 * mebibyte, [] { return fiber<int>([] { return 1; }); }); });
    CAPTURE(child.output);
    CHECK(contains(child.output, "some, all ran: heddle: no memory for the places of"));
    CHECK(contains(child.output, "ulimit -v"));
    CHECK(contains(child.output, "no descriptor left"));
    CHECK(child.exit_status == 0);
}

TEST_CASE("without address space for closures spawn throws bad_alloc, and the others run") {
    if (tool_needs_address_space()) {
        return;
    }
    const child_result child = run_child([] {
        spawn_until_refused(64 * mebibyte, [] {
            return fiber<int>([cargo = std::array<char, mebibyte / 8>{}] { return 1 + cargo[7]; });
        });
    });
    CAPTURE(child.output);
    CHECK(contains(child.output, "some, all ran: std::bad_alloc"));
    CHECK(child.exit_status == 0);
}

TEST_CASE("without address space for stacks some fibers run, and the others say what they lack") {
    if (tool_needs_address_space()) {
        return;
    }
    const child_result child = run_child([] {
        for (int round = 0; round < 2; ++round) {
            heddle::run([&] {
                std::vector<fiber<int>> all;
                bool open = false;
                int ran = 0;
                std::string why;
                {
                    const little_address_space left(256 * mebibyte);
                    for (int i = 0; i < 1000; ++i) {
                        all.emplace_back(fiber_options{.stack_bytes = mebibyte}, [&] {
                            while (!open) {
                                this_fiber::yield();
                            }
                            return 1;
                        });
                    }
                    this_fiber::yield();
                    open = true;
                    for (fiber<int>& one : all) {
                        try {
                            ran += one.join();
                        } catch (const std::system_error& error) {
                            why = error.what();
                        }
                    }
                }
                const int after = fiber({.stack_bytes = 2 * mebibyte}, [] { return 7; }).join();
                std::printf("%s, afterwards %d: %s\n", ran > 50 && ran < 300 ? "some ran" : "odd",
                            after, why.c_str());
            });
        }
    });
    CAPTURE(child.output);
    CHECK(contains(child.output, "some ran, afterwards 7: heddle: no stack of 1048576 bytes"));
    CHECK(contains(child.output, "ulimit -v"));
    CHECK(child.exit_status == 0);
}

TEST_CASE("within the same limit there are fibers again once others have ended") {
    if (tool_needs_address_space()) {
        return;
    }
    const child_result child = run_child([] {
        heddle::run([] {
            const little_address_space left(256 * mebibyte);
            for (int wave = 0; wave < 3; ++wave) {
                std::vector<fiber<int>> running;
                running.reserve(1000);
                bool open = false;
                std::string why;
                while (why.empty() && running.size() < running.capacity()) {
                    bool begun = false;
                    fiber<int> next({.stack_bytes = mebibyte}, [&] {
                        begun = true;
                        while (!open) {
                            this_fiber::yield();
                        }
                        return 1;
                    });
                    this_fiber::yield();
                    if (begun) {
                        running.push_back(std::move(next));
                        continue;
                    }
                    try {
                        next.join();
                    } catch (const std::system_error& error) {
                        why = error.what();
                    }
                }
                open = true;
                int ran = 0;
                for (fiber<int>& one : running) {
                    ran += one.join();
                }
                std::printf("%s, %s: %s\n", ran > 50 ? "some" : "hardly any",
                            ran == static_cast<int>(running.size()) ? "all ran" : "not all ran",
                            contains(why, "no stack of 1048576 bytes") ? "named" : why.c_str());
                if (wave == 1) {
                    trim();  // what was dropped can be had again
                }
            }
        });
    });
    CHECK(child.output == "some, all ran: named\nsome, all ran: named\nsome, all ran: named\n");
    CHECK(child.exit_status == 0);
}

TEST_CASE("without memory to make room for more fibers spawn throws, and the others run") {
    if (!has_own_heap) {
        return skip("the tool has an operator new of its own");
    }
    const child_result child = run_child([] {
        heddle::run([] {
            std::vector<fiber<int>> all;
            all.reserve(1 << 20);
            for (int round = 0; round < 3; ++round) {
                const std::size_t before = all.size();
                bool refused = false;
                allocation_fails = [] { return true; };
                while (!refused && all.size() < all.capacity()) {
                    try {
                        all.emplace_back([] {
                            this_fiber::yield();
                            return 1;
                        });
                    } catch (const std::bad_alloc&) {
                        refused = true;
                    }
                }
                allocation_fails = nullptr;
                // With memory there again, there are some more.
                for (int i = 0; i < 1000; ++i) {
                    all.emplace_back([] { return 1; });
                }
                this_fiber::yield();
                std::printf("%s ", refused ? "refused" : "never refused");
                if (all.size() <= before) {
                    std::puts("none");
                }
            }
            std::size_t ran = 0;
            for (fiber<int>& one : all) {
                ran += static_cast<std::size_t>(one.join());
            }
            std::puts(ran == all.size() ? "all ran" : "some did not run");
        });
    });
    CHECK(child.output == "refused refused refused all ran\n");
    CHECK(child.exit_status == 0);
}

TEST_CASE("a first fiber that gets no control block is a bad_alloc that names the limit") {
    const child_result child = run_child([] {
        const door_keeper no_memory(
            [](call asked, int) -> std::int64_t { return asked == call::mmap ? -ENOMEM : 0; });
        try {
            heddle::run([] {});
        } catch (const std::bad_alloc& error) {
            std::puts(error.what());
        }
    });
    CHECK(contains(child.output, "control block"));
    CHECK(contains(child.output, "vm.max_map_count"));
}

TEST_CASE("a fiber that gets no stack, and no memory to say why, still ends by an error") {
    if (!has_own_heap) {
        return skip("the tool has an operator new of its own");
    }
    const child_result child = run_child([] {
        heddle::run([] {
            fiber refused({.stack_bytes = mebibyte}, [] {});
            {
                const door_keeper no_memory([](call asked, int) -> std::int64_t {
                    return asked == call::mmap ? -ENOMEM : 0;
                });
                allocation_fails = [] { return true; };
                this_fiber::yield();
                allocation_fails = nullptr;
            }
            try {
                refused.join();
            } catch (const std::bad_alloc& error) {
                std::puts(error.what());
            }
        });
    });
    CHECK(child.output == "heddle: no stack for a fiber, and no memory to say why\n");
}

TEST_CASE("a plain thread sleeps and joins without memory for a control block of its own") {
    const child_result child = run_child([] {
        std::atomic<bool> refuse = true;
        static std::atomic<bool>* refusing = nullptr;
        refusing = &refuse;
        detail::sys::intercept = [](call asked, int) -> std::int64_t {
            return *refusing && asked == call::mmap ? -ENOMEM : 0;
        };
        this_fiber::sleep_for(2ms);
        std::puts("slept");
        refuse = false;
        heddle::run([&] {
            std::atomic<bool> joining = false;
            std::atomic<bool> joined = false;
            fiber<int> target([&] {
                while (!joining) {
                    this_fiber::yield();
                }
                return 7;
            });
            refuse = true;
            // Takes all blocks that there are: the thread finds none.
            std::vector<fiber<>> others;
            try {
                for (;;) {
                    others.emplace_back([] {});
                }
            } catch (const std::bad_alloc&) {
                // So it is.
            }
            std::jthread joiner([&] {
                joining = true;
                std::printf("joined %d\n", target.join());
                joined = true;
            });
            while (!joined) {
                this_fiber::yield();
            }
            refuse = false;
        });
        detail::sys::intercept = nullptr;
    });
    CHECK(child.output == "slept\njoined 7\n");
    CHECK(child.exit_status == 0);
}

}  // namespace
}  // namespace heddle::test
