// The program that debugger_test.cpp lets a debugger look at; fibers with functions of known names.
#include "runtime/core/worker.hpp"

#include <heddle/heddle.hpp>

#include <stdexcept>
#include <string_view>

namespace {

const heddle::detail::fiber_block* parked = nullptr;

// Each of these keeps a frame of its own: something follows the call.
#define HEDDLE_TEST_FRAME __asm__ volatile("" ::: "memory")

[[gnu::noinline]] void parks_here() {
    parked = &heddle::detail::current_worker->current();
    std::error_code stopped;
    heddle::this_fiber::sleep_until(heddle::deadline::never(), stopped);
    HEDDLE_TEST_FRAME;
}

[[gnu::noinline]] void calls_what_parks() {
    parks_here();
    HEDDLE_TEST_FRAME;
}

[[gnu::noinline]] void throws_here() {
    throw std::runtime_error("for the debugger");
}

[[gnu::noinline]] void calls_what_throws() {
    throws_here();
    HEDDLE_TEST_FRAME;
}

}  // namespace

// Where the debugger stops, with what it needs to walk the parked fiber.
extern "C" [[gnu::noinline]] void debugger_stops_here(const void* stack_pointer,
                                                      const void* frame_pointer,
                                                      const void* resume_address) {
    __asm__ volatile("" : : "r"(stack_pointer), "r"(frame_pointer), "r"(resume_address) : "memory");
}

int main(int, char** arguments) {
    const std::string_view wanted = arguments[1];
    heddle::run([&] {
        if (wanted == "throw") {
            heddle::spawn_detached({.name = "thrower"}, calls_what_throws);
            heddle::this_fiber::yield();
        } else {
            const heddle::fiber waiter{{.name = "waiter"}, calls_what_parks};
            heddle::this_fiber::yield();
            const heddle_context& context = parked->context;
            debugger_stops_here(context.stack_pointer, context.frame_pointer,
                                context.resume_address);
        }
    });
}
