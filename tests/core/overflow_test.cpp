// Stack overflow: who is told what, and who gets the fault.
#include "helpers.hpp"
#include "tests/support/emulator.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

using namespace heddle::test;
using heddle::fiber_options;

namespace {

// Each call leaves 256 bytes on the stack that the compiler cannot do without.
[[gnu::noinline]] int recurse(int depth) {
    volatile char room[256];
    room[0] = static_cast<char>(depth);
    const int below = depth == 0 ? 0 : recurse(depth + 1);
    return below + room[0];
}

// A frame of a megabyte, whose lowest page alone is used: it jumps over the guard unless the
// compiler touches each page on the way (-fstack-clash-protection).
[[gnu::noinline]] void use_large_frame() {
    volatile char room[1024 * 1024];
    __asm__ volatile("" : : "r"(room) : "memory");  // or clang keeps no more than what is used
    room[0] = 1;
    std::printf("%d\n", room[0]);
}

// Whether the compiler does so. For RISC-V, GCC before 15 and clang before 20 take the option and
// ignore it.
#if defined(__riscv) && (defined(__clang__) ? __clang_major__ < 20 : __GNUC__ < 15)
constexpr bool frames_can_be_probed = false;
#else
constexpr bool frames_can_be_probed = true;
#endif

// Writes into the guard of the running fiber, from inside of its last valid frame.
void run_into_guard() {
    std::printf("%d\n", recurse(1));
}

// What a tool does with a fault on its own, it does instead of us.
bool tool_takes_faults() {
    return heddle::detail::has_address_tool() || heddle::detail::under_valgrind();
}

void handle_fault_elsewhere(int, siginfo_t*, void*) {
    std::fputs("the user's handler\n", stderr);
    std::_Exit(42);
}

void install_user_handler() {
    struct sigaction mine = {};
    mine.sa_sigaction = handle_fault_elsewhere;
    mine.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &mine, nullptr);
}

void fault_elsewhere() {
    void* const page = ::mmap(nullptr, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *static_cast<volatile char*>(page) = 1;
}

// Whether the unwinder cannot walk out of a signal handler: qemu 7.2's signal frames for Power are
// not those that libgcc looks for.
bool signal_frames_are_unknown() {
#ifdef __powerpc64__
    return heddle::test::under_emulator();
#else
    return false;
#endif
}

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a fiber that overruns its stack is named with its size, place and frames, and dies") {
    if (tool_takes_faults()) {
        return skip("the tool reports stack overflows itself");
    }
    const child_result ended = run_child([] {
        heddle::run([] {
            heddle::spawn(fiber_options{.name = "digger", .stack_bytes = 64 * 1024}, run_into_guard)
                .join();
        });
    });
    CHECK(ended.signal == SIGSEGV);
    CHECK(contains(ended.output, "stack overflow"));
    CHECK(contains(ended.output, "65536 bytes"));
    CHECK(contains(ended.output, "\"digger\""));
    CHECK(contains(ended.output, "spawned at core_test+0x"));
    CHECK((contains(ended.output, "innermost frames:\nheddle:   core_test+0x") ||
           signal_frames_are_unknown()));
}

TEST_CASE("the first fiber's overflow is reported like any other's") {
    if (tool_takes_faults()) {
        return skip("the tool reports stack overflows itself");
    }
    const child_result ended = run_child([] { heddle::run(run_into_guard); });
    CHECK(ended.signal == SIGSEGV);
    CHECK(contains(ended.output, "stack overflow"));
    CHECK(contains(ended.output, "\"main\""));
}

TEST_CASE("a frame of a megabyte that jumps over the guard is reported as an overflow") {
    if (tool_takes_faults()) {
        return skip("the tool reports stack overflows itself");
    }
    if (!frames_can_be_probed) {
        return skip("the compiler does not probe large frames on this CPU");
    }
    const child_result ended = run_child([] {
        heddle::run([] {
            const heddle::fiber above({.name = "neighbour", .stack_bytes = 64 * 1024},
                                      [] { heddle::this_fiber::yield(); });
            heddle::this_fiber::yield();
            heddle::spawn(fiber_options{.name = "jumper", .stack_bytes = 64 * 1024},
                          use_large_frame)
                .join();
        });
    });
    CHECK(ended.signal == SIGSEGV);
    CHECK(contains(ended.output, "stack overflow"));
    CHECK(contains(ended.output, "\"jumper\""));
}

TEST_CASE("a fault that is no overflow goes to the handler that was there before run()") {
    if (tool_takes_faults()) {
        return skip("the tool reports stack overflows itself");
    }
    const child_result ended = run_child([] {
        install_user_handler();
        heddle::run(fault_elsewhere);
    });
    CHECK(ended.exit_status == 42);
    CHECK(contains(ended.output, "the user's handler"));
    CHECK_FALSE(contains(ended.output, "stack overflow"));
}

TEST_CASE("a fault that is no overflow and has no handler ends the process by SIGSEGV") {
    if (tool_takes_faults()) {
        return skip("the tool reports stack overflows itself");
    }
    const child_result ended = run_child([] { heddle::run(fault_elsewhere); });
    CHECK(ended.signal == SIGSEGV);
    CHECK_FALSE(contains(ended.output, "stack overflow"));
}

TEST_CASE("a handler that the user installs inside run() stays, and outlives it") {
    if (tool_takes_faults()) {
        return skip("the tool reports stack overflows itself");
    }
    const child_result ended = run_child([] {
        heddle::run(install_user_handler);
        fault_elsewhere();
    });
    CHECK(ended.exit_status == 42);
}

TEST_CASE("run() leaves signal handlers and the alternate stack as it found them") {
    struct sigaction before = {};
    struct sigaction after = {};
    stack_t stack_before = {};
    stack_t stack_after = {};
    sigaction(SIGSEGV, nullptr, &before);
    sigaltstack(nullptr, &stack_before);
    heddle::run([] {}, {.dump_on_sigquit = true});
    sigaction(SIGSEGV, nullptr, &after);
    sigaltstack(nullptr, &stack_after);
    const bool same_handler = before.sa_handler == after.sa_handler;
    CHECK(same_handler);
    CHECK((stack_before.ss_flags & SS_DISABLE) == (stack_after.ss_flags & SS_DISABLE));
    CHECK(stack_before.ss_sp == stack_after.ss_sp);
}

TEST_CASE("with report_stack_overflow off an overflow dies without a word") {
    if (tool_takes_faults()) {
        return skip("the tool reports stack overflows itself");
    }
    const child_result ended =
        run_child([] { heddle::run(run_into_guard, {.report_stack_overflow = false}); });
    CHECK(ended.signal == SIGSEGV);
    CHECK_FALSE(contains(ended.output, "stack overflow"));
}

TEST_CASE("SIGQUIT prints the fibers and the program goes on") {
    const child_result ended = run_child([] {
        heddle::run(
            [] {
                std::raise(SIGQUIT);
                std::puts("still here");
            },
            {.dump_on_sigquit = true});
    });
    CHECK(ended.exit_status == 0);
    CHECK(contains(ended.output, "\"main\", running"));
    CHECK(contains(ended.output, "still here"));
}

TEST_CASE("what SIGQUIT interrupts finds errno as it was") {
    const child_result ended = run_child([] {
        heddle::run(
            [] {
                ::close(STDERR_FILENO);  // so that every write of the list fails
                errno = 0;
                std::raise(SIGQUIT);
                ::_exit(errno == 0 ? 42 : 1);
            },
            {.dump_on_sigquit = true});
    });
    CHECK(ended.exit_status == 42);
}
