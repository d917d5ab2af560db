// The one door to atomic read-modify-writes, for the archive and for what is inline in headers.
//
// While the process has one thread nobody can interfere, and plain loads and stores do the same
// work at a tenth of the cost. glibc knows whether that is so (__libc_single_threaded, since 2.32;
// it turns false before a second thread is created and may never turn true again;
// tests set it to have either path); elsewhere the
// atomic instruction is always used. Each operation asks once. What a signal handler may call must
// not come through here, because a handler can interrupt the two halves of a plain exchange.
//
// A model checker stands here too: it replaces these functions to see every shared access.
#pragma once

#include <heddle/detail/abi.hpp>

#include <atomic>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define HEDDLE_KNOWS_SINGLE_THREADED 1
#endif

#pragma GCC visibility push(default)

namespace heddle::detail {

/// Whether plain loads and stores may stand in for atomic read-modify-writes just now.
inline bool single_threaded() noexcept {
#ifdef HEDDLE_KNOWS_SINGLE_THREADED
    return __libc_single_threaded != 0;
#else
    return false;
#endif
}

/// Replaces `expected` by `desired` and says whether it did. Acquires and releases.
template <class T>
bool exchange_if(std::atomic<T>& word, T expected, T desired) noexcept {
    if (single_threaded()) [[likely]] {
        if (word.load(std::memory_order_relaxed) != expected) {
            return false;
        }
        word.store(desired, std::memory_order_relaxed);
        return true;
    }
    return word.compare_exchange_strong(expected, desired, std::memory_order_acq_rel,
                                        std::memory_order_acquire);
}

/// Stores `desired` and returns what was there. Acquires and releases.
template <class T>
T exchange(std::atomic<T>& word, T desired) noexcept {
    if (single_threaded()) [[likely]] {
        const T old = word.load(std::memory_order_relaxed);
        word.store(desired, std::memory_order_relaxed);
        return old;
    }
    return word.exchange(desired, std::memory_order_acq_rel);
}

/// Adds `count`, with the wrap of an unsigned number, and returns what was there. Acquires and
/// releases.
template <class T>
T add(std::atomic<T>& word, T count) noexcept {
    if (single_threaded()) [[likely]] {
        const T old = word.load(std::memory_order_relaxed);
        word.store(static_cast<T>(old + count), std::memory_order_relaxed);
        return old;
    }
    return word.fetch_add(count, std::memory_order_acq_rel);
}

/// Sets the bits of `bits` and returns what was there. Acquires and releases.
template <class T>
T set_bits(std::atomic<T>& word, T bits) noexcept {
    if (single_threaded()) [[likely]] {
        const T old = word.load(std::memory_order_relaxed);
        word.store(static_cast<T>(old | bits), std::memory_order_relaxed);
        return old;
    }
    return word.fetch_or(bits, std::memory_order_acq_rel);
}

}  // namespace heddle::detail

#pragma GCC visibility pop
