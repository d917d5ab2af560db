#include "runtime/core/dump.hpp"

#include "runtime/base/text.hpp"
#include "runtime/core/asleep.hpp"
#include "runtime/core/block_store.hpp"
#include "runtime/core/holder.hpp"
#include "runtime/core/worker.hpp"

#include <heddle/diag.hpp>

#include <string_view>

namespace heddle::detail {

namespace {

std::string_view state_of(const block_snapshot& fiber) noexcept {
    switch (fiber.state) {
    case fiber_state::unstarted:
        return "not started";
    case fiber_state::started: {
        worker* const here = current_worker;
        return here != nullptr && &here->current() == fiber.block ? "running" : "runnable";
    }
    case fiber_state::finished:
        return "finished, its handle is not joined";
    case fiber_state::thread:
    case fiber_state::vacant:
        break;
    }
    return "unknown";
}

}  // namespace

void for_each_dump_line(code_names::form form, void (*each)(std::string_view line, void* argument),
                        void* argument) {
    code_names names(form);
    std::uint64_t count = 0;
    const std::int64_t now = clock_now();
    block_store::instance().for_each([&](const block_snapshot& fiber) {
        text_line line;
        if (fiber.state != fiber_state::thread) {
            ++count;
            line << "heddle:   ";
            add_fiber(line, fiber.id, fiber.name);
        } else if (fiber.wait != 0) {
            line << "heddle:   a plain thread";
        } else {
            return;
        }
        if (fiber.wait != 0) {
            line << ", waiting: ";
            add_wait(line, fiber, holder_of(fiber));
            line << ", for ";
            line.seconds(now - fiber.wait_since);
        } else {
            line << ", " << state_of(fiber);
        }
        if (fiber.state != fiber_state::thread) {
            line << ", spawned at ";
            names.add_to(line, fiber.spawned_at);
        }
        each(line.view(), argument);
    });
    text_line line;
    line << "heddle: " << count << (count == 1 ? " fiber" : " fibers");
    each(line.view(), argument);
    if (const auto asleep = waiting_for_other_threads.load(std::memory_order_relaxed); asleep > 0) {
        text_line reason;
        reason << "heddle: " << asleep << (asleep == 1 ? " runtime sleeps" : " runtimes sleep")
               << " until another thread wakes a fiber: nothing inside can";
        each(reason.view(), argument);
    }
    for_each_cycle_line(each, argument);
}

void dump_to(int fd, code_names::form names) noexcept {
    for_each_dump_line(
        names,
        [](std::string_view line, void* to) {
            text_line text;
            text << line;
            text.write_to(*static_cast<int*>(to));
        },
        &fd);
}

void describe_current_fiber(int fd) noexcept {
    worker* const here = current_worker;
    if (here == nullptr || !here->in_fiber()) {
        return;
    }
    const cold_block& self = *here->current().cold;
    text_line line;
    line << "heddle: in ";
    add_fiber(line, self.id, self.named ? self.name : "");
    line << ", spawned at ";
    add_code_address(line, self.spawned_at);
    line.write_to(fd);
}

}  // namespace heddle::detail

namespace heddle {
inline namespace v1 {

void dump(std::FILE* to) {
    // What the stream holds comes first.
    std::fflush(to);
    detail::dump_to(::fileno(to), detail::code_names::form::as_written);
}

}  // namespace v1
}  // namespace heddle
