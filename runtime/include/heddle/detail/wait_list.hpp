// Who waits for a primitive: the part of the wait protocol that lies in the primitives themselves.
// What can be done with it, the archive knows (runtime/core/wait_list.hpp).
#pragma once

#include <heddle/detail/abi.hpp>

#include <atomic>

#pragma GCC visibility push(default)

namespace heddle::detail {

struct fiber_block;

/// A flow's place in the list of what it waits for. For a single thing, a fiber's lies with its
/// stack and a plain thread's in its frame; those of a select lie in its cases. Under the lock of
/// the list.
struct waiter {
    waiter* next;        ///< null in no list
    waiter* previous;    ///< while in one; null once it was taken out and claimed
    fiber_block* block;  ///< whose wait it is
    void* object;        ///< what the primitive wants to know of it: where a value goes, say
};

/// Guards a few words for a few instructions, during which nobody gives way or sleeps. Not taken
/// while the process has one thread: no fiber can come between then.
class spin_lock {
public:
    constexpr spin_lock() noexcept = default;
    void lock() noexcept;
    void unlock() noexcept;

private:
    std::atomic<bool> held_ = false;
};

/// Waiters in the order in which they are to be served. Under the lock of the primitive.
class wait_list {
public:
    constexpr wait_list() noexcept = default;
    wait_list(const wait_list&) = delete;
    wait_list& operator=(const wait_list&) = delete;

    bool empty() const noexcept { return first_ == nullptr; }
    waiter& front() const noexcept { return *first_; }
    void push_back(waiter& last) noexcept;
    void push_front(waiter& first) noexcept;
    waiter& pop_front() noexcept;
    void remove(waiter& linked) noexcept;

private:
    waiter* first_ = nullptr;  // of a ring: the last precedes it
};

}  // namespace heddle::detail

#pragma GCC visibility pop
