// What the assembly ports have to say of themselves. The Boost back-end replaces this file.
#include "arch/context.h"

namespace heddle::detail {

const std::size_t context_frame_bytes = HEDDLE_FRAME_BYTES;
const char* const context_backend = "asm";

}  // namespace heddle::detail
