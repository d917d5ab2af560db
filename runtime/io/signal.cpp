// Signals as values: a handler notes the signal in every set that wants it, and makes the set's
// eventfd readable, which a fiber waits for like for any descriptor.
#include <heddle/signal.hpp>

#include "runtime/base/system.hpp"
#include "runtime/io/outcome.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <new>
#include <string>
#include <utility>

namespace heddle::detail {

namespace {

// Linux has 64 signals (signal(7)), and 127 on MIPS: a set of them is a word or two.
constexpr int signal_max = NSIG - 1;
constexpr int word_bits = 64;
constexpr std::size_t words = (signal_max + word_bits - 1) / word_bits;

constexpr std::size_t word_of(int number) noexcept {
    return static_cast<std::size_t>((number - 1) / word_bits);
}

constexpr std::uint64_t bit_of(int number) noexcept {
    return std::uint64_t{1} << ((number - 1) % word_bits);
}

constexpr int number_of(std::size_t word, std::uint64_t lowest_of) noexcept {
    return static_cast<int>(word) * word_bits + std::countr_zero(lowest_of) + 1;
}

}  // namespace

/// What a signal_set owns. A handler may look at any slot at any time, so slots are never freed,
/// but used again.
///
/// The eventfd is readable whenever `arrived` is not empty, or somebody who has just read it is
/// about to take a signal and to make it readable for the rest.
struct signal_slot {
    std::atomic<std::uint64_t> wanted[words] = {};   ///< the signals of the set
    std::atomic<std::uint64_t> arrived[words] = {};  ///< and not yet taken by a wait
    std::atomic<int> event = -1;
    signal_slot* next = nullptr;  ///< constant once the slot is in the list
    bool in_use = false;          ///< under signals_lock
};

namespace {

std::mutex signals_lock;
std::atomic<signal_slot*> slots = nullptr;

// Handlers that are at work on the slots. A handler raises it before it looks
// at `wanted`, and a set that goes clears `wanted` before it looks here.
std::atomic<int> handlers_at_work = 0;

// What is behind a signal that some set wants. Under signals_lock; a handler reads the atomics, and
// may do so late, when its signal is already another's to catch.
struct caught_signal {
    unsigned sets = 0;
    struct sigaction previous = {};
    std::atomic<pid_t> owner = 0;  // a child is none, also of a vfork or clone that told nobody
    // The handler in `previous`, of one kind or the other.
    std::atomic<void (*)(int, siginfo_t*, void*)> previous_with_info = nullptr;
    std::atomic<void (*)(int)> previous_plain = SIG_DFL;
};
caught_signal caught[signal_max + 1];

// signal(7), "Standard signals".
constexpr bool is_ignored_by_default(int number) noexcept {
    return number == SIGCHLD || number == SIGCONT || number == SIGURG || number == SIGWINCH;
}

// Does what the signal would do without us: in a forked child, and where somebody whose handler
// replaced ours still calls it. The guard is for one who does that and whom we found before us.
void pass_on(int number, siginfo_t* info, void* context) {
    [[gnu::tls_model("initial-exec")]] constinit static thread_local bool passing_on = false;
    if (passing_on) {
        return;
    }
    passing_on = true;
    const auto plain = caught[number].previous_plain.load();
    if (const auto with_info = caught[number].previous_with_info.load()) {
        with_info(number, info, context);
    } else if (plain == SIG_DFL && is_ignored_by_default(number)) {
        // Whoever else has a handler now, or gets one meanwhile, keeps it.
    } else if (plain == SIG_DFL) {
        signal(number, SIG_DFL);
        raise(number);  // once this handler has returned
    } else if (plain != SIG_IGN) {
        plain(number);
    }
    passing_on = false;
}

// Notes the signal in every set that wants it; whether there was one.
bool deliver(int number) noexcept {
    const std::uint64_t bit = bit_of(number);
    const std::size_t word = word_of(number);
    bool wanted = false;
    handlers_at_work.fetch_add(1);
    for (signal_slot* slot = slots.load(); slot != nullptr; slot = slot->next) {
        if ((slot->wanted[word].load() & bit) != 0) {
            wanted = true;
            if ((slot->arrived[word].fetch_or(bit) & bit) == 0) {
                sys::signal_eventfd(slot->event.load());
            }
        }
    }
    handlers_at_work.fetch_sub(1);
    return wanted;
}

void on_signal(int number, siginfo_t* info, void* context) {
    const int saved_errno = errno;
    if (caught[number].owner != getpid() || !deliver(number)) {
        pass_on(number, info, context);
    }
    errno = saved_errno;
}

// Those below are called under signals_lock, down to prepare_for_forks.

void catch_signal(int number) noexcept {
    caught_signal& one = caught[number];
    if (one.sets++ > 0) {
        return;
    }
    one.owner = getpid();
    sigaction(number, nullptr, &one.previous);  // before the handler can want to know it
    const bool with_info = (one.previous.sa_flags & SA_SIGINFO) != 0;
    one.previous_with_info = with_info ? one.previous.sa_sigaction : nullptr;
    one.previous_plain = with_info ? SIG_IGN : one.previous.sa_handler;
    struct sigaction ours = {};
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;  // a fiber's stack may be small
    sigfillset(&ours.sa_mask);
    sigaction(number, &ours, nullptr);
}

void release_signal(int number) noexcept {
    caught_signal& one = caught[number];
    if (--one.sets > 0) {
        return;
    }
    struct sigaction current = {};
    sigaction(number, nullptr, &current);
    if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == on_signal) {
        sigaction(number, &one.previous, nullptr);
    }
}

signal_slot& take_slot() {
    for (signal_slot* slot = slots.load(); slot != nullptr; slot = slot->next) {
        if (!slot->in_use) {
            slot->in_use = true;
            return *slot;
        }
    }
    auto* const fresh = new signal_slot;
    fresh->in_use = true;
    fresh->next = slots.load();
    slots.store(fresh);
    return *fresh;
}

using signal_words = std::array<std::uint64_t, words>;

// What the slot's set wanted, which it wants no more.
signal_words take_wanted(signal_slot& slot) noexcept {
    signal_words taken;
    for (std::size_t word = 0; word < words; ++word) {
        taken[word] = slot.wanted[word].exchange(0);
    }
    return taken;
}

// A forked child has no set: nothing of what it inherits may touch the parent's descriptors, and
// the threads that were in a handler or under the lock are not there to leave.
void forget_sets_in_child() noexcept {
    handlers_at_work.store(0);
    for (signal_slot* slot = slots.load(); slot != nullptr; slot = slot->next) {
        take_wanted(*slot);
        if (const int event = slot->event.exchange(-1); event >= 0) {
            sys::close(event);
        }
    }
    for (int number = 1; number <= signal_max; ++number) {
        if (caught[number].sets > 0) {
            caught[number].sets = 1;
            release_signal(number);
        }
    }
    signals_lock.unlock();
}

void prepare_for_forks() {
    static bool prepared = false;
    if (prepared) {
        return;
    }
    const int error = pthread_atfork([] { signals_lock.lock(); }, [] { signals_lock.unlock(); },
                                     forget_sets_in_child);
    if (error != 0) {
        throw std::bad_alloc();  // pthread_atfork(3): its only error
    }
    prepared = true;
}

template <class F>
void for_each_signal(const signal_words& signals, F f) {
    for (std::size_t word = 0; word < words; ++word) {
        for (std::uint64_t rest = signals[word]; rest != 0; rest &= rest - 1) {
            f(number_of(word, rest));
        }
    }
}

// Why a signal cannot be in a set; null if it can.
const char* objection_to(int number) noexcept {
    switch (number) {
    case SIGKILL:
    case SIGSTOP:
        return "cannot be caught";
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
        return "reports a fault, after which nothing can go on";
    default:
        break;
    }
    struct sigaction ignored = {};
    return number < 1 || number > signal_max || sigaction(number, nullptr, &ignored) != 0
               ? "is no signal that a program can use"
               : nullptr;
}

signal_words checked_signals(std::initializer_list<int> numbers) {
    signal_words signals = {};
    for (const int number : numbers) {
        if (const char* const why = objection_to(number)) {
            throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                    "heddle::signal_set: signal " + std::to_string(number) + " " +
                                        why);
        }
        signals[word_of(number)] |= bit_of(number);
    }
    return signals;
}

// Takes the lowest signal of a word that has arrived; 0 if there is none.
int take_arrived(signal_slot& slot, std::size_t word) noexcept {
    std::uint64_t before = slot.arrived[word].load();
    while (before != 0 &&
           !slot.arrived[word].compare_exchange_weak(before, before & (before - 1))) {
    }
    return before == 0 ? 0 : number_of(word, before);
}

// Takes the lowest signal that has arrived; 0 if another wait was quicker.
int take_arrived(signal_slot& slot) noexcept {
    int number = 0;
    for (std::size_t word = 0; word < words && number == 0; ++word) {
        number = take_arrived(slot, word);
    }
    if (number != 0 && std::any_of(std::begin(slot.arrived), std::end(slot.arrived),
                                   [](const auto& word) { return word.load() != 0; })) {
        sys::signal_eventfd(slot.event.load());  // for the others, which this read has unmade
    }
    return number;
}

}  // namespace

io_result wait_signal(signal_slot* of_set, std::int64_t deadline_ns) noexcept {
    if (of_set == nullptr) {
        return -EBADF;
    }
    signal_slot& slot = *of_set;
    for (;;) {
        std::uint64_t count = 0;
        operation what;
        prepare_transfer(what, operation_kind::read, {.fd = slot.event.load()}, &count,
                         sizeof count);
        if (const io_result result = carry_out(what, deadline_ns); result < 0) {
            return result;
        }
        if (const int number = take_arrived(slot)) {
            return number;
        }
    }
}

void throw_signal_error(io_result failure) {
    throw_io_error(failure, "wait for", "a signal");
}

}  // namespace heddle::detail

namespace heddle {
inline namespace v1 {

signal_set::signal_set(std::initializer_list<int> signals) {
    using namespace detail;
    const signal_words wanted = checked_signals(signals);
    const int event = sys::eventfd();
    if (event < 0) {
        throw std::system_error(-event, std::system_category(),
                                "heddle::signal_set: no descriptor to wait for signals with");
    }
    const std::lock_guard guard(signals_lock);
    try {
        prepare_for_forks();
        slot_ = &take_slot();
    } catch (...) {
        sys::close(event);
        throw;
    }
    slot_->event.store(event);
    for (std::size_t word = 0; word < words; ++word) {
        slot_->wanted[word].store(wanted[word]);
    }
    for_each_signal(wanted, catch_signal);
}

signal_set::signal_set(std::initializer_list<int> signals, std::error_code& ec) noexcept {
    ec.clear();
    try {
        signal_set made(signals);
        std::swap(slot_, made.slot_);
    } catch (const std::system_error& error) {
        ec = error.code();
    } catch (const std::bad_alloc&) {
        ec = std::make_error_code(std::errc::not_enough_memory);
    }
}

signal_set::~signal_set() {
    using namespace detail;
    if (slot_ == nullptr) {
        return;
    }
    const std::lock_guard guard(signals_lock);
    for_each_signal(take_wanted(*slot_), release_signal);
    while (handlers_at_work.load() != 0) {
        sched_yield();  // a handler may still write to our descriptor
    }
    if (const int event = slot_->event.exchange(-1); event >= 0) {  // not so in a forked child
        sys::close(event);
    }
    for (std::atomic<std::uint64_t>& word : slot_->arrived) {
        word.store(0);
    }
    slot_->in_use = false;
}

}  // namespace v1
}  // namespace heddle
