#include "tests/fuzz/world.hpp"

namespace heddle::fuzz {

actor* world::add_fiber(std::size_t routine) {
    if (fibers_.count == fibers_.all.size()) {
        return nullptr;
    }
    actor& added = fibers_.all[fibers_.count];
    added.number = static_cast<int>(fibers_.count++);
    added.routine = routine;
    added.perhaps_stopped = anybody_may_be_stopped();
    return &added;
}

void world::play_main() {
    frail_parcel::moves_left = -1;
    frail_parcel::moves_yield = false;
    actor& self = *add_fiber(0);
    try {
        static_cast<void>(play_routine(*this, self));
        look();
    } catch (...) {
        end();
        throw;
    }
    end();
}

// Every fiber that is left is asked to stop now.
void world::end() {
    ending_ = true;
    for (actor& one : fibers_) {
        one.perhaps_stopped = true;
    }
}

void world::detached_threw(const program_error& error) {
    require(fibers_.all[static_cast<std::size_t>(error.number)].detached,
            "the exception of a fiber that has a handle was taken for a detached one's");
}

void world::require_nobody_forgotten() const {
    const char* const forgotten = "a fiber waits for what is there";
    for (std::size_t i = 0; i < mutexes.size(); ++i) {
        require(!mutexes[i].keeps_waiting(fibers_, i), forgotten);
    }
    for (std::size_t i = 0; i < semaphores.size(); ++i) {
        require(!semaphores[i].keeps_waiting(fibers_, i), forgotten);
    }
    for (std::size_t i = 0; i < channels.size(); ++i) {
        require(!channels[i].keeps_waiting(fibers_, values, i), forgotten);
    }
    for (std::size_t i = 0; i < frail_channels.size(); ++i) {
        require(!frail_channels[i].keeps_waiting(fibers_, values, channels.size() + i), forgotten);
    }
    for (const actor& one : fibers_) {
        require(!one.notified || one.locks == 0 || mutexes[one.locks - 1].owner != nullptr,
                "a fiber that was notified does not get its mutex");
    }
    require(!event.keeps_waiting(fibers_, 0), forgotten);
    require(!auto_event.keeps_waiting(fibers_, 1), forgotten);
    for (std::size_t i = 0; i < latches.size(); ++i) {
        require(!latches[i].keeps_waiting(fibers_, i), forgotten);
    }
    for (std::size_t i = 0; i < slots.size(); ++i) {
        require(slots[i].who == nullptr || slots[i].who->lives() ||
                    fibers_.waiting_surely(place::join, i) == 0,
                forgotten);
    }
}

void world::look() {
    // Whoever has been let go on is runnable, and so has run after two turns of everybody.
    const std::uint64_t before = changes + frail_parcel::moves;
    this_fiber::yield();
    this_fiber::yield();
    if (changes + frail_parcel::moves == before) {
        require_nobody_forgotten();
    }
}

void world::explain_cancellation(const actor& seen_by) {
    if (deadlocked_ || ending_) {
        return;
    }
    if (seen_by.perhaps_stopped || perhaps_deadlocked_) {
        // Or a scope's end; and others have gone on since.
        perhaps_deadlocked_ = true;
        for (actor& one : fibers_) {
            one.perhaps_stopped = true;
        }
        return;
    }
    require(seen_by.waits() && seen_by.how_long != lasting::briefly,
            "a fiber that does not wait was cancelled, and nobody had asked for that");
    for (const actor& one : fibers_) {
        require(!one.lives() || (one.begun && one.waits() && one.how_long != lasting::briefly),
                "a fiber was cancelled though nobody had asked for that and others can go on");
    }
    require_nobody_forgotten();
    deadlocked_ = true;
    for (actor& one : fibers_) {
        one.stop_asked = true;
    }
}

void world::finish() {
    for (const actor& one : fibers_) {
        require(one.begun && !one.lives(), "a fiber was left behind");
    }
    for (slot& left : slots) {
        if (left.who != nullptr) {
            std::error_code ec;
            try {
                const std::optional<int> value = left.handle.join(ec);
                require(value ? left.who->ended == actor::end::value && *value == left.who->number
                              : left.who->ended == actor::end::cancelled &&
                                    ec == std::errc::operation_canceled,
                        "a handle that outlived run() gave something else");
            } catch (const program_error& error) {
                require(left.who->ended == actor::end::exception &&
                            error.number == left.who->number,
                        "a handle that outlived run() threw something else");
            }
        }
    }
    for (known_mutex& one : mutexes) {
        one.finish();
    }
    for (known_semaphore& one : semaphores) {
        one.finish();
    }
    const bool drain = !program_.keeps_values;
    frail_parcel::moves_left = -1;
    for (std::size_t i = 0; i < channels.size(); ++i) {
        channels[i].finish(values, i, drain);
    }
    for (std::size_t i = 0; i < frail_channels.size(); ++i) {
        frail_channels[i].finish(values, channels.size() + i, drain);
    }
    event.finish();
    auto_event.finish();
    for (const known_latch& one : latches) {
        one.finish();
    }
}

}  // namespace heddle::fuzz
