// The contract of context.h over Boost.Context, for CPUs without a port and as the oracle in tests.
//
// Boost's fcontext differs from the contract in two ways:
//   - A jump tells the flow that it resumes where the other one was suspended, and only that flow
//     can write it down. So a switch sends a message along, and whoever wakes stores the address
//     for the sender. Until then the sender's context is not valid, and nobody can tell, because
//     nothing else runs on this thread in between.
//   - A flow made by make_fcontext starts right below the record that make_fcontext wrote, and a
//     second record would land on its first frame. So a fresh flow starts in a first stage at the
//     stack's top, which makes a second record below context_frame_bytes and jumps there for good.
//     From then on the top of the stack is free for a successor.
//
// Functions whose frame may be left for good are no_sanitize_address: nothing would take the marks
// of AddressSanitizer off their frames again.
//
// Boost exchanges the control words by itself on some CPUs (x86, s390x) and not on others. With
// fp_environment=preserved the switch does it in any case.
#include "arch/context.h"

#include <boost/context/detail/fcontext.hpp>

namespace heddle::detail {
namespace {

namespace fcontext = boost::context::detail;

/// What context_make leaves at the top of the stack for the flow that will run there.
struct alignas(16) launch {
    context_entry entry;
    void* argument;
    fp_environment words;  ///< in force when the context was made; only with HEDDLE_FP_PRESERVED
};

/// What a switch hands to the flow that it resumes. Lives in the frame of the suspended switch.
struct message {
    heddle_context* from;  ///< of the sender, who is suspended now
    launch* fresh;         ///< for a flow that has not run yet; of no meaning to any other
    std::intptr_t value;   ///< for a flow that has
};

/// Room at the top of a stack for the launch, Boost's record of a fresh flow, and the only frame
/// of the first stage with the record of its jump. On x86-64 that is 48 + 72 + about 60 + 64
/// bytes; 1 KiB leaves room for CPUs with more registers and for unoptimised code.
constexpr std::size_t frame_bytes = 1024;

/// Only Boost's assembly for Windows would like to know, and there heddle has its own.
constexpr std::size_t unknown_size = 0;

/// Receives what the resuming side was sent, and completes the sender's suspension.
message receive(fcontext::transfer_t transfer) noexcept {
    const message received = *static_cast<const message*>(transfer.data);
    received.from->stack_pointer = transfer.fctx;
    return received;
}

/// The second stage of a fresh flow, the first of its frames that stay. Boost's record below it
/// ends the backtrace. No handler and no noexcept: see context_entry.
void run(fcontext::transfer_t transfer) {
    const launch mine = *static_cast<const launch*>(transfer.data);
#ifdef HEDDLE_FP_PRESERVED
    context_restore_fp_environment(mine.words);
#endif
    mine.entry(mine.argument);
    __builtin_trap();
}

/// The first stage: runs within context_frame_bytes at the stack's top, and leaves them.
[[gnu::no_sanitize_address]] void begin(fcontext::transfer_t transfer) {
    launch* const fresh = receive(transfer).fresh;
    char* const below = reinterpret_cast<char*>(fresh + 1) - frame_bytes;
    fcontext::jump_fcontext(fcontext::make_fcontext(below, unknown_size, run), fresh);
    __builtin_trap();
}

}  // namespace

const std::size_t context_frame_bytes = frame_bytes;
const char* const context_backend = "boost";

void context_make(heddle_context& context, void* stack_top, context_entry entry, void* argument,
                  void*) noexcept {
    auto* const fresh = static_cast<launch*>(stack_top) - 1;
    *fresh = {entry, argument, context_save_fp_environment()};
    context = {.stack_pointer = fcontext::make_fcontext(fresh, unknown_size, begin),
               .resume_address = fresh,
               .frame_pointer = nullptr};
}

}  // namespace heddle::detail

[[gnu::no_sanitize_address]] std::intptr_t
heddle_switch(heddle_context* from, const heddle_context* to, std::intptr_t value) noexcept {
    using namespace heddle::detail;
    message sent{from, static_cast<launch*>(to->resume_address), value};
#ifdef HEDDLE_FP_PRESERVED
    const fp_environment words = context_save_fp_environment();
#endif
    const message received = receive(fcontext::jump_fcontext(to->stack_pointer, &sent));
#ifdef HEDDLE_FP_PRESERVED
    context_restore_fp_environment(words);
#endif
    return received.value;
}
