// What lists of fibers say of channels.
#include "runtime/core/holder.hpp"
#include "runtime/sync/channel.hpp"

#include <cstddef>
#include <new>

namespace heddle::detail {

void add_channel(text_line& line, const block_snapshot& waiting) noexcept {
    line << " ";
    line.address(waiting.wait_object);
    // As bytes: of a channel that changes meanwhile, each word is one that it has had.
    alignas(channel_core) std::byte copy[sizeof(channel_core)];
    if (!read_waited_for(waiting, waiting.wait_object, copy, sizeof copy)) {
        return;
    }
    const auto& seen = *std::launder(reinterpret_cast<const channel_core*>(copy));
    const std::size_t handles = glance(seen.handles);
    line << " (";
    if (seen.closed) {
        line << "closed, ";
    }
    if (seen.capacity == 0) {
        line << "no capacity, ";
    } else if (seen.filled == 0) {
        line << "empty, capacity " << seen.capacity << ", ";
    } else {
        line << seen.filled << " of " << seen.capacity << " places filled, ";
    }
    line << handles << (handles == 1 ? " handle)" : " handles)");
}

}  // namespace heddle::detail
