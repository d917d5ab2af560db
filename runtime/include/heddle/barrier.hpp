// A place where a fixed number of flows wait for one another, again and again.
#pragma once

#include <heddle/cancel.hpp>
#include <heddle/detail/abi.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/detail/wait_list.hpp>
#include <heddle/fwd.hpp>

#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

struct barrier_state {
    spin_lock lock;
    wait_list waiters;        ///< for the end of this phase; all is under `lock`
    std::ptrdiff_t expected;  ///< in each phase to come
    std::ptrdiff_t missing;   ///< in this phase, still
    std::size_t phase = 0;    ///< its number; where that wraps, nobody is left of the one before
};

/// Counts `by` arrivals, `drops` of which come no more; false if nobody is missing any more. Then
/// barrier_end_phase must follow. `phase` is the one arrived in.
bool barrier_arrive(barrier_state& state, std::ptrdiff_t by, std::ptrdiff_t drops,
                    std::size_t& phase) noexcept;
void barrier_end_phase(barrier_state& state) noexcept;
/// One arrives and waits for the end of the phase. `again` if nobody is missing any more: then
/// barrier_end_phase must follow, and barrier_spend_turn, by which one who never has to wait gives
/// way every so often.
wait_status barrier_arrive_and_wait(barrier_state& state) noexcept;
void barrier_spend_turn() noexcept;
/// Waits for the end of a phase; nothing else ends the wait.
void barrier_wait(barrier_state& state, std::size_t phase) noexcept;

/// Errors: std::invalid_argument, naming the number, if it is negative.
std::ptrdiff_t checked_arrivals(std::ptrdiff_t wished);

/// What a barrier does between phases unless told otherwise.
struct nothing_to_complete {
    void operator()() const noexcept {}
};

}  // namespace detail

inline namespace v1 {

/// Lets a number of flows go on when all of them have arrived, phase after phase.
///
/// When the last one of a phase arrives, it calls the completion function; then the next phase
/// begins, and all that wait go on. What was written before an arrival is seen by the completion,
/// and what that has written, by all who waited. The completion may wait: it runs in the flow that
/// arrived last, under a shield, while the others wait for it. It must not throw.
///
/// It is an error of the program if more arrive in a phase than are expected, or fewer than zero at
/// once: then the process ends with a message. Nobody may wait when it is destroyed; as soon as a
/// wait has returned, and all have arrived, the barrier is not touched any more.
///
/// Blocks the calling fiber, never its thread; a plain thread blocks itself.
/// Cancellation: none. One who left early would leave the others waiting for ever.
/// Threads: all members may be called by any fiber of any worker, and by any plain thread.
/// Source: std::barrier.
template <class CompletionFunction = detail::nothing_to_complete>
class barrier {
    static_assert(std::is_nothrow_invocable_v<CompletionFunction&>,
                  "the completion function of a barrier is to be noexcept");

public:
    /// That one has arrived in a phase, and has not waited for its end yet.
    class [[nodiscard]] arrival_token {
    public:
        arrival_token(arrival_token&&) noexcept = default;
        arrival_token& operator=(arrival_token&&) noexcept = default;

    private:
        friend class barrier;
        explicit arrival_token(std::size_t phase) noexcept : phase_(phase) {}

        std::size_t phase_;
    };

    /// Expects so many in each phase.
    /// Errors: std::invalid_argument if that is negative.
    explicit constexpr barrier(std::ptrdiff_t expected,
                               CompletionFunction completion = CompletionFunction())
        : state_{{}, {}, expected >= 0 ? expected : detail::checked_arrivals(expected), expected},
          completion_(std::move(completion)) {}
    barrier(const barrier&) = delete;
    barrier& operator=(const barrier&) = delete;

    /// The most that can be expected.
    static constexpr std::ptrdiff_t max() noexcept {
        return std::numeric_limits<std::ptrdiff_t>::max();
    }

    /// Counts `by` arrivals without waiting, which wait() does with the token. The last one runs
    /// the completion.
    arrival_token arrive(std::ptrdiff_t by = 1) noexcept { return arrival_token(count(by, 0)); }

    /// Waits until the phase of the token is over.
    void wait(arrival_token&& arrival) const noexcept {
        detail::barrier_wait(state_, arrival.phase_);
    }

    /// Arrives and waits until all the others have.
    void arrive_and_wait() noexcept {
        if (detail::barrier_arrive_and_wait(state_) != detail::wait_status::event) {
            end_phase();
            detail::barrier_spend_turn();
        }
    }

    /// Arrives in this phase, and is not expected in those to come; does not wait.
    void arrive_and_drop() noexcept { count(1, 1); }

private:
    std::size_t count(std::ptrdiff_t by, std::ptrdiff_t drops) noexcept {
        std::size_t phase = 0;
        if (!detail::barrier_arrive(state_, by, drops, phase)) {
            end_phase();
        }
        return phase;
    }

    void end_phase() noexcept {
        if constexpr (!std::is_same_v<CompletionFunction, detail::nothing_to_complete>) {
            const shield all_wait_for_this;
            completion_();
        }
        detail::barrier_end_phase(state_);
    }

    mutable detail::barrier_state state_;  // to wait changes the list of those who do
    [[no_unique_address]] CompletionFunction completion_;
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
