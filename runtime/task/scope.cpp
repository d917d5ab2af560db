// Scopes: who their children are, how they end, and what is said about it.
//
// A child is in one list of its scope at a time: `running`, or `stopping` once it was asked to
// stop, then `over` when its function has returned, and, once its fiber has ended for good, either
// in `failed` or in none. Its function's end is what cancels siblings and what child::get() waits
// for; the end of the fiber, a little later, is what join() waits for. Nobody waits or runs code of
// the user's with the lock of a scope held.
#include "runtime/base/assert.hpp"
#include "runtime/core/fiber_exceptions.hpp"
#include "runtime/core/wait_list.hpp"

#include <heddle/cancel.hpp>
#include <heddle/detail/fiber_access.hpp>
#include <heddle/error.hpp>
#include <heddle/scope.hpp>

#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace heddle::detail {

namespace {

void append(child_list& list, child_state& child) noexcept {
    child.next = nullptr;
    child.previous = list.last;
    (list.last != nullptr ? list.last->next : list.first) = &child;
    list.last = &child;
}

void remove(child_list& list, child_state& child) noexcept {
    (child.previous != nullptr ? child.previous->next : list.first) = child.next;
    (child.next != nullptr ? child.next->previous : list.last) = child.previous;
}

bool is_cancelled(const scope_state& scope) noexcept {
    return scope.end.load(std::memory_order_acquire) != scope_end::none;
}

// The fiber has ended for good; nothing of it will touch scope or record again.
bool has_ended(const child_state& child) noexcept {
    return child.block->cold->end.load(std::memory_order_acquire) == end_state::ended;
}

// Whether a fiber ended in this way because it was asked to stop. A std::system_error of that code
// is what the forms with an error code make of cancellation, once somebody throws it.
bool is_by_cancellation(const std::exception_ptr& exception, bool asked_to_stop) noexcept {
    if (detail::is_cancelled(exception)) {
        return true;
    }
    try {
        std::rethrow_exception(exception);
    } catch (const std::system_error& error) {
        return asked_to_stop && error.code() == std::errc::operation_canceled;
    } catch (...) {
        return false;
    }
}

// Lets go of the children whose fibers have ended, but for those that failed. Those stay in the
// order in which their functions did.
void reap(scope_state& scope) noexcept {
    scope.lock.lock();
    child_list gone;
    bool failed_before = false;
    for (child_state* child = scope.over.first; child != nullptr;) {
        child_state* const next = child->next;
        if (has_ended(*child) && !(child->failed && failed_before)) {
            say_acquire(child->block->cold);
            remove(scope.over, *child);
            append(child->failed ? scope.failed : gone, *child);
        } else {
            failed_before = failed_before || child->failed;
        }
        child = next;
    }
    scope.lock.unlock();
    while (child_state* const child = gone.first) {
        remove(gone, *child);
        drop_child(*child);  // destroys a value, perhaps: code of the user's
    }
}

child_state* pin_any(scope_state& scope) noexcept {
    scope.lock.lock();
    child_state* const child = scope.running.first != nullptr    ? scope.running.first
                               : scope.stopping.first != nullptr ? scope.stopping.first
                                                                 : scope.over.first;
    if (child != nullptr) {
        child->references.fetch_add(1, std::memory_order_relaxed);
    }
    scope.lock.unlock();
    return child;
}

// Lets those look again who wait for the end of the fiber beside the one that joins it. Those who
// wait for the function, before it is over, wait on.
void wake_those_beside(child_state& child) noexcept {
    wait_list claimed;
    child.lock.lock();
    if (child.done) {
        take_all(child.waiters, claimed);
    }
    child.lock.unlock();
    wake_all(claimed, wait_status::event);
}

// Waits until nobody else joins a child's fiber, whose function is over: it has ended then, or is
// to be joined by somebody.
wait_status wait_beside_joiner(child_state& child) noexcept {
    return wait_for([&child] { return child.joiner == 0 || has_ended(child); }, child.waiters,
                    child.lock, wait_reason::child, &child, nullptr, never_ns);
}

// Waits until a child's fiber has ended. One flow can join that; others wait for the function, and
// then for that flow: the fiber's last steps are destructors of fiber_local values, which may wait.
wait_status join_child(child_state& child) noexcept {
    for (;;) {
        wait_status status = child_wait(child, never_ns);
        if (status != wait_status::event && child_give_up(child)) {
            status = wait_status::event;
        }
        if (status != wait_status::event || has_ended(child)) {
            return status;
        }
        status = wait_beside_joiner(child);
        if (status != wait_status::event) {
            leave(child.waiters, child.lock);
            return status;
        }
    }
}

// Waits for all children. A cancellation point, unless there is a shield.
wait_status join_children(scope_state& scope) noexcept {
    wait_status status = wait_status::event;
    reap(scope);
    while (status == wait_status::event) {
        child_state* const child = pin_any(scope);
        if (child == nullptr) {
            break;
        }
        status = join_child(*child);
        drop_child(*child);
        reap(scope);
    }
    return status;
}

wait_status join_children_shielded(scope_state& scope) noexcept {
    const shield until_all_have_ended;
    return join_children(scope);
}

std::string name_of(const scope_state& scope) {
    return std::string(scope.what) + " at " + scope.file + ":" + std::to_string(scope.line);
}

[[noreturn]] void throw_timed_out(const scope_state& scope) {
    throw std::system_error(std::make_error_code(std::errc::timed_out),
                            name_of(scope) + ": the deadline of the scope has passed");
}

// The first exception that left a child; null if there is none.
std::exception_ptr first_failure(scope_state& scope) noexcept {
    scope.lock.lock();
    std::exception_ptr first;
    if (scope.failed.first != nullptr) {
        first = scope.failed.first->exception;
    }
    scope.lock.unlock();
    return first;
}

bool has_failure(scope_state& scope) noexcept {
    scope.lock.lock();
    bool any = scope.failed.first != nullptr;
    for (const child_state* child = scope.over.first; child != nullptr; child = child->next) {
        any = any || child->failed;
    }
    scope.lock.unlock();
    return any;
}

void rethrow_first_failure(scope_state& scope) {
    if (std::exception_ptr first = first_failure(scope)) {
        take_scope_exceptions(scope);
        std::rethrow_exception(std::move(first));
    }
}

void ring(alarm& self) noexcept {
    cancel_scope(*static_cast<scope_state*>(self.owner), scope_end::timed_out);
}

worker& worker_here() {
    worker* const here = current_worker;
    if (here == nullptr || !here->in_fiber()) {
        throw std::logic_error("heddle::scope: opened or used outside of a fiber: call it inside "
                               "run()");
    }
    return *here;
}

// Waits for all children; true if the calling fiber was cancelled, and the scope for that. Throws
// nothing but the error of a child that joins its own scope.
bool settle(scope_state& scope) {
    const wait_status status =
        is_cancelled(scope) ? join_children_shielded(scope) : join_children(scope);
    if (status == wait_status::event) {
        return false;
    }
    if (status == wait_status::refused) {
        throw_fiber_error(std::errc::resource_deadlock_would_occur,
                          "heddle::scope::join: a child cannot wait for its own scope");
    }
    const bool first = cancel_scope(scope, scope_end::asked);
    join_children_shielded(scope);
    return first;
}

}  // namespace

void open_scope(scope_state& scope, std::int64_t deadline_ns) {
    worker& here = worker_here();
    scope.home = &here;
    scope.timer.owner = &scope;
    scope.timer.ring = ring;
    if (deadline_ns == never_ns) {
        return;
    }
    if (deadline_ns <= clock_now()) {
        cancel_scope(scope, scope_end::timed_out);
    } else {
        here.set_alarm(scope.timer, deadline_ns);
    }
}

void open_scope_or_terminate(scope_state& scope, std::int64_t deadline_ns) noexcept {
    open_scope(scope, deadline_ns);
}

void close_scope(scope_state& scope) noexcept {
    HEDDLE_ASSERT(scope.home == current_worker, "a scope ends outside of the run() it began in");
    scope.home->drop_alarm(scope.timer);
    if (scope.running.first != nullptr || scope.stopping.first != nullptr ||
        scope.over.first != nullptr) {
        cancel_scope(scope, scope_end::asked);
        join_children_shielded(scope);
    }
    while (child_state* const child = scope.failed.first) {
        remove(scope.failed, *child);
        if (!child->taken.load(std::memory_order_relaxed)) {
            terminate_for(*child->block->cold, child->exception,
                          "a child of a scope ended by an exception that nobody joined it for");
        }
        drop_child(*child);
    }
    std::stop_source(std::nostopstate).swap(scope.stop);
}

bool cancel_scope(scope_state& scope, scope_end why) noexcept {
    if (!exchange_if(scope.end, scope_end::none, why)) {
        return false;
    }
    scope.lock.lock();
    if (why == scope_end::timed_out) {
        scope.cut_short = scope.running.first != nullptr || scope.stopping.first != nullptr;
    }
    std::stop_source source = scope.stop;
    scope.lock.unlock();
    run_stop_callbacks(source);
    scope.lock.lock();
    if (scope.body != nullptr) {
        request_level_stop(*scope.body, scope.level);
    }
    while (child_state* const child = scope.running.first) {
        remove(scope.running, *child);
        append(scope.stopping, *child);
        child->stopping = true;
        child->references.fetch_add(1, std::memory_order_relaxed);
        scope.lock.unlock();
        request_fiber_stop(child->block);  // runs callbacks
        drop_child(*child);
        scope.lock.lock();
    }
    scope.lock.unlock();
    return true;
}

std::stop_token scope_stop_token(scope_state& scope) {
    std::stop_source fresh;
    scope.lock.lock();
    if (!scope.stop.stop_possible()) {
        scope.stop.swap(fresh);
    }
    std::stop_source source = scope.stop;
    scope.lock.unlock();
    if (is_cancelled(scope)) {
        run_stop_callbacks(source);
    }
    return source.get_token();
}

void prepare_scope(scope_state& scope) {
    if (&worker_here() != scope.home) {
        throw std::logic_error("heddle::scope::spawn: the scope belongs to another run()");
    }
    reap(scope);
}

void prepare_scope_or_terminate(scope_state& scope) noexcept {
    prepare_scope(scope);
}

void launch_child(scope_state& scope, child_state& child, reserved_block reserved,
                  body_function body) noexcept {
    child.scope = &scope;
    child.block = reserved.block;
    ::new (reserved.storage) child_state*(&child);
    scope.lock.lock();
    const bool cancelled = is_cancelled(scope);
    append(cancelled ? scope.stopping : scope.running, child);
    child.stopping = cancelled;
    if (scope.end.load(std::memory_order_relaxed) == scope_end::timed_out) {
        scope.cut_short = true;
    }
    if (cancelled) {
        reserved.block->cold->stop_asked.store(true, std::memory_order_relaxed);
        reserved.block->flags |= flag_stop_requested;
    }
    scope.lock.unlock();
    launch_fiber(reserved.block, body);
}

namespace {

// The function of a child is over.
void end_child(child_state& child, std::exception_ptr exception) noexcept {
    scope_state& scope = *child.scope;
    const bool asked = child.block->cold->stop_asked.load(std::memory_order_relaxed);
    child.failed = exception != nullptr && !is_by_cancellation(exception, asked);
    child.exception = std::move(exception);
    scope.lock.lock();
    remove(child.stopping ? scope.stopping : scope.running, child);
    append(scope.over, child);
    scope.lock.unlock();
    if (child.failed) {
        cancel_scope(scope, scope_end::failed);
    }
    child.lock.lock();
    child.done = true;
    while (waiter* const first = take_first(child.waiters)) {
        child.lock.unlock();
        wake(*first, wait_status::event);
        child.lock.lock();
    }
    child.lock.unlock();
}

}  // namespace

void run_child(child_state& child, void (*function)(child_state& child), bool may_throw) noexcept {
    std::exception_ptr exception;
    try {
        function(child);
    } catch (...) {
        if (!may_throw) {
            terminate_unthrowable_fiber();
        }
        exception = std::current_exception();
    }
    end_child(child, std::move(exception));
}

void fail_child(child_state& child) noexcept {
    child.taken.store(true, std::memory_order_relaxed);  // it has done nothing: no reason to end
    end_child(child, end_exception(*child.block->cold));
}

void drop_child(child_state& child) noexcept {
    wake_those_beside(child);  // perhaps who drops it has joined it
    if (child.references.fetch_sub(1, std::memory_order_acq_rel) > 1) {
        return;
    }
    if (child.block != nullptr) {
        take_exception(child.block);  // that there was no stack
        release_fiber(child.block);
    }
    child.destroy(&child);
}

wait_status child_wait(child_state& child, std::int64_t deadline_ns) noexcept {
    if (reinterpret_cast<flow_name>(child.block) == this_flow()) {
        return wait_status::refused;  // also if somebody joins it already
    }
    child.lock.lock();
    const bool joins = child.joiner == 0;
    if (joins) {
        child.joiner = this_flow();
    }
    child.lock.unlock();
    if (joins) {
        return join_wait(child.block, deadline_ns);
    }
    return wait_for([&child] { return child.done; }, child.waiters, child.lock, wait_reason::child,
                    &child, nullptr, deadline_ns);
}

bool child_give_up(child_state& child) noexcept {
    child.lock.lock();
    const bool joined = child.joiner == this_flow();
    child.lock.unlock();
    if (!joined) {
        leave(child.waiters, child.lock);
        return false;
    }
    const bool ended = join_withdraw(child.block);
    child.lock.lock();
    child.joiner = 0;
    child.lock.unlock();
    wake_those_beside(child);
    return ended;
}

void throw_child_status(wait_status status) {
    if (status == wait_status::refused) {
        throw_fiber_error(std::errc::resource_deadlock_would_occur,
                          "heddle::child::get: a child cannot wait for itself");
    }
    throw_wait_status(status, "heddle::child::get");
}

void rethrow_from_child(child_state& child) {
    if (!child.failed) {
        throw std::system_error(std::make_error_code(std::errc::operation_canceled),
                                "heddle::child::get: the child was stopped");
    }
    child.taken.store(true, std::memory_order_relaxed);
    std::rethrow_exception(child.exception);
}

std::error_code child_error(child_state& child, bool may_throw) {
    if (!child.failed) {
        return std::make_error_code(std::errc::operation_canceled);
    }
    child.taken.store(true, std::memory_order_relaxed);
    return may_throw ? error_code_or_rethrow(child.exception)
                     : error_code_or_terminate(child.exception);
}

void throw_cancelled_in_turn() {
    yield();
    throw cancelled();
}

void join_scope(scope_state& scope) {
    const bool interrupted = settle(scope);
    rethrow_first_failure(scope);
    worker& here = worker_here();
    const bool in_body = scope.body == &here.current();
    if (interrupted || (in_body ? here.cancellation_due_outside(scope.level)
                                : here.cancellation_due(here.current()))) {
        throw_cancelled_in_turn();
    }
    if (scope.cut_short) {
        throw_timed_out(scope);
    }
}

namespace {

// What f() throws, as a code.
template <class F>
std::error_code quietly(F f, bool may_throw) {
    std::exception_ptr problem;
    try {
        return f();
    } catch (...) {
        problem = std::current_exception();
    }
    return may_throw ? error_code_or_rethrow(std::move(problem))
                     : error_code_or_terminate(std::move(problem));
}

}  // namespace

std::error_code join_scope_quietly(scope_state& scope, bool may_throw) {
    return quietly(
        [&] {
            join_scope(scope);
            return std::error_code();
        },
        may_throw);
}

std::error_code run_body_quietly(scope_state& scope, void (*body)(void* argument), void* argument,
                                 bool may_throw) {
    return quietly(
        [&] {
            return run_body(scope, body, argument)
                       ? std::error_code()
                       : std::make_error_code(std::errc::operation_canceled);
        },
        may_throw);
}

bool settle_scope(scope_state& scope) noexcept {
    return settle(scope);
}

bool run_body(scope_state& scope, void (*body)(void* argument), void* argument) {
    scope.lock.lock();
    scope.body = &current_worker->current();
    scope.lock.unlock();
    scope.level.stopped = is_cancelled(scope);  // not before: others cancel it for the body now
    enter_level(scope.level);
    std::exception_ptr exception;
    try {
        body(argument);
    } catch (...) {
        exception = std::current_exception();
    }
    scope.lock.lock();
    scope.body = nullptr;
    scope.lock.unlock();
    leave_level(scope.level);

    // Where the scope was cancelled and the body noticed, that is why it ended so.
    const bool cut_short =
        exception != nullptr && scope.level.delivered && is_by_cancellation(exception, true);
    bool interrupted = false;
    if (exception != nullptr) {
        const bool came_first =
            !cut_short && !is_by_cancellation(exception, false) && !has_failure(scope);
        cancel_scope(scope, scope_end::failed);
        join_children_shielded(scope);
        if (came_first) {
            take_scope_exceptions(scope);
            std::rethrow_exception(exception);
        }
    } else {
        interrupted = settle(scope);
    }
    rethrow_first_failure(scope);
    if (exception != nullptr && !cut_short) {
        std::rethrow_exception(exception);
    }
    if (interrupted) {
        throw_cancelled_in_turn();
    }
    const bool timed_out = scope.end.load(std::memory_order_relaxed) == scope_end::timed_out;
    if (scope.cut_short || (timed_out && scope.level.delivered)) {
        throw_timed_out(scope);
    }
    return !cut_short;
}

void throw_cut_short(const scope_state& scope) {
    throw std::system_error(std::make_error_code(std::errc::operation_canceled),
                            name_of(scope) + ": cancelled before there was a value");
}

std::vector<std::exception_ptr> scope_exceptions(scope_state& scope) {
    reap(scope);
    std::vector<std::exception_ptr> all;
    for (const child_list& list : {scope.failed, scope.over}) {
        for (child_state* child = list.first; child != nullptr; child = child->next) {
            if (child->failed) {
                all.push_back(child->exception);
                child->taken.store(true, std::memory_order_relaxed);
            }
        }
    }
    return all;
}

void take_scope_exceptions(scope_state& scope) noexcept {
    scope.lock.lock();
    for (child_state* child = scope.failed.first; child != nullptr; child = child->next) {
        child->taken.store(true, std::memory_order_relaxed);
    }
    scope.lock.unlock();
}

}  // namespace heddle::detail
