// Waiting for whichever of several things comes first.
//
// A select looks at its cases in a random order, under the locks of all of them, so that nothing
// changes between the look and the wait: whoever comes later finds it in every list. (The locks are
// taken in the order of their addresses; two selects on the same channels cannot block each other.)
// If nothing is ready, every case has a waiter in its list, all of one wait. Exactly one of those
// who want to end it claims it; for them it is like any other wait, and the value is moved to or
// from where the waiter says. wake() marks the waiter, so that the select knows which it was.
//
// Then everything else is taken back. Descriptors have their own way: the reactor's operations lie
// in the cases, and are over when select returns. They are handed to the reactor before the wait
// begins, with a ticket of no wait, since handing over one may end another.
#include <heddle/detail/select_core.hpp>

#include "runtime/base/assert.hpp"
#include "runtime/base/random.hpp"
#include "runtime/core/join_wait.hpp"
#include "runtime/core/wait_list.hpp"
#include "runtime/reactor/reactor.hpp"
#include "runtime/sync/channel.hpp"
#include "runtime/sync/event.hpp"

#include <heddle/error.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace heddle::detail {

namespace {

// No wait has it: workers draw from 1 up, threads from 2^63 up.
constexpr std::uint64_t no_ticket = UINT64_MAX;

// Where the choices of a thread come from. Each thread has numbers of its own, so that a program
// of one thread chooses alike each time.
[[gnu::tls_model("initial-exec")]] constinit thread_local std::uint64_t choices = 0;

[[gnu::noinline]] void begin_choices() noexcept {
    static std::atomic<std::uint64_t> threads = 0;
    choices = (threads.fetch_add(1, std::memory_order_relaxed) + 1) << 40;
}

std::size_t choose_below(std::size_t count) noexcept {
    if (choices == 0) [[unlikely]] {
        begin_choices();
    }
    const std::uint64_t high = random_sequence(choices++).next() >> 32;
    return static_cast<std::size_t>((high * count) >> 32);
}

channel_core& channel_of(const select_case& one) noexcept {
    return *static_cast<channel_core*>(one.object);
}
event_state& event_of(const select_case& one) noexcept {
    return *static_cast<event_state*>(one.object);
}
fiber_block& target_of(const select_case& one) noexcept {
    return *static_cast<fiber_block*>(one.object);
}

static_assert(sizeof(operation) <= select_descriptor::operation_bytes);
static_assert(alignof(operation) <= alignof(std::uint64_t));
operation& operation_of(const select_case& one) noexcept {
    return *std::launder(
        reinterpret_cast<operation*>(static_cast<select_descriptor*>(one.object)->operation));
}

bool is_descriptor(const select_case& one) noexcept {
    return one.kind == select_kind::readable || one.kind == select_kind::writable;
}
// Whether others find the case in a list.
bool has_list(const select_case& one) noexcept {
    return one.kind <= select_kind::event;
}
spin_lock& lock_of(const select_case& one) noexcept {
    return one.kind == select_kind::event ? event_of(one).lock : channel_of(one).lock;
}
wait_list& list_of(const select_case& one) noexcept {
    switch (one.kind) {
    case select_kind::receive:
        return channel_of(one).receivers;
    case select_kind::send:
        return channel_of(one).senders;
    default:
        return event_of(one).waiters;
    }
}

void make_operation(const select_case& one) noexcept {
    const auto& descriptor = *static_cast<select_descriptor*>(one.object);
    auto& what = *::new (&operation_of(one)) operation;
    what.kind = one.kind == select_kind::readable ? operation_kind::wait_readable
                                                  : operation_kind::wait_writable;
    what.handle = {.fd = descriptor.fd, .id = descriptor.id};
    what.traits.short_receive_drains = descriptor.is_stream;
}

// What moves values; event and join cases have nothing to move.
wait_status end_step(const select_case& one, channel_step step) {
    switch (one.kind) {
    case select_kind::receive:
        receiving::end(channel_of(one), one.place, step);
        return wait_status::event;  // a closed channel gives nothing, which is a value, too
    case select_kind::send:
        return sending::end(channel_of(one), one.place, step);
    default:
        return wait_status::event;
    }
}

/// One call of select.
class selection {
public:
    explicit selection(const select_frame& frame) noexcept;
    select_result run();

private:
    int reason_to_refuse() noexcept;
    void shuffle(select_case* in_front) noexcept;
    bool may_wait() const noexcept;
    void lock_all() noexcept;
    void unlock_all() noexcept;
    bool is_ready(select_case& one, channel_step& step) noexcept;
    select_case* look(channel_step& step) noexcept;
    select_case* look_beside_descriptors(channel_step& step) noexcept;
    select_case* hand_over_operations() noexcept;
    void withdraw_operations() noexcept;
    select_result take(select_case& one, channel_step step);
    select_result take_nothing(bool cancelled) noexcept;
    select_result look_again_and_again();
    wait_status wait() noexcept;
    bool leave_joiners(std::uint64_t ticket) noexcept;
    select_case* withdraw() noexcept;

    select_frame frame_;
    worker* here_ = current_worker;
    fiber_block* self_;          // null on a thread that has no memory for one
    std::size_t looked_at_ = 0;  // of frame_.shuffled: all but `after` and `otherwise`
    std::size_t locked_ = 0;     // of frame_.locked: those with a list
    bool locked_is_sorted_ = false;
    std::size_t descriptors_ = 0;
    std::size_t joins_ = 0;
    select_case* earliest_ = nullptr;
    select_case* otherwise_ = nullptr;
    select_case* completed_ =
        nullptr;  // a descriptor that was ready before the others were given up
    bool operations_are_out_ = false;
};

selection::selection(const select_frame& frame) noexcept
    : frame_(frame),
      self_(here_ != nullptr ? &here_->current() : try_thread_block()) {
    for (std::size_t i = 0; i < frame_.count; ++i) {
        select_case& one = *frame_.written[i];
        if (one.kind == select_kind::after) {
            if (earliest_ == nullptr || one.deadline_ns < earliest_->deadline_ns) {
                earliest_ = &one;
            }
            continue;
        }
        if (one.kind == select_kind::otherwise) {
            otherwise_ = &one;
            continue;
        }
        frame_.shuffled[looked_at_++] = &one;
        if (has_list(one)) {
            one.own = {.next = nullptr, .previous = &one.own, .block = self_, .object = one.place};
            frame_.locked[locked_++] = &one;
        }
        joins_ += one.kind == select_kind::join ? 1 : 0;
        descriptors_ += is_descriptor(one) ? 1 : 0;
    }
}

// An error number where the call is an error of its caller's; `completed_` is the case then.
int selection::reason_to_refuse() noexcept {
    if (joins_ == 0 && (descriptors_ == 0 || here_ != nullptr)) [[likely]] {
        return 0;
    }
    for (std::size_t i = 0; i < looked_at_; ++i) {
        completed_ = frame_.shuffled[i];
        if (is_descriptor(*completed_) && here_ == nullptr) {
            return ENOTSUP;
        }
        if (completed_->kind == select_kind::join) {
            if (completed_->object == nullptr) {
                return EINVAL;
            }
            if (completed_->object == self_) {
                return EDEADLK;
            }
        }
    }
    completed_ = nullptr;
    return 0;
}

void selection::shuffle(select_case* in_front) noexcept {
    select_case** const cases = frame_.shuffled;
    for (std::size_t i = 0; i + 1 < looked_at_; ++i) {
        std::swap(cases[i], cases[i + choose_below(looked_at_ - i)]);
    }
    if (in_front != nullptr) {
        std::swap(*cases, *std::find(cases, cases + looked_at_, in_front));
    }
}

// Whether nothing but waiting remains if no case is ready.
bool selection::may_wait() const noexcept {
    return otherwise_ == nullptr &&
           (earliest_ == nullptr ||
            earliest_->deadline_ns > (here_ != nullptr ? here_->now() : clock_now()));
}

// Cases of the same channel lie side by side, and its lock is taken once.
void selection::lock_all() noexcept {
    if (single_threaded()) [[likely]] {
        return;
    }
    if (!std::exchange(locked_is_sorted_, true)) {
        std::sort(frame_.locked, frame_.locked + locked_, [](select_case* a, select_case* b) {
            return std::less<>()(&lock_of(*a), &lock_of(*b));
        });
    }
    const spin_lock* held = nullptr;
    for (std::size_t i = 0; i < locked_; ++i) {
        spin_lock& next = lock_of(*frame_.locked[i]);
        if (&next != held) {
            next.lock();
            held = &next;
        }
    }
}

void selection::unlock_all() noexcept {
    const spin_lock* freed = nullptr;
    for (std::size_t i = 0; i < locked_ && !single_threaded(); ++i) {
        spin_lock& next = lock_of(*frame_.locked[i]);
        if (&next != freed) {
            next.unlock();
            freed = &next;
        }
    }
}

// Under the lock of the case, if it has one. A case that is ready is taken by this.
bool selection::is_ready(select_case& one, channel_step& step) noexcept {
    switch (one.kind) {
    case select_kind::receive:
        step = receiving::begin(channel_of(one), one.place);
        return step.found != channel_find::nothing;
    case select_kind::send:
        step = sending::begin(channel_of(one), one.place);
        return step.found != channel_find::nothing;
    case select_kind::event:
        return see(event_of(one));
    case select_kind::join:
        return has_ended(target_of(one));
    default:
        return operations_are_out_ && !operation_of(one).pending;
    }
}

// Under all locks.
select_case* selection::look(channel_step& step) noexcept {
    for (std::size_t i = 0; i < looked_at_; ++i) {
        if (is_ready(*frame_.shuffled[i], step)) {
            return frame_.shuffled[i];
        }
    }
    return nullptr;
}

// Under none of them: to ask about a descriptor takes a call of the system.
select_case* selection::look_beside_descriptors(channel_step& step) noexcept {
    for (std::size_t i = 0; i < looked_at_; ++i) {
        select_case& one = *frame_.shuffled[i];
        bool ready = false;
        if (is_descriptor(one)) {
            make_operation(one);
            here_->events().submit(operation_of(one), false);
            ready = operation_of(one).result != -EAGAIN;
        } else if (has_list(one)) {
            lock_of(one).lock();
            ready = is_ready(one, step);
            lock_of(one).unlock();
        } else {
            ready = is_ready(one, step);
        }
        if (ready) {
            return &one;
        }
    }
    return nullptr;
}

// Gives the operations to the reactor; a case if one has ended instead.
select_case* selection::hand_over_operations() noexcept {
    for (std::size_t i = 0; i < looked_at_; ++i) {
        if (is_descriptor(*frame_.shuffled[i])) {
            make_operation(*frame_.shuffled[i]);
        }
    }
    select_case* ended = nullptr;
    for (std::size_t i = 0; i < looked_at_ && ended == nullptr; ++i) {
        select_case& one = *frame_.shuffled[i];
        if (is_descriptor(one)) {
            operation& what = operation_of(one);
            what.waiter = self_;
            what.ticket = no_ticket;
            ended = here_->events().submit(what, true) ? &one : nullptr;
        }
    }
    operations_are_out_ = true;
    return ended;
}

// Takes the operations back, and waits until the reactor has let go of each.
void selection::withdraw_operations() noexcept {
    if (!operations_are_out_) [[likely]] {
        return;
    }
    operations_are_out_ = false;
    for (std::size_t i = 0; i < looked_at_; ++i) {
        if (is_descriptor(*frame_.shuffled[i])) {
            here_->events().cancel(operation_of(*frame_.shuffled[i]));
        }
    }
    for (std::size_t i = 0; i < looked_at_; ++i) {
        while (is_descriptor(*frame_.shuffled[i]) && operation_of(*frame_.shuffled[i]).pending) {
            operation_of(*frame_.shuffled[i]).ticket =
                here_->begin_wait(*self_, wait_reason::select, nullptr, 0);
            here_->suspend(*self_);
        }
    }
}

int error_of(const select_case& one) noexcept {
    if (!is_descriptor(one)) {
        return 0;
    }
    const std::int64_t result = operation_of(one).result;
    return result < 0 ? static_cast<int>(-result) : 0;
}

// Without any lock.
select_result selection::take(select_case& one, channel_step step) {
    const int error = error_of(one);
    withdraw_operations();
    const wait_status status = end_step(one, step);
    if (here_ != nullptr) {
        here_->spend_turn(*self_);
    }
    return {.taken = &one, .status = status, .error = error};
}

// What remains if nothing is ready and nothing is waited for.
select_result selection::take_nothing(bool cancelled) noexcept {
    if (cancelled) {
        here_->visit_dispatcher(*self_, wait_status::cancelled);
        return {.status = wait_status::cancelled};
    }
    if (otherwise_ != nullptr) {
        if (here_ != nullptr) {
            here_->spend_turn(*self_);
        }
        return {.taken = otherwise_};
    }
    if (here_ != nullptr) {
        here_->visit_dispatcher(*self_, wait_status::timed_out);
    }
    return {.taken = earliest_};
}

// Leaves the wait with the fibers; false if one has ended already, which then has claimed it.
bool selection::leave_joiners(std::uint64_t ticket) noexcept {
    for (std::size_t i = 0; joins_ != 0 && i < looked_at_; ++i) {
        select_case& one = *frame_.shuffled[i];
        if (one.kind == select_kind::join && !leave_joiner(target_of(one), *self_, ticket) &&
            claim(*self_, ticket)) {
            return false;
        }
    }
    return true;
}

// Begins the wait under all locks, releases them, and gives way.
wait_status selection::wait() noexcept {
    const std::uint64_t ticket =
        here_ != nullptr
            ? here_->begin_wait(*self_, wait_reason::select, &frame_, here_->cancellable(*self_))
            : begin_thread_wait(*self_, wait_reason::select, &frame_);
    for (std::size_t i = 0; i < locked_; ++i) {
        select_case& one = *frame_.locked[i];
        if (one.goes_first) {
            list_of(one).push_front(one.own);
        } else {
            list_of(one).push_back(one.own);
        }
    }
    unlock_all();
    for (std::size_t i = 0; operations_are_out_ && i < looked_at_; ++i) {
        if (is_descriptor(*frame_.shuffled[i])) {
            operation_of(*frame_.shuffled[i]).ticket = ticket;
        }
    }
    if (!leave_joiners(ticket)) {
        return wait_status::event;
    }
    const std::int64_t deadline_ns = earliest_ != nullptr ? earliest_->deadline_ns : never_ns;
    if (here_ == nullptr) {
        return sleep_thread(*self_, ticket, deadline_ns);
    }
    here_->arm(*self_, deadline_ns);
    return static_cast<wait_status>(here_->suspend(*self_));
}

// Takes back what wait() has spread, after the wait; gives the case by whose list it was ended.
select_case* selection::withdraw() noexcept {
    select_case* marked = nullptr;
    for (std::size_t i = 0; i < locked_; ++i) {
        select_case& one = *frame_.locked[i];
        lock_of(one).lock();
        if (is_linked(one.own)) {
            list_of(one).remove(one.own);
        } else if (one.own.previous == nullptr) {
            marked = &one;
        }
        lock_of(one).unlock();
    }
    completed_ = nullptr;
    for (std::size_t i = 0; joins_ + descriptors_ != 0 && i < looked_at_; ++i) {
        select_case& one = *frame_.shuffled[i];
        const bool ended = one.kind == select_kind::join
                               ? !take_back_joiner(target_of(one)) && has_ended(target_of(one))
                               : is_descriptor(one) && !operation_of(one).pending;
        if (ended && completed_ == nullptr) {
            completed_ = &one;
        }
    }
    return marked;
}

// Does what a plain thread without memory for a wait can do.
select_result selection::look_again_and_again() {
    channel_step step{channel_find::nothing};
    select_case* found = nullptr;
    const wait_status status = look_until(
        [&] {
            lock_all();
            found = look(step);
            unlock_all();
            return found != nullptr;
        },
        earliest_ != nullptr ? earliest_->deadline_ns : never_ns);
    return status == wait_status::event ? take(*found, step) : take_nothing(false);
}

select_result selection::run() {
    if (const int error = reason_to_refuse(); error != 0) [[unlikely]] {
        return {.taken = completed_, .error = error};
    }
    if (here_ != nullptr && here_->cancellation_due(*self_)) [[unlikely]] {
        return take_nothing(true);
    }
    for (select_case* woken = nullptr;;) {
        channel_step step{channel_find::nothing};
        shuffle(woken);
        const bool may_wait = this->may_wait();
        select_case* found = nullptr;
        if (descriptors_ != 0) {
            found = look_beside_descriptors(step);
            if (found == nullptr && may_wait) {
                found = hand_over_operations();
            }
            if (found != nullptr) {
                return take(*found, step);
            }
        }
        lock_all();
        found = look(step);
        if (found != nullptr) {
            unlock_all();
            return take(*found, step);
        }
        const bool cancelled =
            woken != nullptr && here_ != nullptr && here_->cancellation_due(*self_);
        if (!may_wait || cancelled) {
            unlock_all();
            withdraw_operations();
            return take_nothing(cancelled);
        }
        if (self_ == nullptr) [[unlikely]] {
            unlock_all();
            return look_again_and_again();
        }
        const wait_status status = wait();
        select_case* const marked = withdraw();
        const int error = marked == nullptr && completed_ != nullptr ? error_of(*completed_) : 0;
        withdraw_operations();
        switch (status) {
        case wait_status::again:
            woken = marked;
            woken->goes_first = true;
            woken->own.previous = &woken->own;
            continue;
        case wait_status::admitted:
            fill_kept_room(channel_of(*marked), marked->place);
            return {.taken = marked};
        case wait_status::closed:
            return {.taken = marked,
                    .status = marked->kind == select_kind::send ? wait_status::closed
                                                                : wait_status::event};
        case wait_status::timed_out:
            return {.taken = earliest_};
        case wait_status::event:
            HEDDLE_ASSERT(marked != nullptr || completed_ != nullptr,
                          "a select was woken by none of its cases", "cases", frame_.count);
            return {.taken = marked != nullptr ? marked : completed_, .error = error};
        default:
            return {.status = wait_status::cancelled};
        }
    }
}

}  // namespace

select_result select_wait(const select_frame& frame) {
    return selection(frame).run();
}

void throw_select_error(const select_result& result) {
    if (result.error == 0) {
        throw_wait_status(result.status, "heddle::select");
    }
    std::string what = "heddle::select";
    if (is_descriptor(*result.taken)) {
        const auto& descriptor = *static_cast<select_descriptor*>(result.taken->object);
        what += ": descriptor " + std::to_string(descriptor.fd);
    }
    throw std::system_error(result.error, std::system_category(), what);
}

std::error_code to_error_code(const select_result& result) noexcept {
    return result.error != 0 ? std::error_code(result.error, std::system_category())
                             : to_error_code(result.status);
}

}  // namespace heddle::detail
