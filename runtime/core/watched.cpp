// Switches under the sanitizers: each is announced, and each flow has the tools' own state beside.
//
// Nothing of this lies on the short way of a switch. A worker that finds a tool in its program
// closes that way by the look that every switch takes at the exception globals: `detour_` then
// points to some that are always in use.
#include "runtime/base/limits.hpp"
#include "runtime/base/sanitizer.hpp"
#include "runtime/core/worker.hpp"

#include <pthread.h>

#include <system_error>
#include <utility>

namespace heddle::detail {

namespace {

constinit exception_globals always_any{.caught = &always_any};

}  // namespace

// The long way is where giving way is refused.
void worker::begin_stop_callbacks() noexcept {
    ++stop_callbacks_;
    detour_ = &always_any;
}

void worker::end_stop_callbacks() noexcept {
    if (--stop_callbacks_ == 0 && !watched_) {
        detour_ = globals_;
    }
}

void worker::watch_switches() {
    watched_ = true;
    detour_ = &always_any;
    entry_ = watched_fiber_entry;
    dispatcher_header_.race_handle = current_race_handle();
    pthread_attr_t attributes;
    void* bottom = nullptr;
    // For the main thread this opens a file of /proc, which can fail.
    if (const int error = pthread_getattr_np(pthread_self(), &attributes); error != 0) {
        throw std::system_error(error, std::system_category(),
                                "heddle: pthread_getattr_np" + limit_note(error));
    }
    pthread_attr_getstack(&attributes, &bottom, &thread_stack_bytes_);
    pthread_attr_destroy(&attributes);
    thread_stack_ = bottom;
}

// The thread sanitizer's handle of the flow that goes on; a fresh one gets it here.
void* worker::enter_watched(fiber_block& next) noexcept {
    if (&next == &dispatcher_) {
        return dispatcher_header_.race_handle;
    }
    stack_header& header = *next.header;
    if ((next.flags & flag_watched) == 0) {
        next.flags |= flag_watched;
        header.race_handle = make_race_handle();
    }
    return header.race_handle;
}

std::intptr_t worker::resume_watched(fiber_block& self, fiber_block& next) noexcept {
    void** fake_stack = nullptr;  // where to keep it; a flow that leaves for good keeps none
    if (&self == &departing_) {
        // Asked of the tool, since the stack and its header may be the next fiber's already.
        dead_race_handle_ = current_race_handle();
    } else {
        fake_stack = &(&self == &dispatcher_ ? dispatcher_header_ : *self.header).fake_stack;
    }
    void* const race_handle = enter_watched(next);
    if (&next == &dispatcher_) {
        before_switch(fake_stack, thread_stack_, thread_stack_bytes_);
    } else {
        before_switch(fake_stack, stack_bottom(next), stacks_[next.cold->stack_class].bytes());
    }
    switch_race_handle(race_handle);
    const std::intptr_t outcome = heddle_switch(&self.context, &next.context, next.outcome);
    after_switch(*fake_stack);
    drop_race_handle(std::exchange(dead_race_handle_, nullptr));
    return outcome;
}

}  // namespace heddle::detail
