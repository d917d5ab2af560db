// One program while it is played: its fibers, their handles, and the objects that they share.
#pragma once

#include "tests/fuzz/actor.hpp"
#include "tests/fuzz/objects.hpp"
#include "tests/fuzz/script.hpp"
#include "tests/fuzz/values.hpp"

#include "heddle/fiber.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace heddle::fuzz {

/// What the steps of a program throw.
struct program_error : std::runtime_error {
    explicit program_error(int thrower)
        : std::runtime_error("thrown by a program"),
          number(thrower) {}
    int number;
};

/// A handle that any fiber of the program may use.
struct slot {
    heddle::fiber<int> handle;
    actor* who = nullptr;
    bool in_use = false;  ///< by a join; another may only ask the fiber to stop meanwhile
};

class world {
public:
    explicit world(const script& program) : program_(program) {}

    const script& program() const { return program_; }
    actors& fibers() { return fibers_; }

    void play_main();
    void detached_threw(const program_error& error);
    /// Looks at everything when run() has returned.
    void finish();

    /// Somebody was cancelled though nobody asked for that: by a deadlock, or by the end.
    void explain_cancellation(const actor& seen_by);
    bool deadlocked() const { return deadlocked_; }
    bool perhaps_deadlocked() const { return deadlocked_ || perhaps_deadlocked_; }

    /// By the end of the main fiber, by a deadlock that was taken for a scope's end, or by one that
    /// comes after the first.
    bool anybody_may_be_stopped() const { return ending_ || perhaps_deadlocked(); }

    /// Nobody may wait for what is there, but those who are about to run.
    void look();

    /// A new fiber, or null where there are enough.
    actor* add_fiber(std::size_t routine);

    std::array<slot, 8> slots;
    std::array<known_mutex, 3> mutexes;
    std::array<known_semaphore, 3> semaphores = {known_semaphore(0), known_semaphore(1),
                                                 known_semaphore(3)};
    known_condition condition;
    known_event event;
    known_auto_event auto_event;
    std::array<known_latch, 2> latches = {known_latch(1), known_latch(3)};
    known_values values;
    std::array<known_channel<parcel>, 3> channels = {
        known_channel<parcel>(0), known_channel<parcel>(1), known_channel<parcel>(3)};
    std::array<known_channel<frail_parcel>, 3> frail_channels = {known_channel<frail_parcel>(0),
                                                                 known_channel<frail_parcel>(1),
                                                                 known_channel<frail_parcel>(3)};
    std::uint64_t changes = 0;  ///< operations that have been begun or have ended

private:
    void end();
    void require_nobody_forgotten() const;

    const script& program_;
    actors fibers_;
    bool deadlocked_ = false;
    bool perhaps_deadlocked_ = false;
    bool ending_ = false;  ///< the main fiber has returned, or is about to
};

/// Lets `self` play its routine, and returns its value. May throw what ends a fiber.
int play_routine(world& shared, actor& self);

}  // namespace heddle::fuzz
