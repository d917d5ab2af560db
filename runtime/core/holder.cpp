#include "runtime/core/holder.hpp"

#include "runtime/base/system.hpp"
#include "runtime/core/worker.hpp"

#include <heddle/barrier.hpp>
#include <heddle/detail/scope.hpp>
#include <heddle/detail/select_core.hpp>
#include <heddle/latch.hpp>
#include <heddle/mutex.hpp>
#include <heddle/shared_mutex.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <new>

namespace heddle::detail {

std::atomic<void (*)(text_line& line, const block_snapshot& waiting) noexcept> channel_writer =
    nullptr;

bool read_waited_for(const block_snapshot& waiting, const void* from, void* to,
                     std::size_t bytes) noexcept {
    if (sys::read_memory(from, to, bytes) != 0) {
        return false;
    }
    // Whoever waits for an object keeps it alive. Tickets are not used twice, so the wait has been
    // on all the time, and it was that object which has been read.
    std::atomic_thread_fence(std::memory_order_acquire);
    return glance(waiting.block->wait) == waiting.wait;
}

namespace {

template <class T>
bool read_word(const block_snapshot& waiting, const T& from, T& value) noexcept {
    return read_waited_for(waiting, &from, &value, sizeof value);
}
template <class T>
bool read_word(const block_snapshot& waiting, const std::atomic<T>& from, T& value) noexcept {
    return read_waited_for(waiting, &from, &value, sizeof value);
}

holder of_fiber(const void* block) noexcept {
    holder result;
    if (block_store::instance().look_at(block, result.who)) {
        result.what = holder::kind::fiber;
    } else if (block != nullptr) {
        result.what = holder::kind::ended_fiber;
    }
    return result;
}

holder of_flow(flow_name owner) noexcept {
    if (owner == 0) {
        return {.what = holder::kind::nobody};
    }
    if ((owner & flow_is_thread) != 0) {
        return {.what = holder::kind::plain_thread};
    }
    // If the fiber has ended, and its block is another's by now, that one is taken for it: the lock
    // knows the block alone.
    return of_fiber(reinterpret_cast<const void*>(owner));
}

}  // namespace

holder holder_of(const block_snapshot& waiting) noexcept {
    switch (describe(waiting.reason).object) {
    case wait_object::fiber:
        return of_fiber(waiting.wait_object);
    case wait_object::mutex: {
        const auto& state = *static_cast<const mutex_state*>(waiting.wait_object);
        flow_name owner = 0;
        if (read_word(waiting, state.owner, owner)) {
            return of_flow(owner & ~mutex_is_waited_for);
        }
        break;
    }
    case wait_object::child: {
        const auto& state = *static_cast<const child_state*>(waiting.wait_object);
        fiber_block* runs_it = nullptr;
        if (read_word(waiting, state.block, runs_it)) {
            return of_fiber(runs_it);
        }
        break;
    }
    default:
        break;
    }
    return {};
}

void add_fiber(text_line& line, std::uint64_t id, const char* name) noexcept {
    line << "fiber " << id;
    if (name[0] != '\0') {
        line << " \"" << std::string_view(name) << "\"";
    }
}

namespace {

void add_holder(text_line& line, const holder& of) noexcept {
    switch (of.what) {
    case holder::kind::fiber:
        add_fiber(line, of.who.id, of.who.name);
        if (of.who.state == fiber_state::finished) {
            line << ", which has ended";
        }
        break;
    case holder::kind::ended_fiber:
        line << "a fiber that has ended";
        break;
    case holder::kind::plain_thread:
        line << "a plain thread";
        break;
    case holder::kind::nobody:
    case holder::kind::unknown:
        line << "nobody known";
        break;
    }
}

// A number that is of interest in what is waited for, if it can be read.
template <class Object, class Number>
void add_count(text_line& line, const block_snapshot& waiting, Number Object::*member,
               std::string_view what, std::uint64_t unit = 1) noexcept {
    std::ptrdiff_t count = 0;
    static_assert(sizeof(Number) == sizeof count);
    const auto& object = *static_cast<const Object*>(waiting.wait_object);
    if (read_waited_for(waiting, &(object.*member), &count, sizeof count)) {
        line << ", " << static_cast<std::uint64_t>(count) / unit << what;
    }
}

// What lies at `from`, as bytes; null if it cannot be read.
template <class T>
class copy_of {
public:
    copy_of(const block_snapshot& waiting, const void* from) noexcept
        : is_there_(from != nullptr && read_waited_for(waiting, from, bytes_, sizeof bytes_)) {}

    const T* get() const noexcept {
        return is_there_ ? std::launder(reinterpret_cast<const T*>(bytes_)) : nullptr;
    }

private:
    alignas(T) std::byte bytes_[sizeof(T)];
    bool is_there_;
};

// A case of a select as the wait that it would be if it were the only one.
block_snapshot wait_for_case(const block_snapshot& waiting, const select_case& one) noexcept {
    block_snapshot alone = waiting;
    alone.wait_object = one.object;
    switch (one.kind) {
    case select_kind::receive:
        alone.reason = wait_reason::channel_receive;
        break;
    case select_kind::send:
        alone.reason = wait_reason::channel_send;
        break;
    case select_kind::event:
        alone.reason = wait_reason::event;
        break;
    case select_kind::join:
        alone.reason = wait_reason::join;
        break;
    case select_kind::readable:
    case select_kind::writable: {
        alone.reason =
            one.kind == select_kind::readable ? wait_reason::readable : wait_reason::writable;
        const copy_of<select_descriptor> descriptor(waiting, one.object);
        alone.wait_descriptor = descriptor.get() != nullptr ? descriptor.get()->fd : -1;
        break;
    }
    case select_kind::after:
    case select_kind::otherwise:  // nobody waits then
        alone.reason = wait_reason::sleep;
        break;
    }
    return alone;
}

// A line that has become so long tells of no more cases; there is room for one, and for what
// follows the reason.
constexpr std::size_t cases_length_max = 220;

// What a select waits for, case by case.
void add_cases(text_line& line, const block_snapshot& waiting) noexcept {
    const copy_of<select_frame> frame(waiting, waiting.wait_object);
    for (std::size_t i = 0; frame.get() != nullptr && i < frame.get()->count; ++i) {
        if (line.view().size() > cases_length_max) {
            line << ", or " << frame.get()->count - i << " more";
            return;
        }
        const copy_of<select_case*> place(waiting, frame.get()->written + i);
        const copy_of<select_case> one(waiting, place.get() != nullptr ? *place.get() : nullptr);
        if (one.get() == nullptr) {
            return;
        }
        line << (i == 0 ? ": " : ", or ");
        if (one.get()->kind == select_kind::after && one.get()->deadline_ns == never_ns) {
            line << "never";
        } else if (one.get()->kind == select_kind::after) {
            line << "until a deadline in ";
            line.seconds(std::max(one.get()->deadline_ns - clock_now(), std::int64_t{0}));
        } else {
            const block_snapshot alone = wait_for_case(waiting, *one.get());
            add_wait(line, alone, holder_of(alone));
        }
    }
}

}  // namespace

void add_wait(text_line& line, const block_snapshot& waiting, const holder& of) noexcept {
    const wait_reason_text why = describe(waiting.reason);
    line << why.text;
    switch (why.object) {
    case wait_object::fiber:
    case wait_object::child:
        line << " ";
        add_holder(line, of);
        break;
    case wait_object::mutex:
        if (of.what == holder::kind::nobody) {
            line << " that is free just now";
        } else if (of.what != holder::kind::unknown) {
            line << " held by ";
            add_holder(line, of);
        }
        break;
    case wait_object::channel:
        if (const auto write = channel_writer.load(std::memory_order_relaxed)) {
            write(line, waiting);
        }
        break;
    case wait_object::readers:
        add_count(line, waiting, &shared_mutex_state::readers, " of them", shared_reader);
        break;
    case wait_object::latch:
        add_count(line, waiting, &latch_state::count, " to come");
        break;
    case wait_object::barrier:
        add_count(line, waiting, &barrier_state::missing, " to come");
        break;
    case wait_object::operation:
        line << " " << static_cast<std::uint64_t>(std::max(waiting.wait_descriptor, 0));
        break;
    case wait_object::select_frame:
        add_cases(line, waiting);
        break;
    case wait_object::nothing:
        break;
    }
}

}  // namespace heddle::detail
