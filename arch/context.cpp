// Prepares fresh contexts for the assembly ports. The Boost back-end replaces this file.
#include "arch/context.h"

extern "C" {
/// The entry stub of the port: calls the entry function and traps should it return.
#ifndef _WIN32
[[gnu::visibility("hidden")]]
#endif
void heddle_entry();
}

namespace heddle::detail {

const std::size_t context_frame_bytes = HEDDLE_FRAME_BYTES;
const char* const context_backend = "asm";

void context_make(heddle_context& context, void* stack_top, context_entry entry, void* argument,
                  [[maybe_unused]] void* stack_bottom) noexcept {
#ifdef _WIN32
    context = context_fresh(stack_top, entry, argument, heddle_entry, stack_bottom);
#else
    context = context_fresh(stack_top, entry, argument, heddle_entry);
#endif
}

}  // namespace heddle::detail
