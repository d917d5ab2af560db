// The objects that the fibers of a program share, each beside what is known about it. All that is
// known changes together with the object as far as the program can see: when an operation returns.
#pragma once

#include "tests/fuzz/actor.hpp"

#include "heddle/condition_variable.hpp"
#include "heddle/event.hpp"
#include "heddle/latch.hpp"
#include "heddle/mutex.hpp"
#include "heddle/semaphore.hpp"

#include <cstddef>
#include <cstdint>

namespace heddle::fuzz {

struct known_mutex {
    heddle::timed_mutex mutex;
    const actor* owner = nullptr;

    void taken_by(const actor& self) {
        require(owner == nullptr, "a mutex was locked by two");
        owner = &self;
    }
    void let_go_by(const actor& self) {
        require(owner == &self, "a mutex changed its owner");
        owner = nullptr;
        mutex.unlock();
    }
    bool keeps_waiting(const actors& fibers, std::size_t number) const {
        return owner == nullptr && fibers.waiting(place::mutex, number) > 0;
    }
    void finish() {
        require(owner == nullptr, "a fiber ended with a mutex");
        require(mutex.try_lock(), "a mutex stayed locked");
        mutex.unlock();
    }
};

struct known_semaphore {
    explicit known_semaphore(std::ptrdiff_t permits) : semaphore(permits), free(permits) {}

    heddle::counting_semaphore<> semaphore;
    std::ptrdiff_t free;  ///< those that waiters were given but have not returned with, included
    std::uint64_t next_place = 0;    ///< in the order in which they begin to wait
    std::uint64_t served_place = 0;  ///< the last that was served of those, and one

    /// Whether everybody who comes now must wait.
    bool is_empty() const { return free == 0; }

    void taken() {
        --free;
        require(free >= 0, "a semaphore gave more permits than it had");
    }
    /// By one who came when there was none.
    void taken_at(std::uint64_t number) {
        taken();
        require(number >= served_place, "waiters of a semaphore overtook each other");
        served_place = number + 1;
    }
    bool keeps_waiting(const actors& fibers, std::size_t number) const {
        return free > 0 && fibers.waiting_surely(place::semaphore, number) > 0;
    }
    void finish() {
        std::ptrdiff_t left = 0;
        while (semaphore.try_acquire()) {
            ++left;
        }
        require(left == free, "a semaphore does not have the permits that are left");
    }
};

struct known_condition {
    heddle::condition_variable condition;
    std::uint64_t next_place = 0;  ///< of who waits
    int notifications = 0;

    void notify_one(actors& fibers) {
        ++notifications;
        actor* first = nullptr;
        for (actor& one : fibers) {
            if (one.waits_at(place::condition, 0) && !one.notified &&
                (first == nullptr || one.place_in_line < first->place_in_line)) {
                first = &one;
            }
        }
        // Whether one that something else may end waits still, nobody knows.
        if (first != nullptr && first->waits_surely(place::condition, 0)) {
            first->notified = true;
        }
        condition.notify_one();
    }
    void notify_all(actors& fibers) {
        ++notifications;
        for (actor& one : fibers) {
            one.notified |= one.waits_surely(place::condition, 0);
        }
        condition.notify_all();
    }
};

struct known_event {
    heddle::event event;
    bool set = false;
    int sets = 0;  ///< how often it was set

    bool keeps_waiting(const actors& fibers, std::size_t number) const {
        return set && fibers.waiting_surely(place::event, number) > 0;
    }
    void finish() const { require(event.is_set() == set, "an event forgot what it is"); }
};

struct known_auto_event {
    heddle::auto_reset_event event;
    int passes = 0;  ///< how many may yet pass: it is set, or has let them go on

    void set() {
        passes += event.is_set() ? 0 : 1;
        event.set();
    }
    void reset() {
        passes -= event.is_set() ? 1 : 0;
        event.reset();
    }

    void passed() {
        --passes;
        require(passes >= 0, "an automatic event let more pass than it was set");
    }
    bool keeps_waiting(const actors& fibers, std::size_t number) const {
        return event.is_set() && fibers.waiting_surely(place::event, number) > 0;
    }
    void finish() const {
        require(passes == (event.is_set() ? 1 : 0), "an automatic event forgot what it is");
    }
};

struct known_latch {
    explicit known_latch(std::ptrdiff_t expected) : latch(expected), left(expected) {}

    heddle::latch latch;
    std::ptrdiff_t left;

    bool keeps_waiting(const actors& fibers, std::size_t number) const {
        return left == 0 && fibers.waiting_surely(place::latch, number) > 0;
    }
    void finish() const { require(latch.try_wait() == (left == 0), "a latch forgot its count"); }
};

}  // namespace heddle::fuzz
