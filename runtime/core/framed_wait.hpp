// Waits of calls that keep a frame: of fibers and plain threads alike, and such that others may end
// before they have begun. A std::stop_token is one of those others.
#pragma once

#include "runtime/core/thread_wait.hpp"
#include "runtime/core/wait_list.hpp"
#include "runtime/core/worker.hpp"

#include <atomic>
#include <cstdint>
#include <stop_token>

namespace heddle::detail {

/// The calling fiber's control block, or the calling plain thread's; null where there is no memory
/// for that.
inline fiber_block* try_this_block() noexcept {
    worker* const here = current_worker;
    return here != nullptr ? &here->current() : try_thread_block();
}

/// A place in the frame of a flow, at which others tell it to go on. States of `word_`:
///
///   idle ──► ticket       begin: the wait is on
///   ticket ──► idle       sleep has returned `again`: another wait may begin
///   ticket ──► stopped    sleep has returned anything else: who tells now is too late
///   idle ──► told         tell: the wait will not begin, and what it was for has happened
///   idle, ticket ──► stopped     stop: this wait is ended, and no other begins
///   idle ──► stopped      withdraw: the same, by the flow itself
class framed_wait {
public:
    explicit framed_wait(fiber_block& self) noexcept : self_(self) {}
    framed_wait(const framed_wait&) = delete;
    framed_wait& operator=(const framed_wait&) = delete;

    // The waiting flow's own:

    /// Begins the wait; false if it has been told or stopped.
    bool begin(wait_reason reason, const void* what, bool cancellation_point) noexcept {
        worker* const here = current_worker;
        if (here == nullptr) {
            ticket_ = begin_thread_wait(self_, reason, what);
        } else {
            const std::uint8_t kind =
                cancellation_point ? here->cancellable(self_) : std::uint8_t{0};
            ticket_ = here->begin_wait(self_, reason, what, kind);
        }
        if (exchange_if(word_, idle, ticket_)) {
            return true;
        }
        if (here == nullptr) {
            self_.wait.store(0, std::memory_order_relaxed);
        } else {
            here->end_wait(self_);
        }
        return false;
    }

    /// Gives way until the wait that has begun is ended; how it was.
    wait_status sleep(std::int64_t deadline_ns) noexcept {
        wait_status outcome = wait_status::event;
        if (worker* const here = current_worker) {
            here->arm(self_, deadline_ns);
            outcome = static_cast<wait_status>(here->suspend(self_));
        } else {
            outcome = sleep_thread(self_, ticket_, deadline_ns);
        }
        // Whoever finds the waiter in its list still must not spend a notification on it.
        static_cast<void>(
            exchange_if(word_, ticket_, outcome == wait_status::again ? idle : stopped));
        return outcome;
    }

    /// Decides not to wait; false if that has been decided already.
    bool withdraw() noexcept { return exchange_if(word_, idle, stopped); }

    bool was_told() const noexcept { return word_.load(std::memory_order_acquire) == told; }
    fiber_block& block() const noexcept { return self_; }

    // Any flow's:

    enum class answer { too_late, need_not_wait, must_be_woken };

    /// Lets the wait, on or to come, end by an event. It is too late if it was ended otherwise.
    /// After need_not_wait it may be gone; else wake its block.
    answer tell() noexcept {
        if (exchange_if(word_, idle, told)) {
            return answer::need_not_wait;
        }
        const std::uint64_t word = word_.load(std::memory_order_acquire);
        return word != stopped && claim(self_, word) ? answer::must_be_woken : answer::too_late;
    }

    /// Ends the wait, and all to come, with `outcome`; nothing if it has been told already.
    void stop(wait_status outcome) noexcept {
        std::uint64_t word = idle;
        do {
            word = word_.load(std::memory_order_acquire);
            if (word == told || word == stopped) {
                return;
            }
        } while (!exchange_if(word_, word, stopped));
        if (word != idle && claim(self_, word)) {
            wake(self_, outcome);
        }
    }

private:
    static constexpr std::uint64_t idle = 0;  // what is left are tickets
    static constexpr std::uint64_t told = UINT64_MAX;
    static constexpr std::uint64_t stopped = UINT64_MAX - 1;

    fiber_block& self_;
    std::uint64_t ticket_ = 0;  // of the wait that is on
    std::atomic<std::uint64_t> word_ = idle;
};

/// Ends a wait when a token says so. Whoever asks the token to stop runs this, and does not give
/// way in it: libstdc++ takes a callback that its own thread destroys for one that destroys itself,
/// and does not wait for its end.
struct stop_of_wait {
    framed_wait& wait;
    wait_status outcome;
    void operator()() const noexcept { wait.stop(outcome); }
};
using stop_on_token = std::stop_callback<stop_of_wait>;

/// Gives way once, where a wait that ends before it has begun is to have done so.
inline wait_status after_a_turn(wait_status outcome) noexcept {
    worker* const here = current_worker;
    return here == nullptr
               ? outcome
               : static_cast<wait_status>(here->visit_dispatcher(here->current(), outcome));
}

/// As wait_for in wait_list.hpp, but no cancellation point, and with a token that may end the wait:
/// then it is `cancelled`. Keeps a frame; the flow is in no list afterwards.
template <class Attempt>
wait_status wait_framed(Attempt attempt, wait_list& waiters, spin_lock& lock, wait_reason reason,
                        const void* what, const std::stop_token& token,
                        std::int64_t deadline_ns) noexcept {
    fiber_block* const self = try_this_block();
    if (self == nullptr) {
        bool done = false;
        const auto over = [&] {
            lock.lock();
            done = attempt();
            lock.unlock();
            return done || token.stop_requested();
        };
        const wait_status status = look_until(over, deadline_ns);
        return status == wait_status::event && !done ? wait_status::cancelled : status;
    }
    framed_wait wait(*self);
    const stop_on_token stopper(token, stop_of_wait{wait, wait_status::cancelled});
    waiter own{.next = nullptr, .previous = nullptr, .block = self, .object = nullptr};
    lock.lock();
    if (attempt()) {
        lock.unlock();
        return wait_status::event;
    }
    if (!wait.begin(reason, what, false)) {
        lock.unlock();
        return after_a_turn(wait_status::cancelled);
    }
    waiters.push_back(own);
    lock.unlock();
    const wait_status outcome = wait.sleep(deadline_ns);
    if (outcome != wait_status::event) {
        lock.lock();
        if (is_linked(own)) {
            waiters.remove(own);
        }
        lock.unlock();
    }
    return outcome;
}

}  // namespace heddle::detail
