// run(): a worker on the calling thread, from the first fiber to the end of the last.
#include "runtime/base/assert.hpp"
#include "runtime/core/copies.hpp"
#include "runtime/core/dump.hpp"
#include "runtime/core/fault.hpp"
#include "runtime/core/fiber_exceptions.hpp"
#include "runtime/core/worker.hpp"

#include <heddle/error.hpp>
#include <heddle/runtime.hpp>

#include <exception>
#include <stdexcept>

namespace heddle::detail {

namespace {

worker& worker_of_fiber(const char* what) {
    worker* const here = current_worker;
    if (here == nullptr || !here->in_fiber()) {
        throw std::logic_error(what);
    }
    return *here;
}

[[gnu::always_inline]] inline void run_at(const void* spawned_at, const options& with,
                                          void (*main_function)(void*), void* argument) {
    if (current_worker != nullptr) {
        throw std::logic_error("heddle: run() is called inside a fiber, or by code that a fiber "
                               "calls; spawn a fiber instead");
    }
    refuse_fiber_of_another_copy();
    describe_running_fiber.store(describe_current_fiber, std::memory_order_relaxed);
    const terminate_names_fiber named;
    const fault_reports reported(with.report_stack_overflow, with.dump_on_sigquit);
    worker here(with);
    std::exception_ptr failure;
    auto first = [&] {
        try {
            main_function(argument);
        } catch (...) {
            failure = std::current_exception();
        }
        here.begin_shutdown();
    };
    fiber_block& main_fiber = here.new_fiber({.name = "main", .detached = true}, spawned_at);
    ::new (main_fiber.cold->storage)(decltype(&first))(&first);
    main_fiber.cold->body = [](body_step step, void* storage) {
        if (step == body_step::run) {
            (**static_cast<decltype(&first)*>(storage))();
        }
    };
    // A stack that cannot be had is reported to our caller rather than to a joiner.
    here.start_first(main_fiber);
    here.dispatch();
    if (!here.deadlock().empty()) {
        throw deadlock_error(here.deadlock());
    }
    if (failure != nullptr) {
        std::rethrow_exception(failure);
    }
}

}  // namespace

void run_main(const options& with, void (*main_function)(void*), void* argument) {
    run_at(__builtin_return_address(0), with, main_function, argument);
}

void run_main_or_terminate(const options& with, void (*main_function)(void*),
                           void* argument) noexcept {
    run_at(__builtin_return_address(0), with, main_function, argument);
}

}  // namespace heddle::detail

namespace heddle {
inline namespace v1 {

statistics get_statistics() {
    return detail::worker_of_fiber("heddle: get_statistics is called outside of a fiber").figures();
}

void trim() {
    detail::worker_of_fiber("heddle: trim is called outside of a fiber").trim();
}

}  // namespace v1
}  // namespace heddle
