// Flows of control for the tests: contexts with stacks of their own, whose every switch checks the
// registers that it must preserve and is announced to the sanitizers.
#pragma once

#include "arch/context.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace heddle::test {

/// Memory for one stack. Its size leaves room for doctest's assertions.
class stack {
public:
    explicit stack(std::size_t bytes = 256 * 1024);
    stack(const stack&) = delete;
    stack& operator=(const stack&) = delete;
    ~stack();

    char* bottom() const { return memory_.get(); }
    char* top() const { return memory_.get() + bytes_; }
    std::size_t size() const { return bytes_; }

private:
    struct free_aligned {
        void operator()(char* memory) const;
    };
    std::unique_ptr<char, free_aligned> memory_;
    std::size_t bytes_;
    unsigned valgrind_id_;
};

/// A context, and the stack it runs on as far as the sanitizers ask.
struct side {
    heddle_context context;
    const void* bottom = nullptr;  ///< of a thread's own stack: set when the side is first left
    std::size_t size = 0;
    void* fake_stack = nullptr;  ///< AddressSanitizer's, while the side is suspended
};

/// Makes `fresh` ready to call entry(argument) on `memory`.
void make(side& fresh, const stack& memory, detail::context_entry entry, void* argument);

/// heddle_switch, with a new pattern in every register that it must preserve; a register that
/// comes back changed is a failed check that names it.
std::intptr_t cross(side& from, side& to, std::intptr_t value);

/// Leaves the running flow for good, which suspends it into a scratch context.
[[noreturn]] void leave(side& to, std::intptr_t value);

/// Called by an entry function before anything else.
void arrive();

/// A flow that runs `body` and goes to and fro between it and whoever resumes it.
class flow {
public:
    explicit flow(std::function<void(flow&)> body);
    flow(const flow&) = delete;
    flow& operator=(const flow&) = delete;

    /// Runs the body until it suspends itself or ends; returns what it handed out.
    std::intptr_t resume(std::intptr_t value = 0);

    /// Called by the body: goes back to whoever resumed it; returns what the next one hands in.
    std::intptr_t suspend(std::intptr_t value = 0);

    bool ended() const { return ended_; }
    const stack& memory() const { return memory_; }

private:
    static void enter(void* self);

    std::function<void(flow&)> body_;
    stack memory_;
    side inside_;
    side outside_;
    bool ended_ = false;
};

/// Whether this is the asm port. Skips the running test case if it is not: `why` tells what the
/// port promises beyond the contract.
bool needs_port(std::string_view why);

/// Whether a real processor runs the program, or an emulator as faithful. Skips as needs_port does:
/// `why` tells what is missing.
bool needs_processor(std::string_view why);

}  // namespace heddle::test
