// What a debugger shows of fibers: backtraces that are whole and that end.
#include "arch/context.h"
#include "helpers.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <string>
#include <string_view>

using namespace heddle::test;

// The value of a macro as text.
#define HEDDLE_TEST_TEXT_OF(value) #value
#define HEDDLE_TEST_TEXT(macro) HEDDLE_TEST_TEXT_OF(macro)

namespace {

// How gdb comes to debugged.cpp's program, and has it begin. Where an emulator runs the tests,
// gdb talks to its stub, and finds the program's libraries where the emulator does (-L).
struct debugger {
    const char* emulator = std::getenv("HEDDLE_TEST_EMULATOR");
    // The flags of a socket in /proc/net/unix to which one can connect: before, it has but a name.
    const std::string listening = "00010000";
    std::string command() const { return emulator == nullptr ? "gdb" : "gdb-multiarch"; }
    std::string begin() const { return emulator == nullptr ? "-ex run" : "-ex continue"; }

    std::string run(const std::string& options, const std::string& mode) const {
        const std::string program = "'" DEBUGGED_PROGRAM "' ";
        const std::string gdb = command() + " --batch -nx -ex 'set confirm off' "
                                            "-ex 'set debuginfod enabled off' "
                                            "-ex 'set print address off' ";
        if (emulator == nullptr) {
            return gdb + options + " --args " + program + mode + " 2>&1";
        }
        return "exec 2>&1; folder=$(mktemp -d); set -- " + std::string(emulator) +
               "; emulator=$1; shift; for word; do [ \"$last\" = -L ] && root=$word; last=$word; "
               "done; \"$emulator\" -g \"$folder/stub\" \"$@\" " +
               program + mode + " & while ! grep -q \"" + listening +
               ".*$folder/stub\" /proc/net/unix; do sleep 0.1; done; " + gdb +
               "-ex 'set remotetimeout 60' -ex \"set sysroot $root\" "
               "-ex \"target remote $folder/stub\" " +
               options + " " + program + "; wait; rm -r \"$folder\"";
    }
};

// What gdb prints of debugged.cpp's program in `mode`: it obeys `before`, begins, obeys `after`.
std::string seen_in_gdb(const std::string& mode, const std::string& before,
                        const std::string& after) {
    const debugger gdb;
    const std::string shell = gdb.run(before + " " + gdb.begin() + " " + after + " -ex kill", mode);
    std::FILE* const pipe = ::popen(shell.c_str(), "r");
    std::string text;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
        text += static_cast<char>(c);
    }
    ::pclose(pipe);
    return text;
}

// Whether a debugger can be tried here.
bool has_debugger() {
    if (heddle::detail::switches_are_watched() || heddle::detail::under_valgrind()) {
        skip("a debugger is tried in builds that no tool watches");
        return false;
    }
    if (std::system(("command -v " + debugger().command() + " >/dev/null").c_str()) != 0) {
        skip("gdb is not installed");
        return false;
    }
    return true;
}

// Whether `list` holds the names in this order, each in a frame further out.
void check_order(const std::string& list, std::initializer_list<const char*> names) {
    CAPTURE(list);
    std::size_t from = 0;
    for (const char* const name : names) {
        CAPTURE(name);
        from = list.find(name, from);
        REQUIRE(from != std::string::npos);
    }
    CHECK_FALSE(contains(list, "corrupt stack"));
    if (std::string_view(heddle::detail::context_backend) == "asm") {
        // Our own entry is where it ends. Boost.Context's has a caller that nobody knows.
        CHECK_FALSE(contains(list, "Backtrace stopped"));
        CHECK_FALSE(contains(list.substr(from), "??"));  // libraries above may come without names
    }
}

}  // namespace

TEST_CASE("a debugger's backtrace from inside a fiber ends at the fiber's entry") {
    if (!has_debugger()) {
        return;
    }
    const std::string list =
        seen_in_gdb("park", "-ex 'break debugger_stops_here'", "-ex 'backtrace 50'");
    check_order(list, {"#0 ", "debugger_stops_here", "fiber_entry"});
    CHECK_FALSE(contains(list, "#40"));
}

TEST_CASE("a debugger's backtrace of an exception that nobody catches shows the throw") {
    if (!has_debugger()) {
        return;
    }
    const std::string list = seen_in_gdb("throw", "", "-ex 'backtrace 50'");
    check_order(list, {"heddle: in fiber", "\"thrower\"", "SIGABRT", "#0 ", "throws_here",
                       "calls_what_throws", "fiber_entry"});
}

#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__riscv)

#if defined(__x86_64__)
// The saved stack pointer points at the return address; below it are the registers, in the order of
// arch/x86_64-sysv.h.
constexpr const char* saved_registers =
    "-ex 'set $saved = (long*)$rdi' -ex 'set $rbp = $rsi' "
    "-ex 'set $rbx = $saved[-1]' -ex 'set $r12 = $saved[-2]' -ex 'set $r13 = $saved[-3]' "
    "-ex 'set $r14 = $saved[-4]' -ex 'set $r15 = $saved[-5]' -ex 'set $rip = $saved[0]' "
    "-ex 'set $rsp = $saved + 1' ";
#elif defined(__i386__)
// The same, but the registers are above it, in the order of arch/i386-sysv.h.
constexpr const char* saved_registers =
    "-ex 'set $arguments = (long*)$esp + 1' -ex 'set $saved = (long*)$arguments[0]' "
    "-ex 'set $ebp = $arguments[1]' -ex 'set $ebx = $saved[1]' -ex 'set $esi = $saved[2]' "
    "-ex 'set $edi = $saved[3]' -ex 'set $eip = $saved[0]' -ex 'set $esp = $saved + 1' ";
#elif defined(__riscv)
// The frame ends with s11 to s1, as arch/riscv64-lp64d.h says; those of floating point, in
// front of them, do not matter to a backtrace.
constexpr const char* saved_registers = "-ex 'set $sp = (char*)$a0 + " HEDDLE_TEST_TEXT(
    HEDDLE_FRAME_BYTES) "' "
                        "-ex 'set $saved = (long*)$sp' -ex 'set $s0 = $a1' -ex 'set $pc = $a2' "
                        "-ex 'set $s1 = $saved[-1]' -ex 'set $s2 = $saved[-2]' -ex 'set $s3 = "
                        "$saved[-3]' "
                        "-ex 'set $s4 = $saved[-4]' -ex 'set $s5 = $saved[-5]' -ex 'set $s6 = "
                        "$saved[-6]' "
                        "-ex 'set $s7 = $saved[-7]' -ex 'set $s8 = $saved[-8]' -ex 'set $s9 = "
                        "$saved[-9]' "
                        "-ex 'set $s10 = $saved[-10]' -ex 'set $s11 = $saved[-11]' ";
#else
// The frame begins with x19 to x28, as arch/aarch64-aapcs.h says. The address to resume at is
// signed; what is left without the signature's bits is an address of user space.
constexpr const char* saved_registers =
    "-ex 'set $saved = (long*)$x0' -ex 'set $x29 = $x1' -ex 'set $pc = $x2 & 0xffffffffffff' "
    "-ex 'set $x19 = $saved[0]' -ex 'set $x20 = $saved[1]' -ex 'set $x21 = $saved[2]' "
    "-ex 'set $x22 = $saved[3]' -ex 'set $x23 = $saved[4]' -ex 'set $x24 = $saved[5]' "
    "-ex 'set $x25 = $saved[6]' -ex 'set $x26 = $saved[7]' -ex 'set $x27 = $saved[8]' "
    "-ex 'set $x28 = $saved[9]' -ex 'set $sp = (char*)$saved + " HEDDLE_TEST_TEXT(
        HEDDLE_FRAME_BYTES) "' ";
#endif

TEST_CASE("a debugger walks a fiber that waits, once it is given its saved registers") {
    if (!has_debugger()) {
        return;
    }
    if (std::string_view(heddle::detail::context_backend) != "asm") {
        return skip("Boost.Context: makes no such promise about its saved registers");
    }
    // Not by operator+, of which g++ 12 has a false alarm where a precompiled header declares it.
    std::string commands = saved_registers;
    commands += "-ex 'backtrace 50'";
    const std::string list = seen_in_gdb("park", "-ex 'break *debugger_stops_here'", commands);
    check_order(list, {"#0 ", "parks_here", "calls_what_parks", "fiber_entry"});
}

#endif
