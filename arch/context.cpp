// Prepares fresh contexts for the assembly ports. The Boost back-end replaces this file.
#include "arch/context.h"

extern "C" {
/// The entry stub of the port: calls the entry function and traps should it return.
[[gnu::visibility("hidden")]] void heddle_entry();
}

namespace heddle::detail {

const std::size_t context_frame_bytes = HEDDLE_FRAME_BYTES;
const char* const context_backend = "asm";

void context_make(heddle_context& context, void* stack_top, context_entry entry,
                  void* argument) noexcept {
    context = context_fresh(stack_top, entry, argument, heddle_entry);
}

}  // namespace heddle::detail
