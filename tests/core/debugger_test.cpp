// What a debugger shows of fibers: backtraces that are whole and that end.
#include "arch/context.h"
#include "helpers.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <string>
#include <string_view>

using namespace heddle::test;

namespace {

// What gdb prints when it runs debugged.cpp's program with `mode` and obeys `commands`.
std::string seen_in_gdb(const std::string& mode, const std::string& commands) {
    const std::string shell = "gdb --batch -nx -ex 'set confirm off' -ex 'set debuginfod enabled "
                              "off' -ex 'set print address off' " +
                              commands + " --args '" DEBUGGED_PROGRAM "' " + mode + " 2>&1";
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
    if (std::system("command -v gdb >/dev/null") != 0) {
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
        seen_in_gdb("park", "-ex 'break debugger_stops_here' -ex run -ex 'backtrace 50'");
    check_order(list, {"#0 ", "debugger_stops_here", "fiber_entry"});
    CHECK_FALSE(contains(list, "#40"));
}

TEST_CASE("a debugger's backtrace of an exception that nobody catches shows the throw") {
    if (!has_debugger()) {
        return;
    }
    const std::string list = seen_in_gdb("throw", "-ex run -ex 'backtrace 50'");
    check_order(list, {"heddle: in fiber", "\"thrower\"", "SIGABRT", "#0 ", "throws_here",
                       "calls_what_throws", "fiber_entry"});
}

#if defined(__x86_64__) || defined(__i386__)
TEST_CASE("a debugger walks a fiber that waits, once it is given its saved registers") {
    if (!has_debugger()) {
        return;
    }
    if (std::string_view(heddle::detail::context_backend) != "asm") {
        return skip("Boost.Context: makes no such promise about its saved registers");
    }
    // The saved stack pointer points at the return address. The registers are below it, in the
    // order of arch/x86_64-sysv.h, or above it, in that of arch/i386-sysv.h.
#ifdef __x86_64__
    const std::string registers =
        "-ex 'set $saved = (long*)$rdi' -ex 'set $rbp = $rsi' "
        "-ex 'set $rbx = $saved[-1]' -ex 'set $r12 = $saved[-2]' "
        "-ex 'set $r13 = $saved[-3]' -ex 'set $r14 = $saved[-4]' "
        "-ex 'set $r15 = $saved[-5]' -ex 'set $rip = $saved[0]' -ex 'set $rsp = $saved + 1' ";
#else
    const std::string registers =
        "-ex 'set $arguments = (long*)$esp + 1' -ex 'set $saved = (long*)$arguments[0]' "
        "-ex 'set $ebp = $arguments[1]' -ex 'set $ebx = $saved[1]' -ex 'set $esi = $saved[2]' "
        "-ex 'set $edi = $saved[3]' -ex 'set $eip = $saved[0]' -ex 'set $esp = $saved + 1' ";
#endif
    const std::string list = seen_in_gdb("park", "-ex 'break *debugger_stops_here' -ex run " +
                                                     registers + "-ex 'backtrace 50' -ex kill");
    check_order(list, {"#0 ", "parks_here", "calls_what_parks", "fiber_entry"});
}
#endif
