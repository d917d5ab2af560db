// A channel for contenders whose libraries have none: a queue with a limit, made of their lock and
// conditions. It gives way as seldom as Go's channels do: a taker that waits gets its value beyond
// the limit, and the value of a sender that waits is in the queue already, so that takers find it
// without waking anybody first.
//
// Of many that may go on one is woken, who wakes the next. For State Threads leave a waiter in the
// list of its condition until it runs, and who signals many in a row walks by all of them: 100
// senders and one taker without room took 180 ns a value that way, instead of 26.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace bench {

/// `Condition` is waited for with a std::unique_lock of a `Mutex`, as std::condition_variable is.
template <std::size_t Capacity, class Mutex, class Condition>
class queue_channel {
public:
    /// Waits while there are more values in the queue than room and than takers that wait.
    void send(std::uint64_t value) {
        std::unique_lock hold(lock_);
        values_[(first_ + count_) % values_.size()] = value;
        ++count_;
        if (count_ > Capacity + takers_)
            wait_for_room(hold);
        else if (takers_ > 0 && !called_)
            call_taker(hold);
    }

    /// Waits while there are no more values than takers that wait already. False once the channel
    /// is closed and empty.
    bool take(std::uint64_t& value) {
        std::unique_lock hold(lock_);
        const bool waits = count_ <= takers_ && !closed_;
        if (waits)
            wait_for_value(hold);
        if (count_ == 0)
            return false;
        value = values_[first_];
        first_ = (first_ + 1) % values_.size();
        --count_;
        if (waits) {
            if (takers_ > 0 && count_ > 0)
                call_taker(hold);
        } else if (senders_ > 0 && count_ < Capacity + takers_ + senders_) {
            --senders_;
            if (released_++ == 0)
                wake(room_, hold);
        }
        return true;
    }

    void close() {
        const std::lock_guard hold(lock_);
        closed_ = true;
        filled_.notify_all();
    }

private:
    static constexpr std::size_t waiting_max = 128;  // takers, and senders

    /// Unlocks first, or the one that is woken may find the lock taken.
    static void wake(Condition& one, std::unique_lock<Mutex>& hold) {
        hold.unlock();
        one.notify_one();
    }

    /// Nobody is left to be told of the value: there is one for each taker that waits.
    void wait_for_room(std::unique_lock<Mutex>& hold) {
        ++senders_;
        do
            room_.wait(hold);
        while (released_ == 0);
        if (--released_ > 0)
            wake(room_, hold);
    }

    void wait_for_value(std::unique_lock<Mutex>& hold) {
        ++takers_;
        do
            filled_.wait(hold);
        while (!called_ && !closed_);
        called_ = false;
        --takers_;
    }

    void call_taker(std::unique_lock<Mutex>& hold) {
        called_ = true;
        wake(filled_, hold);
    }

    Mutex lock_;
    Condition room_;
    Condition filled_;
    std::array<std::uint64_t, std::bit_ceil(Capacity + 2 * waiting_max)> values_{};
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::size_t takers_ = 0;    ///< that wait, and have not gone on
    std::size_t senders_ = 0;   ///< that wait, and have not been released
    std::size_t released_ = 0;  ///< senders that have been, and have not gone on; one is woken
    bool called_ = false;       ///< a taker has been woken, and has not gone on
    bool closed_ = false;
};

}  // namespace bench
