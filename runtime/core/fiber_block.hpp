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

#include <heddle/detail/alarm.hpp>
#include <heddle/detail/spawn.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/detail/stop_level.hpp>
#include <heddle/detail/wait_list.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <stop_token>
#include <utility>

namespace heddle::detail {

class worker;
struct cold_block;
struct local_table;
struct operation;
struct stack_header;

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
///   open ──► awaited     a coroutine has left its end_awaiter in `joiner`
///   awaited ──► open     that coroutine is destroyed
///   any ──► ended        the fiber is over; result or exception can be read. Whoever finds
///                        `joined` there wakes the joiner; who finds `detached` frees the block;
///                        who finds `awaited` resumes the coroutine, and frees the block then
enum class end_state : std::uint8_t { open, joined, detached, awaited, ended };

/// Bits of fiber_block::flags; home worker only.
enum fiber_flags : std::uint8_t {
    /// The fiber has state beside the registers that a switch must save or install.
    flag_slow_switch = 1,
    flag_own_fp = 2,          ///< fiber_options::own_fp_environment
    flag_exceptions = 4,      ///< exception globals are saved in the cold block
    flag_stop_requested = 8,  ///< the fiber or one of its levels was asked to stop
    flag_not_started = 16,    ///< there is no context to switch to yet
    flag_detached = 32,       ///< spawned by spawn_detached
    flag_given_back = 64,     ///< of a vacant one: its chunk is on its way to the store
    flag_has_locals = 64,     ///< of a started one: there are values of fiber_local to destroy
    flag_watched = 128,       ///< the tools that watch switches know its flow

    /// Any of these on either side of a switch, and it cannot go the short way.
    flags_of_the_long_way = flag_slow_switch | flag_not_started,
};

/// Bits of fiber_block::wait_kind, about the wait that is on.
enum wait_kinds : std::uint8_t {
    wait_cancellable = 1,    ///< a request to stop ends it
    wait_operation = 2,      ///< ended by the reactor alone; others ask it to cancel
    wait_timed = 4,          ///< a timer is armed
    wait_shielded = 8,       ///< a request to stop ends it when the fiber's levels say so
    wait_shield_timer = 16,  ///< the timer is for that, not for the wait's own deadline
    wait_of_thread = 32,     ///< a plain thread's, which is woken in a way of its own
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
    stack_header* header = nullptr;       ///< at the top of its stack; null without one
    std::atomic<worker*> home = nullptr;  ///< null once its run() is over (set under lifetime_lock)
    std::int32_t outcome = 0;             ///< a wait_status: what the resumed wait returns
    fiber_state state = fiber_state::vacant;
    std::uint8_t flags = 0;
    std::uint8_t wait_kind = 0;
    std::uint8_t shielded = 0;  ///< not zero: one of the levels is a shield
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
        return (reinterpret_cast<std::uintptr_t>(caught) | uncaught) != 0;  // one test, no jumps
    }
};

/// Bits of cold_block::mail: why the block is in its home's mailbox. Any thread.
enum mail_bits : std::uint8_t {
    mail_wake = 1,     ///< its wait was ended from another thread
    mail_stop = 2,     ///< it was asked to stop
    mail_release = 4,  ///< its handle is done with it
    mail_awaiter = 8,  ///< it got no stack, and a coroutine is to be told so
    mail_level = 16,   ///< one of its levels was asked to stop
};

/// What a started fiber keeps at the very top of its stack, above its first frame: too rare for the
/// control block, and no more memory, since that page is touched anyhow. Owner thread only, but for
/// `wait`. A fresh stack has zeroes there, and a used one no waiter that is in a list.
struct stack_header {
    stop_level* level;      ///< the innermost
    local_table* locals;    ///< values of fiber_local; null until there is one
    union {                 // no program is checked by both
        void* race_handle;  ///< the thread sanitizer's, where there is one
        void* fake_stack;   ///< the address sanitizer's, where there is one, while suspended
    };
    waiter wait;
};

/// A cache line, so that frames begin at the bounds of lines as the stack does: a first frame that
/// straddles two makes spawn + join 6 % dearer (bench/run spawn).
constexpr std::size_t stack_header_bytes = 64;
static_assert(sizeof(stack_header) <= stack_header_bytes);

constexpr std::size_t name_bytes = 32;  // 31 and a terminating zero

/// The cold part. Home worker only, except where said.
///
/// In the order of need: spawning, running and joining a fiber, and waits, write to the first two
/// cache lines alone, which counts where many are spawned before one is joined.
struct cold_block {
    std::uint64_t id = 0;          ///< from a 64-bit counter, never reused
    body_function body = nullptr;  ///< knows the types of closure and result
    alignas(inline_align) std::byte storage[inline_bytes] = {};  ///< closure, later the result
    const void* spawned_at = nullptr;  ///< return address of the spawning call

    std::stop_source stop{std::nostopstate};     ///< made when somebody asks; under the stop lock
    std::atomic<fiber_block*> joiner = nullptr;  ///< see end_state, an end_awaiter where that
                                                 ///< says so; null: the last join tried
                                                 ///< nothing. Any thread may write it beside
                                                 ///< the end of the fiber, which asks whose it is
    std::uint64_t joiner_ticket = 0;
    std::int64_t wait_since = 0;        ///< when the wait began, by the scheduler's clock. While
                                        ///< unstarted: the place in the run queue
    const void* wait_object = nullptr;  ///< operation or fiber_block, by the reason
    std::int32_t wait_descriptor = -1;  ///< that the operation is about, for lists of fibers
    std::uint32_t timer_number = 0;     ///< of the heap's use, while wait_timed is set
    wait_reason reason = wait_reason::none;
    std::uint8_t stack_class = 0;  ///< the size of stack it has or asked for
    std::atomic<end_state> end = end_state::open;
    std::atomic<std::uint8_t> mail = 0;
    std::atomic<bool> stop_asked = false;  ///< by whomever, ever
    bool closure_left = false;  ///< it ended without having run; who takes its exception drops it
    bool threw = false;         ///< it ended by an exception, which nobody has taken yet
    bool named = false;         ///< or else `name` is of no account

    /// While suspended with flag_exceptions: the saved globals. Once finished: the exception that
    /// ended the fiber, in `caught`, as a std::exception_ptr.
    exception_globals exceptions;
    fp_environment control_words;      ///< while suspended with flag_own_fp
    fiber_block* mail_next = nullptr;  ///< link of the mailbox; owned by who set the first bit
    char name[name_bytes] = {};
};
static_assert(sizeof(cold_block) <= 192);

inline std::uint32_t& timer_number(fiber_block& block) noexcept {
    return block.cold->timer_number;
}
inline std::uint32_t& timer_number(alarm& one) noexcept {
    return one.number;
}

/// One past the highest byte of the stack that a fiber has.
inline std::byte* stack_top_of(const fiber_block& fiber) noexcept {
    return reinterpret_cast<std::byte*>(fiber.header) + stack_header_bytes;
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
inline void leave_exception(cold_block& cold, std::exception_ptr what) noexcept {
    ::new (&end_exception(cold)) std::exception_ptr(std::move(what));
    cold.threw = true;
}

}  // namespace heddle::detail
