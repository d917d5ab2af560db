// What fiber handles ask for: a block for a new fiber, its result, its end.
#include "runtime/base/assert.hpp"
#include "runtime/core/copies.hpp"
#include "runtime/core/fiber_exceptions.hpp"
#include "runtime/core/worker.hpp"

#include <heddle/detail/fiber_access.hpp>

#include <stdexcept>
#include <system_error>
#include <utility>

namespace heddle::detail {

namespace {

bool runs_here(const fiber_block& fiber) noexcept {
    worker* const here = current_worker;
    return here != nullptr && fiber.home.load(std::memory_order_relaxed) == here;
}

[[noreturn, gnu::cold]] void throw_outside() {
    refuse_fiber_of_another_copy();
    throw std::logic_error("heddle: spawn is called outside of a fiber: call it inside run()");
}

[[gnu::always_inline]] inline worker& worker_of_caller() {
    worker* const here = current_worker;
    if (here == nullptr || !here->in_fiber()) [[unlikely]] {
        throw_outside();
    }
    return *here;
}

[[gnu::always_inline]] inline reserved_block reserve_at(const void* spawned_at,
                                                        const spawn_request& request) {
    fiber_block& fiber = worker_of_caller().new_fiber(request, spawned_at);
    return {&fiber, fiber.cold->storage};
}

[[gnu::noinline]] reserved_block reserve_plain_at(const void* spawned_at) {
    fiber_block& fiber = worker_of_caller().new_plain_fiber(spawned_at);
    return {&fiber, fiber.cold->storage};
}

}  // namespace

reserved_block reserve_fiber(const spawn_request& request) {
    return reserve_at(__builtin_return_address(0), request);
}

reserved_block reserve_plain_fiber() {
    worker* const here = current_worker;
    if (here == nullptr || !here->in_fiber() || !here->has_fiber_at_hand()) [[unlikely]] {
        return reserve_plain_at(__builtin_return_address(0));
    }
    fiber_block& fiber = here->new_fiber_at_hand(__builtin_return_address(0));
    return {&fiber, fiber.cold->storage};
}

reserved_block reserve_fiber_or_terminate(const spawn_request& request) noexcept {
    return reserve_at(__builtin_return_address(0), request);
}

reserved_block reserve_plain_fiber_or_terminate() noexcept {
    return reserve_plain_at(__builtin_return_address(0));
}

void abandon_fiber(fiber_block* block) noexcept {
    block->home.load(std::memory_order_relaxed)->abandon(*block);
}

void launch_fiber(fiber_block* block, body_function body) noexcept {
    block->cold->body = body;
    block->home.load(std::memory_order_relaxed)->queue_new(*block);
}

void* result_storage(fiber_block* block) noexcept {
    return block->cold->storage;
}

namespace {

// Gives back the block of a fiber that lived in another thread, or in a run() that is over.
void release_elsewhere(fiber_block& block) noexcept {
    const std::lock_guard guard(lifetime_lock);
    if (worker* const home = block.home.load(std::memory_order_relaxed)) {
        home->post(block, mail_release);
        return;
    }
    drop_stop_source(*block.cold);
    block_store::instance().free_orphan(&block);
}

}  // namespace

void release_fiber(fiber_block* block) noexcept {
    if (runs_here(*block)) [[likely]] {
        current_worker->free_block(*block);
    } else {
        release_elsewhere(*block);
    }
}

bool release_if_well(fiber_block* block) noexcept {
    if (block->cold->threw) [[unlikely]] {
        return false;
    }
    worker* const home = block->home.load(std::memory_order_relaxed);
    if (home == nullptr || home != current_worker || !home->is_free_of_ties(*block)) [[unlikely]] {
        release_fiber(block);
    } else {
        home->free_plain_block(*block);
    }
    return true;
}

void release_and_rethrow(fiber_block* block) {
    std::exception_ptr exception = take_exception(block);
    release_fiber(block);
    rethrow_from_fiber(std::move(exception));
}

namespace {

// Who receives the exceptions of detached fibers in the fiber's run(); null once that is over.
auto detached_exception_handler(const fiber_block& block) noexcept {
    const std::lock_guard guard(lifetime_lock);
    const worker* const home = block.home.load(std::memory_order_relaxed);
    return home == nullptr ? nullptr : home->detached_exception_handler();
}

}  // namespace

void detach_fiber(fiber_block* block) noexcept {
    if (exchange_if(block->cold->end, end_state::open, end_state::detached)) {
        return;  // the fiber cleans up after itself
    }
    // It has ended: its worker left that to the handle.
    if (std::exception_ptr exception = take_exception(block)) {
        if (is_cancelled(exception)) {
            // It was asked to stop, and has.
        } else if (const auto handler = detached_exception_handler(*block)) {
            handler(fiber_id(block->cold->id), std::move(exception));
        } else {
            terminate_for(*block->cold, exception,
                          "a fiber was detached that had ended by an exception");
        }
    } else {
        block->cold->body(body_step::drop_result, block->cold->storage);
    }
    release_fiber(block);
}

void stop_and_join(fiber_block* block) noexcept {
    HEDDLE_ASSERT(current_worker == nullptr || &current_worker->current() != block,
                  "a fiber drops its own handle, and would wait for itself", "fiber",
                  block->cold->id);
    request_fiber_stop(block);
    join_always(block);
    // One that got no stack has done nothing, like one that heard of the request first. (Whoever is
    // cancelled himself could not join it, and so not take the exception.)
    const bool never_ran = block->cold->closure_left;
    if (std::exception_ptr exception = take_exception(block)) {
        if (!never_ran && !is_cancelled(exception)) {
            terminate_for(*block->cold, exception,
                          "a fiber ended by an exception that nobody joined it for");
        }
    } else {
        block->cold->body(body_step::drop_result, block->cold->storage);
    }
    release_fiber(block);
}

std::uint64_t fiber_number(const fiber_block* block) noexcept {
    return block->cold->id;
}

std::uint64_t current_fiber_number() noexcept {
    return current_worker != nullptr && current_worker->in_fiber()
               ? current_worker->current().cold->id
               : 0;
}

void throw_join_status(wait_status status) {
    if (status == wait_status::refused) {
        throw_fiber_error(std::errc::resource_deadlock_would_occur,
                          "heddle::fiber::join: a fiber cannot join itself");
    }
    throw_wait_status(status, "heddle::fiber::join");
}

void throw_fiber_error(std::errc condition, const char* what) {
    throw std::system_error(std::make_error_code(condition), what);
}

void terminate_for_fiber_error(std::errc condition, const char* what) noexcept {
    throw_fiber_error(condition, what);
}

}  // namespace heddle::detail
