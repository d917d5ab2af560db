// The control block of a fiber: what heddle knows of it, in a hot and a cold part.
//
// The hot part is one cache line, dense in an array of its kind, and holds all that a switch
// reads. The cold part is for the fiber's beginning, waits and end. Neither lies on the fiber's
// stack: an unstarted fiber has none, and a switch need not wait for a cold one.
//
// A plain thread that waits for a fiber has a control block too; then only the wait is used.
#pragma once

#include "arch/context.h"
#include "runtime/core/wait_reason.hpp"

#include <heddle/detail/spawn.hpp>
#include <heddle/detail/status.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <stop_token>

namespace heddle::detail {

class worker;
struct cold_block;
struct operation;

/// The life of a control block. Only the home worker moves it on, except where said.
///
///   vacant ──► unstarted     a spawner takes the block, stores the closure, queues it
///   vacant ──► thread        a plain thread takes it for its waits (any thread, under a lock)
///   unstarted ──► started    the scheduler, or a joiner, gives it a stack
///   unstarted ──► finished   no stack was to be had
///   started ──► finished     its function has returned or thrown
///   finished ──► vacant      the handle has been joined, dropped or detached
///   thread ──► vacant        the plain thread ends
///
/// A started fiber is running if it is its worker's current one, waiting while `wait` holds a
/// ticket, and runnable otherwise.
enum class fiber_state : std::uint8_t { vacant, unstarted, started, finished, thread };

/// The end of a fiber and the one who waits for it. Any thread moves it, by exchange.
///
///   open ──► joined      a joiner has left its wait in `joiner` and `joiner_ticket`
///   joined ──► open      the joiner has given up and taken it back
///   open ──► detached    the handle has let go
///   any ──► ended        the fiber is over; result or exception can be read. Whoever finds
///                        `joined` there wakes the joiner; who finds `detached` frees the block
enum class end_state : std::uint8_t { open, joined, detached, ended };

/// Bits of fiber_block::flags; home worker only.
enum fiber_flags : std::uint8_t {
    /// The fiber has state beside the registers that a switch must save or install.
    flag_slow_switch = 1,
    flag_own_fp = 2,          ///< fiber_options::own_fp_environment
    flag_exceptions = 4,      ///< exception globals are saved in the cold block
    flag_stop_requested = 8,  ///< the next cancellation point throws
    flag_run_by_joiner = 16,  ///< its joiner gave it its turn and gets it back at the end
    flag_detached = 32,       ///< spawned by spawn_detached
    flag_given_back = 64,     ///< vacant, and its chunk is on its way to the store
    flag_watched = 128,       ///< the tools that watch switches know its flow
};

/// Bits of fiber_block::wait_kind, about the wait that is on.
enum wait_kinds : std::uint8_t {
    wait_cancellable = 1,    ///< a request to stop ends it
    wait_operation = 2,      ///< ended by the reactor alone; others ask it to cancel
    wait_timed = 4,          ///< a timer is armed
    wait_shielded = 8,       ///< a request to stop ends it once the fiber's shield is over
    wait_shield_timer = 16,  ///< the timer is for that, not for the wait's own deadline
};

/// The hot part. Home worker only, except `wait`.
///
/// The wait protocol: `wait` is 0 while the fiber waits for nothing, else the ticket of its wait.
/// Tickets are never used twice in a process. Whoever wants to end a wait names block and ticket,
/// and has ended it if it changes `wait` from the ticket to 0: exactly one does. It then sets
/// `outcome` and makes the fiber runnable; from another thread, through the home's mailbox.
/// An event may be claimed from any thread; deadline and cancellation by the home worker only,
/// which is also the only one to begin a wait. So a request to stop can never slip between the
/// look at the flag and the wait.
struct alignas(64) fiber_block {
    heddle_context context;
    std::atomic<std::uint64_t> wait = 0;
    cold_block* cold = nullptr;
    std::atomic<worker*> home = nullptr;  ///< null once its run() is over (set under lifetime_lock)
    std::int32_t outcome = 0;             ///< a wait_status: what the resumed wait returns
    fiber_state state = fiber_state::vacant;
    std::uint8_t flags = 0;
    std::uint8_t wait_kind = 0;
    std::uint8_t shielded = 0;  ///< not zero: stack_header::shield_until counts
};
static_assert(sizeof(fiber_block) == 64);
static_assert(offsetof(fiber_block, context) == 0);

/// The C++ runtime's per-thread exception globals, as the Itanium C++ ABI lays them out
/// ("Exception Handling", 2.2.2 __cxa_get_globals), with what ARM adds (Exception Handling ABI for
/// the Arm Architecture, 8.4): the exceptions whose unwinding a destructor interrupts just now.
/// Those count as uncaught, too.
struct exception_globals {
    void* caught = nullptr;
    unsigned int uncaught = 0;
#ifdef __ARM_EABI__
    void* propagating = nullptr;
#endif

    bool any() const noexcept {
        return caught != nullptr || uncaught != 0;
    }
};

/// Bits of cold_block::mail: why the block is in its home's mailbox. Any thread.
enum mail_bits : std::uint8_t {
    mail_wake = 1,     ///< its wait was ended from another thread
    mail_stop = 2,     ///< it was asked to stop
    mail_release = 4,  ///< its handle is done with it
};

/// What a started fiber keeps at the very top of its stack, above its first frame: too rare for the
/// control block, and no more memory, since that page is touched anyhow. Owner thread only.
struct stack_header {
    std::int64_t shield_until;  ///< when the last of the fiber's shields is over
    void* race_handle;          ///< the thread sanitizer's, where there is one
    void* fake_stack;           ///< the address sanitizer's, where there is one, while suspended
};

/// A cache line, so that frames begin at the bounds of lines as the stack does: a first frame that
/// straddles two makes spawn + join 6 % dearer (bench/run spawn).
constexpr std::size_t stack_header_bytes = 64;
static_assert(sizeof(stack_header) <= stack_header_bytes);

constexpr std::size_t name_bytes = 32;  // 31 and a terminating zero

/// The cold part. Home worker only, except where said.
struct cold_block {
    std::uint64_t id = 0;          ///< from a 64-bit counter, never reused
    body_function body = nullptr;  ///< knows the types of closure and result
    alignas(inline_align) std::byte storage[inline_bytes] = {};  ///< closure, later the result
    char name[name_bytes] = {};

    /// While suspended with flag_exceptions: the saved globals. Once finished: the exception that
    /// ended the fiber, in `caught`, as a std::exception_ptr.
    exception_globals exceptions;
    std::uint32_t timer_place = 0;      ///< of the heap's use; 0: no timer
    fp_environment control_words;       ///< while suspended with flag_own_fp
    std::int32_t wait_descriptor = -1;  ///< that the operation is about, for lists of fibers

    std::stop_source stop{std::nostopstate};  ///< made when somebody asks; under the stop lock
    const void* spawned_at = nullptr;         ///< return address of the spawning call
    std::byte* stack_top = nullptr;           ///< null without a stack

    fiber_block* joiner = nullptr;  ///< see end_state; null: the last join tried nothing
    std::uint64_t joiner_ticket = 0;

    fiber_block* mail_next = nullptr;   ///< link of the mailbox; owned by who set the first bit
    std::int64_t wait_since = 0;        ///< when the wait began, by the scheduler's clock. While
                                        ///< unstarted: the place in the run queue
    const void* wait_object = nullptr;  ///< operation or fiber_block, by the reason
    wait_reason reason = wait_reason::none;
    std::uint8_t stack_class = 0;  ///< the size of stack it has or asked for
    std::atomic<end_state> end = end_state::open;
    std::atomic<std::uint8_t> mail = 0;
    std::atomic<bool> stop_asked = false;  ///< by whomever, ever
    bool closure_left = false;  ///< it ended without having run; who takes its exception drops it
};
static_assert(sizeof(cold_block) <= 192);

inline std::uint32_t& timer_place(fiber_block& block) noexcept {
    return block.cold->timer_place;
}

inline stack_header& header_of(fiber_block& started) noexcept {
    return *reinterpret_cast<stack_header*>(started.cold->stack_top - stack_header_bytes);
}

/// Tells the tokens that remain that nobody will ask them to stop any more. Not by assignment:
/// libstdc++ 12 moves the state away without saying so to it.
inline void drop_stop_source(cold_block& cold) noexcept {
    std::stop_source(std::nostopstate).swap(cold.stop);
}

/// The exception that ended a finished fiber, where exceptions.caught holds it.
inline std::exception_ptr& end_exception(cold_block& cold) noexcept {
    static_assert(sizeof(std::exception_ptr) == sizeof cold.exceptions.caught);
    return reinterpret_cast<std::exception_ptr&>(cold.exceptions.caught);
}

}  // namespace heddle::detail
