#include "runtime/sync/ownership.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/text.hpp"
#include "runtime/core/block_store.hpp"
#include "runtime/core/holder.hpp"

namespace heddle::detail {

namespace {

// If the owner has ended, and its block is another fiber's now, that one is named: the lock knows
// the block alone.
void add_flow(text_line& line, flow_name flow) noexcept {
    block_snapshot fiber;
    if (flow == 0) {
        line << "nobody";
    } else if ((flow & flow_is_thread) != 0) {
        line << (flow == this_flow() ? "this plain thread" : "a plain thread");
    } else if (block_store::instance().look_at(reinterpret_cast<const void*>(flow), fiber)) {
        add_fiber(line, fiber.id, fiber.name);
    } else {
        line << "a fiber that has ended";
    }
}

}  // namespace

void report_foreign_unlock(std::string_view what, flow_name owner) noexcept {
    text_line line;
    line << "heddle: " << what << " is unlocked by ";
    add_flow(line, this_flow());
    line << ", but its owner is ";
    add_flow(line, owner);
    end_with(line);
}

void report_second_lock(std::string_view what) noexcept {
    text_line line;
    line << "heddle: " << what << " is locked by its owner, ";
    add_flow(line, this_flow());
    line << ", which would wait for itself";
    end_with(line);
}

}  // namespace heddle::detail
