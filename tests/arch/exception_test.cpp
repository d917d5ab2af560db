// Exceptions inside contexts: thrown and caught, interleaved, and caught by nobody.
#include "backtrace.h"
#include "flow.h"
#include "tests/support/child.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

// libc++abi has it without a declaration.
namespace __cxxabiv1 {
struct __cxa_eh_globals;
extern "C" __cxa_eh_globals* __cxa_get_globals() noexcept;
}  // namespace __cxxabiv1

using heddle::test::flow;

namespace {

int destroyed = 0;

struct counted {
    ~counted() { ++destroyed; }
};

// The frames between the throw and its handler.
[[gnu::noinline]] void throw_below(int frames, flow* suspended_in_each) {
    const counted guard;
    if (suspended_in_each != nullptr) {
        suspended_in_each->suspend(frames);
    }
    if (frames == 0) {
        throw std::runtime_error("from below");
    }
    throw_below(frames - 1, suspended_in_each);
    asm volatile("");  // no tail call
}

// What one thread's C++ runtime knows of the exceptions in flight: the head of the stack of caught
// ones and the count of uncaught ones (Itanium C++ ABI: Exception Handling, section 2.2.2); on ARM
// also the stack of those whose unwinding a destructor interrupts (Exception Handling ABI for the
// Arm Architecture, section 8.4).
struct exception_globals {
    void* caught;
    unsigned uncaught;
#ifdef __ARM_EABI_UNWINDER__
    void* propagating;
#endif
};

exception_globals exchange(exception_globals incoming) {
    exception_globals outgoing;
    auto* const threads = __cxxabiv1::__cxa_get_globals();
    std::memcpy(&outgoing, threads, sizeof outgoing);
    std::memcpy(threads, &incoming, sizeof incoming);
    return outgoing;
}

}  // namespace

TEST_CASE("an exception is caught inside its context and destroys every frame on its way") {
    constexpr int frames = 50;
    destroyed = 0;
    std::string caught;
    flow thrower([&](flow& self) {
        for (int i = 0; i < 3; ++i) {
            try {
                throw_below(frames, i == 1 ? &self : nullptr);
            } catch (const std::runtime_error& error) {
                caught += error.what();
            }
            self.suspend(-1);
        }
    });
    CHECK(thrower.resume() == -1);
    CHECK(destroyed == frames + 1);
    for (int left = frames; left >= 0; --left) {
        CHECK(thrower.resume() == left);
    }
    CHECK(destroyed == frames + 1);
    CHECK(thrower.resume() == -1);
    CHECK(destroyed == 2 * (frames + 1));
    CHECK(thrower.resume() == -1);
    CHECK(caught == "from belowfrom belowfrom below");
    CHECK(std::uncaught_exceptions() == 0);
}

// The contract leaves the exception globals to core/: the next two tests show what it would see,
// and that exchanging them is all that it has to do.
TEST_CASE("a switch leaves the exception globals to the thread") {
    std::string seen_outside;
    flow holder([](flow& self) {
        try {
            throw std::runtime_error("held");
        } catch (const std::runtime_error&) {
            self.suspend();
        }
    });
    holder.resume();
    try {
        std::rethrow_exception(std::current_exception());
    } catch (const std::runtime_error& error) {
        seen_outside = error.what();
    }
    CHECK(seen_outside == "held");
    holder.resume();
    CHECK(holder.ended());
    CHECK(std::current_exception() == nullptr);
}

TEST_CASE("contexts are interleaved inside catch blocks once the exception globals are exchanged") {
    const auto body = [](std::string& log, const std::string& name) {
        return [&log, name](flow& self) {
            exception_globals outside = exchange({});
            const auto suspend = [&] {
                const exception_globals mine = exchange(outside);
                self.suspend();
                outside = exchange(mine);
            };
            try {
                try {
                    throw std::runtime_error(name);
                } catch (const std::runtime_error&) {
                    suspend();
                    try {
                        throw std::logic_error(name + " nested");
                    } catch (const std::logic_error& nested) {
                        suspend();
                        log += std::string(nested.what()) + "; ";
                    }
                    suspend();
                    throw;
                }
            } catch (const std::runtime_error& again) {
                suspend();
                log += std::string(again.what()) + "; ";
            }
            exchange(outside);
        };
    };
    std::string log;
    flow first(body(log, "first"));
    flow second(body(log, "second"));
    while (!first.ended() || !second.ended()) {
        first.resume();
        CHECK(std::current_exception() == nullptr);
        CHECK(std::uncaught_exceptions() == 0);
        second.resume();
        CHECK(std::current_exception() == nullptr);
        CHECK(std::uncaught_exceptions() == 0);
    }
    CHECK(log == "first nested; second nested; first; second; ");
}

TEST_CASE("a context that is suspended while it unwinds goes on unwinding") {
    struct suspends_in_destructor {
        flow& self;
        ~suspends_in_destructor() { self.suspend(std::uncaught_exceptions()); }
    };
    bool caught = false;
    flow unwinding([&](flow& self) {
        try {
            const suspends_in_destructor guard{self};
            throw 1;
        } catch (int) {
            caught = true;
        }
    });
    CHECK(unwinding.resume() == 1);
    const exception_globals theirs = exchange({});
    CHECK(std::uncaught_exceptions() == 0);
    exchange(theirs);
    unwinding.resume();
    CHECK(caught);
    CHECK(std::uncaught_exceptions() == 0);
}

namespace {

struct suspends_in_destructor {
    flow& self;
    exception_globals& outside;
    ~suspends_in_destructor() {
        const exception_globals mine = exchange(outside);
        self.suspend(mine.uncaught);
        outside = exchange(mine);
    }
};

// A function of its own: where a destructor and the handler are in one function, the runtime does
// not hear of the destructor.
[[gnu::noinline]] void throw_past_two(const std::string& name, flow& self,
                                      exception_globals& outside) {
    const suspends_in_destructor outer{self, outside};
    const suspends_in_destructor inner{self, outside};
    throw std::runtime_error(name);
}

}  // namespace

TEST_CASE("contexts are interleaved inside destructors that run during unwinding") {
    const auto body = [](std::string& log, const std::string& name) {
        return [&log, name](flow& self) {
            exception_globals outside = exchange({});
            try {
                throw_past_two(name, self, outside);
            } catch (const std::runtime_error& error) {
                log += std::string(error.what()) + "; ";
            }
            exchange(outside);
        };
    };
    std::string log;
    flow first(body(log, "first"));
    flow second(body(log, "second"));
    for (int destructor = 0; destructor < 2; ++destructor) {
        CHECK(first.resume() == 1);
        CHECK(std::uncaught_exceptions() == 0);
        CHECK(second.resume() == 1);
        CHECK(std::uncaught_exceptions() == 0);
    }
    first.resume();
    second.resume();
    CHECK(log == "first; second; ");
}

namespace {

[[gnu::noinline]] void throw_uncaught() {
    const counted guard;
    throw std::runtime_error("nobody catches this");
}

// Hidden from the compiler: where it sees that a call never returns, it splits a cold part off the
// caller, which the unwinder takes for a function of its own.
void (*volatile throws)() = throw_uncaught;

[[gnu::noinline]] void frame_of_the_thrower() {
    const counted guard;
    throws();
    asm volatile("");
}

void enter_and_throw(void*) {
    const counted guard;
    heddle::test::arrive();
    frame_of_the_thrower();
    asm volatile("");
}

// Prints what the core file would show; the parent compares.
[[noreturn]] void describe_the_end() {
    const auto trace = heddle::test::backtrace();
    for (const auto& [name, function] :
         {std::pair{"throw_uncaught", reinterpret_cast<void*>(throw_uncaught)},
          std::pair{"frame_of_the_thrower", reinterpret_cast<void*>(frame_of_the_thrower)},
          std::pair{"enter_and_throw", reinterpret_cast<void*>(enter_and_throw)}}) {
        if (trace.passes(function)) {
            std::printf("%s ", name);
        }
    }
    std::printf("ended %d destroyed %d\n", trace.ended, destroyed);
    std::fflush(stdout);
    ::_exit(0);
}

}  // namespace

TEST_CASE("an exception that nobody catches terminates with the throwing frames intact") {
    const auto child = heddle::test::run_child([] {
        destroyed = 0;
        std::set_terminate(describe_the_end);
        const heddle::test::stack memory;
        heddle::test::side outside;
        heddle::test::side inside;
        heddle::test::make(inside, memory, enter_and_throw, nullptr);
        try {
            heddle::test::cross(outside, inside, 0);
        } catch (...) {
            std::printf("it crossed the switch\n");
        }
    });
#ifdef __ARM_EABI_UNWINDER__
    // The walk itself ends in std::terminate, fiber or not: ARM's table of exceptions says of
    // functions that let none out that nobody unwinds through them.
    const std::string_view expected = "ended 1 destroyed 0\n";
#else
    const std::string_view expected =
        "throw_uncaught frame_of_the_thrower enter_and_throw ended 1 destroyed 0\n";
#endif
    CHECK(child.output == expected);
    CHECK(child.signal == 0);
}
