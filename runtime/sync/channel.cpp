#include "runtime/sync/channel.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/core/holder.hpp"

#include <heddle/detail/atomics.hpp>

#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

namespace heddle::detail {

namespace {

// Under the lock.

void put(channel_core& to, void* value) noexcept {
    to.type.store(value, to.place(to.filled));
    ++to.filled;
    ++to.used;
}

void advance(channel_core& from) noexcept {
    from.first = from.first + 1 == from.capacity ? 0 : from.first + 1;
    --from.filled;
}

void take(channel_core& from, void* into) noexcept {
    void* const place = from.place(0);
    from.type.deliver(place, into);
    if (from.type.drop != nullptr) {
        from.type.drop(place);
    }
    advance(from);
    --from.used;
}

void*& box_at(channel_core& of, std::size_t behind) noexcept {
    return *std::launder(reinterpret_cast<void**>(of.place(behind)));
}

// Without it.

// Adds a box to those in the ring, at one end or the other, in the place kept for it. A receiver
// that has begun to wait meanwhile comes for it.
template <class Add>
void add_box(channel_core& to, Add add) noexcept {
    to.lock.lock();
    add();
    ++to.filled;
    waiter* const receiver = take_first(to.receivers);
    to.lock.unlock();
    if (receiver != nullptr) {
        wake(*receiver, wait_status::again);
    }
}

// Moves a value into a box, in the place kept for it.
void make_box(channel_core& to, void* value) {
    void* box = nullptr;
    to.type.store(value, &box);
    add_box(to, [&] { box_at(to, to.filled) = box; });
}

// Lets a place go that was kept, to the first sender that waits for one, and puts that one's value
// there: later senders find it in front of theirs. If moving it fails, the sender tries again, and
// hears of it.
void let_room_go(channel_core& of) noexcept {
    wait_list disappointed;
    of.lock.lock();
    waiter* const next = take_first(of.senders);
    of.used -= next == nullptr ? 1 : 0;
    if (of.drained()) {
        take_all(of.receivers, disappointed);
    }
    of.lock.unlock();
    wake_all(disappointed, wait_status::closed);
    if (next == nullptr) {
        return;
    }
    try {
        make_box(of, next->object);
    } catch (...) {
        wake(*next, wait_status::admitted);
        return;
    }
    wake(*next, wait_status::event);
}

// Moves the value between the caller and a claimed partner, then wakes that one. If the move fails,
// the partner waits on, and the caller hears of it.
void exchange_with(waiter& partner, const channel_type& type, void* from, void* into) {
    if (!type.boxed) [[likely]] {
        type.deliver(from, into);
    } else {
        try {
            type.deliver(from, into);
        } catch (...) {
            wake(partner, wait_status::again);
            throw;
        }
    }
    wake(partner, wait_status::event);
}

void unbox(channel_core& from, void* box, void* into) {
    try {
        from.type.deliver(box, into);
    } catch (...) {
        add_box(from, [&] {
            from.first = (from.first == 0 ? from.capacity : from.first) - 1;
            box_at(from, 0) = box;
        });
        throw;
    }
    let_room_go(from);
    from.type.drop(&box);
}

// What ends an operation that did not wait.
wait_status spend_turn(wait_status status) noexcept {
    if (worker* const here = current_worker) {
        here->spend_turn(here->current());
    }
    return status;
}

}  // namespace

void fill_kept_room(channel_core& to, void* value) {
    try {
        make_box(to, value);
    } catch (...) {
        let_room_go(to);
        throw;
    }
}

channel_step sending::begin(channel_core& to, void* value) noexcept {
    if (to.closed) [[unlikely]] {
        return {channel_find::closed};
    }
    if (to.used == 0) {  // else what came before is for who waits, and perhaps not there yet
        if (waiter* const receiver = take_first(to.receivers)) {
            return {channel_find::partner, receiver};
        }
    }
    if (to.used == to.capacity) {
        return {channel_find::nothing};
    }
    if (to.type.boxed) {
        ++to.used;
        return {channel_find::room};
    }
    put(to, value);
    return {channel_find::done};
}

wait_status sending::end(channel_core& to, void* value, channel_step step) {
    switch (step.found) {
    case channel_find::partner:
        exchange_with(*step.partner(), to.type, value, step.partner()->object);
        break;
    case channel_find::room:
        fill_kept_room(to, value);
        break;
    case channel_find::closed:
        return wait_status::closed;
    default:
        break;
    }
    return wait_status::event;
}

channel_step receiving::begin(channel_core& from, void* into) noexcept {
    if (from.filled != 0) {
        if (from.type.boxed) {
            void* const box = box_at(from, 0);
            advance(from);
            return {channel_find::box, box};
        }
        take(from, into);
        waiter* const sender = take_first(from.senders);
        if (sender != nullptr) {
            put(from, sender->object);
        }
        return {channel_find::done, sender};
    }
    if (from.used == 0) {  // else what came before is on its way, or may come back
        if (waiter* const sender = take_first(from.senders)) {
            return {channel_find::partner, sender};
        }
    }
    return {from.drained() ? channel_find::closed : channel_find::nothing};
}

wait_status receiving::end(channel_core& from, void* into, channel_step step) {
    switch (step.found) {
    case channel_find::done:
        if (step.object != nullptr) {
            wake(*step.partner(), wait_status::event);
        }
        break;
    case channel_find::partner:
        exchange_with(*step.partner(), from.type, step.partner()->object, into);
        break;
    case channel_find::box:
        unbox(from, step.object, into);
        break;
    case channel_find::closed:
        return wait_status::closed;
    default:
        break;
    }
    return wait_status::event;
}

namespace {

// Whether a waiter goes in front of those that wait already: it has waited before.
enum class place_in_line : bool { last, first };

void enqueue(wait_list& waiters, waiter& own, place_in_line where) noexcept {
    if (where == place_in_line::first) {
        waiters.push_front(own);
    } else {
        waiters.push_back(own);
    }
}

// `nothing` with the lock held; all else without.
template <class Direction>
channel_step begin_locked(channel_core& core, void* object) noexcept {
    core.lock.lock();
    const channel_step step = Direction::begin(core, object);
    if (step.found != channel_find::nothing) {
        core.lock.unlock();
    }
    return step;
}

template <class Direction>
wait_status operate_on_thread(channel_core& core, void* object, std::int64_t deadline_ns,
                              place_in_line where) {
    channel_step step = begin_locked<Direction>(core, object);
    if (step.found != channel_find::nothing) {
        return Direction::end(core, object, step);
    }
    core.lock.unlock();
    if (deadline_ns <= clock_now()) {
        return wait_status::timed_out;
    }
    fiber_block* const self = try_thread_block();
    if (self == nullptr) {
        const wait_status status = look_until(
            [&] {
                step = begin_locked<Direction>(core, object);
                if (step.found == channel_find::nothing) {
                    core.lock.unlock();
                }
                return step.found != channel_find::nothing;
            },
            deadline_ns);
        return status == wait_status::event ? Direction::end(core, object, step) : status;
    }
    step = begin_locked<Direction>(core, object);
    if (step.found != channel_find::nothing) {
        return Direction::end(core, object, step);
    }
    waiter own{.next = nullptr, .previous = nullptr, .block = self, .object = object};
    const std::uint64_t ticket = begin_thread_wait(*self, Direction::reason, &core);
    enqueue(Direction::queue(core), own, where);
    core.lock.unlock();
    const wait_status outcome = sleep_thread(*self, ticket, deadline_ns);
    if (outcome == wait_status::timed_out) {
        core.lock.lock();
        if (is_linked(own)) {
            Direction::queue(core).remove(own);
        }
        core.lock.unlock();
    }
    return outcome;
}

// An operation of a plain thread, or one of a fiber for which anything is unusual.
template <class Direction>
[[gnu::noinline]] wait_status operate_long(channel_core& core, void* object,
                                           std::int64_t deadline_ns, place_in_line where) {
    worker* const here = current_worker;
    if (here == nullptr) {
        return operate_on_thread<Direction>(core, object, deadline_ns, where);
    }
    fiber_block& self = here->current();
    // Who was woken to look again looks first, or a value that he was woken for would wait unseen.
    if (where == place_in_line::last && here->cancellation_due(self)) {
        return static_cast<wait_status>(here->visit_dispatcher(self, wait_status::cancelled));
    }
    const channel_step step = begin_locked<Direction>(core, object);
    if (step.found != channel_find::nothing) {
        return spend_turn(Direction::end(core, object, step));
    }
    if (where == place_in_line::first && here->cancellation_due(self)) {
        core.lock.unlock();
        return static_cast<wait_status>(here->visit_dispatcher(self, wait_status::cancelled));
    }
    if (deadline_ns <= here->now()) {
        core.lock.unlock();
        return static_cast<wait_status>(here->visit_dispatcher(self, wait_status::timed_out));
    }
    here->begin_wait(self, Direction::reason, &core, here->cancellable(self));
    waiter& own = self.header->wait;
    own.block = &self;
    own.object = object;
    enqueue(Direction::queue(core), own, where);
    core.lock.unlock();
    here->arm(self, deadline_ns);
    return static_cast<wait_status>(here->suspend(self));
}

void move_in_ring(sending, channel_core& to, void* value) noexcept {
    put(to, value);
}
void move_in_ring(receiving, channel_core& from, void* into) noexcept {
    take(from, into);
}

// Nothing is unusual, and a value that moves without fail goes into the ring or comes from there.
template <class Direction>
[[gnu::noinline]] wait_status operate_on_ring(channel_core& core, void* object, worker& here) {
    move_in_ring(Direction(), core, object);
    return static_cast<wait_status>(here.spend_turn(here.current()));
}

// Nothing is unusual, and something was promising.
template <class Direction>
[[gnu::noinline]] wait_status operate_at_once(channel_core& core, void* object) {
    const channel_step step = Direction::begin(core, object);
    if (step.found == channel_find::nothing) [[unlikely]] {
        return operate_long<Direction>(core, object, never_ns, place_in_line::last);
    }
    return spend_turn(Direction::end(core, object, step));
}

// The same for a channel without room and a value that moves without fail, if a partner waits: the
// shortest way from one fiber to another.
template <class Direction>
[[gnu::noinline]] wait_status meet_at_once(channel_core& core, void* object, worker& here) {
    waiter* const partner = take_first_alone(Direction::partners(core));
    if (partner == nullptr) [[unlikely]] {
        return operate_long<Direction>(core, object, never_ns, place_in_line::last);
    }
    Direction::move(core.type, object, partner->object);
    wake(*partner, wait_status::event);
    return static_cast<wait_status>(here.spend_turn(here.current()));
}

template <class Direction>
[[gnu::always_inline]] inline wait_status operate(channel_core& core, void* object,
                                                  std::int64_t deadline_ns) {
    worker* const here = current_worker;
    if (here == nullptr || !here->waits_plainly(here->current(), deadline_ns)) [[unlikely]] {
        return operate_long<Direction>(core, object, deadline_ns, place_in_line::last);
    }
    if (core.moves_in_ring && Direction::concerns_ring_alone(core)) {
        return operate_on_ring<Direction>(core, object, *here);
    }
    if (core.moves_at_meeting && !Direction::partners(core).empty()) {
        return meet_at_once<Direction>(core, object, *here);
    }
    if (Direction::is_promising(core)) {
        return operate_at_once<Direction>(core, object);
    }
    fiber_block& self = here->current();
    here->begin_plain_wait(self, Direction::reason, &core, wait_cancellable);
    join_list(self, Direction::queue(core), object);
    return static_cast<wait_status>(here->suspend_plainly(self));
}

template <class Direction>
wait_status settle(channel_core& core, void* object, std::int64_t deadline_ns, wait_status status) {
    while (status == wait_status::again) {
        status = operate_long<Direction>(core, object, deadline_ns, place_in_line::first);
    }
    if (status == wait_status::timed_out || status == wait_status::cancelled) {
        leave(Direction::queue(core), core.lock);
    }
    return status;
}

template <class Direction>
bool try_now(channel_core& core, void* object) {
    const channel_step step = begin_locked<Direction>(core, object);
    if (step.found == channel_find::nothing) {
        core.lock.unlock();
        return false;
    }
    return Direction::end(core, object, step) == wait_status::event;
}

}  // namespace

wait_status channel_send(channel_core& to, void* value, std::int64_t deadline_ns) {
    return operate<sending>(to, value, deadline_ns);
}

wait_status settle_send(channel_core& to, void* value, std::int64_t deadline_ns,
                        wait_status status) {
    status = settle<sending>(to, value, deadline_ns, status);
    if (status == wait_status::admitted) {
        fill_kept_room(to, value);
        return wait_status::event;
    }
    return status;
}

bool channel_try_send(channel_core& to, void* value) {
    return try_now<sending>(to, value);
}

wait_status channel_receive(channel_core& from, void* into, std::int64_t deadline_ns) {
    return operate<receiving>(from, into, deadline_ns);
}

wait_status settle_receive(channel_core& from, void* into, std::int64_t deadline_ns,
                           wait_status status) {
    return settle<receiving>(from, into, deadline_ns, status);
}

bool channel_try_receive(channel_core& from, void* into) {
    return try_now<receiving>(from, into);
}

void close_channel(channel_core& core) noexcept {
    wait_list disappointed;
    core.lock.lock();
    core.closed = true;
    take_all(core.senders, disappointed);
    if (core.drained()) {
        take_all(core.receivers, disappointed);
    }
    core.lock.unlock();
    wake_all(disappointed, wait_status::closed);
}

bool channel_is_closed(channel_core& core) noexcept {
    core.lock.lock();
    const bool closed = core.closed;
    core.lock.unlock();
    return closed;
}

std::size_t channel_capacity(const channel_core& core) noexcept {
    return core.capacity;
}

std::size_t channel_size(channel_core& core) noexcept {
    core.lock.lock();
    const std::size_t values = core.filled;
    core.lock.unlock();
    return values;
}

namespace {

std::size_t alignment_of(const channel_type& type) noexcept {
    return type.place_align > alignof(channel_core) ? type.place_align : alignof(channel_core);
}

// Where the ring begins, after the channel itself.
std::size_t ring_offset(const channel_type& type) noexcept {
    const std::size_t align = type.place_align;
    return (sizeof(channel_core) + align - 1) / align * align;
}

}  // namespace

channel_core* make_channel(const channel_type& type, std::size_t capacity) {
    const std::size_t offset = ring_offset(type);
    if (capacity > (std::size_t{PTRDIFF_MAX} - offset) / type.place_bytes) {
        throw std::length_error("heddle::channel: no memory can hold " + std::to_string(capacity) +
                                " places of " + std::to_string(type.place_bytes) + " bytes");
    }
    channel_writer.store(add_channel, std::memory_order_relaxed);  // it points to code
    void* const memory =
        ::operator new(offset + capacity * type.place_bytes, std::align_val_t(alignment_of(type)));
    return ::new (memory) channel_core(type, capacity, static_cast<std::byte*>(memory) + offset);
}

void share_channel(channel_core& core) noexcept {
    add(core.handles, std::size_t{1});
}

void drop_channel(channel_core& core) noexcept {
    say_release(&core.handles);
    if (add(core.handles, SIZE_MAX) != 1) {
        return;
    }
    say_acquire(&core.handles);
    HEDDLE_ASSERT(core.senders.empty() && core.receivers.empty() && core.used == core.filled,
                  "a channel is destroyed while somebody uses it, values in it", "values",
                  core.filled);
    const channel_type& type = core.type;
    for (; core.filled != 0; advance(core)) {
        if (type.drop != nullptr) {
            type.drop(core.place(0));
        }
    }
    core.~channel_core();
    ::operator delete(&core, std::align_val_t(alignment_of(type)));
}

}  // namespace heddle::detail
