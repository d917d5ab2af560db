// What the bridges to callbacks and coroutines wait for: an event, with reasons of their own.
#include <heddle/await.hpp>
#include <heddle/callback.hpp>

#include "runtime/core/wait_list.hpp"

#include <future>
#include <system_error>

namespace heddle::detail {

wait_status callback_wait(event_state& done, std::int64_t deadline_ns) noexcept {
    return wait_for([&done] { return done.set; }, done.waiters, done.lock, wait_reason::callback,
                    &done, nullptr, deadline_ns);
}

namespace {

void wait_always(event_state& done, wait_reason reason) noexcept {
    worker* const here = current_worker;
    if (here == nullptr) {
        wait_on_thread([&done] { return done.set; }, done.waiters, done.lock, reason, &done,
                       nullptr, never_ns);
        return;
    }
    fiber_block& self = here->current();
    done.lock.lock();
    if (done.set) {
        done.lock.unlock();
        return;
    }
    here->begin_wait(self, reason, &done, 0);
    join_list(self, done.waiters, nullptr);
    done.lock.unlock();
    here->suspend(self);
}

}  // namespace

void callback_wait_always(event_state& done) noexcept {
    wait_always(done, wait_reason::callback);
}

void coroutine_wait(event_state& done) noexcept {
    wait_always(done, wait_reason::coroutine);
}

std::error_code broken_promise() noexcept {
    return std::make_error_code(std::future_errc::broken_promise);
}

void throw_callback_error(std::error_code code) {
    throw std::system_error(code, "heddle::await_callback");
}

// A counter is not worth a plain way beside the atomic one: these calls allocate.
void add_one(std::atomic<std::uint32_t>& count) noexcept {
    count.fetch_add(1, std::memory_order_relaxed);
}

bool drop_one(std::atomic<std::uint32_t>& count) noexcept {
    return count.fetch_sub(1, std::memory_order_acq_rel) == 1;  // pairs with those of the others
}

}  // namespace heddle::detail
