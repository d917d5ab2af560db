// What a program knows about its own fibers, so that it can tell what the runtime may say to them.
#pragma once

#include "tests/fuzz/script.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace heddle::fuzz {

/// What a fiber waits at.
enum class place : unsigned char {
    nowhere,
    sleep,
    join,
    drop,
    mutex,
    condition,
    semaphore,
    event,
    latch,
    send,
    recv,
    scope,
};

/// Whether a wait can last for ever. `perhaps`: nobody knows whether its end has already come, and
/// the fiber now waits for something that belongs to its way out, as a mutex.
enum class lasting : unsigned char { briefly, perhaps, endlessly };

struct spot {
    place where = place::nowhere;
    std::size_t object = 0;
};

/// One fiber of a program.
struct actor {
    enum class end : unsigned char { none, value, exception, cancelled };

    int number = -1;
    std::size_t routine = 0;
    bool begun = false;
    end ended = end::none;
    bool detached = false;
    bool must_not_throw = false;   ///< its handle is about to be dropped
    bool stop_asked = false;       ///< so its next cancellation point must say
    bool perhaps_stopped = false;  ///< so it may say so, too: by the end of the run, or of a scope
    bool stopped_by_program = false;
    int shields = 0;          ///< without a deadline; destructors during unwinding count
    int shields_outside = 0;  ///< of the body of a scope, which may be cancelled all the same
    int short_shields = 0;    ///< with one: nobody knows whether they hold
    std::size_t locks = 0;    ///< mutexes are locked in their order: all below may be held

    std::array<spot, 4> spots = {};  ///< where it waits now; a select waits at several
    std::size_t spot_count = 0;
    lasting how_long = lasting::briefly;
    bool notified = false;                   ///< by a condition variable, and must return
    std::uint64_t place_in_line = 0;         ///< of who waits for a notification
    std::array<std::size_t, 4> offers = {};  ///< the values of a send or a select, by spot

    bool lives() const { return ended == end::none; }
    bool is_shielded() const { return shields > shields_outside; }
    bool waits() const { return spot_count != 0; }
    bool waits_at(place where, std::size_t object) const {
        for (std::size_t i = 0; i < spot_count; ++i) {
            if (spots[i].where == where && spots[i].object == object) {
                return lives();
            }
        }
        return false;
    }
    /// Whether nothing but the object itself can end the wait.
    bool waits_surely(place where, std::size_t object) const {
        return begun && how_long == lasting::endlessly &&
               ((!stop_asked && !perhaps_stopped) || where == place::mutex) &&
               waits_at(where, object);
    }
};

/// All of them. A fiber stays here when it has ended.
struct actors {
    std::array<actor, fibers_max> all;
    std::size_t count = 0;

    actor* begin() { return all.data(); }
    actor* end() { return all.data() + count; }
    const actor* begin() const { return all.data(); }
    const actor* end() const { return all.data() + count; }

    /// Those of which nothing but the object can end the wait, and all that wait at it.
    int waiting_surely(place where, std::size_t object) const {
        int found = 0;
        for (const actor& one : *this) {
            found += one.waits_surely(where, object) ? 1 : 0;
        }
        return found;
    }
    int waiting(place where, std::size_t object) const {
        int found = 0;
        for (const actor& one : *this) {
            found += one.waits_at(where, object) ? 1 : 0;
        }
        return found;
    }
};

/// Says what is wrong, with the program and its fibers, and aborts.
[[noreturn]] void violated(const char* fact);

inline void require(bool holds, const char* fact) {
    if (!holds) [[unlikely]] {
        violated(fact);
    }
}

}  // namespace heddle::fuzz
