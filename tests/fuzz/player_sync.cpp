// What a fiber does with mutexes, condition variables, semaphores, events and latches.
#include "tests/fuzz/player.hpp"

#include <mutex>
#include <utility>

namespace heddle::fuzz {

void player::locked(const step& one, std::size_t from) {
    const std::size_t number = one.object(world_.mutexes.size());
    if (number < self_.locks) {
        return run(from, one.end);  // without: it would be out of order
    }
    known_mutex& here = world_.mutexes[number];
    if (one.what == verb::try_lock) {
        if (!here.mutex.try_lock()) {
            require(here.owner != nullptr || world_.fibers().waiting(place::mutex, number) != 0 ||
                        world_.fibers().waiting(place::condition, 0) != 0,
                    "a free mutex was refused");
            return;
        }
    } else if (!lock(here, one, number)) {
        return;
    }
    here.taken_by(self_);
    struct unlocker {
        world& shared;
        known_mutex& of;
        actor& self;
        std::size_t locks_before;
        ~unlocker() {
            ++shared.changes;
            self.locks = locks_before;
            of.let_go_by(self);
        }
    } const at_end{world_, here, self_, std::exchange(self_.locks, number + 1)};
    run(from, one.end);
}

bool player::lock(known_mutex& here, const step& one, std::size_t number) {
    const bool endlessly = one.until() == patience::endless;
    const waiting now(world_, self_, {{place::mutex, number}},
                      endlessly ? lasting::endlessly : lasting::briefly);
    if (endlessly) {
        here.mutex.lock();
        return true;
    }
    return here.mutex.try_lock_until(to_deadline(one.until()));
}

void player::acquire(const step& one) {
    const std::size_t number = one.object(world_.semaphores.size());
    known_semaphore& here = world_.semaphores[number];
    const bool must_wait = here.is_empty();
    const std::uint64_t order = must_wait ? here.next_place++ : 0;
    wait(
        one, {{place::semaphore, number}},
        [&](deadline limit, auto&... ec) {
            if (sizeof...(ec) == 0 && one.more() % 2 == 1) {
                if (!here.semaphore.try_acquire_until(limit)) {
                    throw std::system_error(std::make_error_code(std::errc::timed_out));
                }
            } else {
                here.semaphore.acquire(limit, ec...);
            }
        },
        [&](outcome how) {
            if (how == outcome::done) {
                must_wait ? here.taken_at(order) : here.taken();
            }
        });
}

void player::try_acquire(const step& one) {
    const std::size_t number = one.object(world_.semaphores.size());
    known_semaphore& here = world_.semaphores[number];
    if (here.semaphore.try_acquire()) {
        require(here.free > world_.fibers().waiting_surely(place::semaphore, number),
                "a permit was taken ahead of one who waits");
        here.taken();
    } else {
        require(here.free == 0 || world_.fibers().waiting(place::semaphore, number) > 0,
                "a permit that is there was refused");
    }
}

void player::release(const step& one) {
    known_semaphore& semaphore = world_.semaphores[one.object(3)];
    const auto count = static_cast<std::ptrdiff_t>(one.more());
    semaphore.free += count;
    semaphore.semaphore.release(count);
}

void player::wait_event(const step& one) {
    known_event& manual = world_.event;
    known_auto_event& automatic = world_.auto_event;
    const bool is_automatic = one.object(2) == 1;
    const int sets = manual.sets - (manual.set ? 1 : 0);
    wait(
        one, {{place::event, one.object(2)}},
        [&](deadline limit, auto&... ec) {
            is_automatic ? automatic.event.wait(limit, ec...) : manual.event.wait(limit, ec...);
        },
        [&](outcome how) {
            if (how == outcome::done && is_automatic) {
                automatic.passed();
            } else if (how == outcome::done) {
                require(manual.sets > sets, "an event that nobody set let a fiber go on");
            }
        });
}

void player::try_event(const step& one) {
    if (one.object(2) == 0) {
        require(world_.event.event.try_wait() == world_.event.set, "an event forgot what it is");
    } else if (world_.auto_event.event.try_wait()) {
        world_.auto_event.passed();
    }
}

void player::set_event(const step& one) {
    if (one.object(2) == 0) {
        world_.event.set = true;
        ++world_.event.sets;
        world_.event.event.set();
    } else {
        world_.auto_event.set();
    }
}

void player::reset_event(const step& one) {
    if (one.object(2) == 0) {
        world_.event.set = false;
        world_.event.event.reset();
    } else {
        world_.auto_event.reset();
    }
}

void player::wait_latch(const step& one) {
    const std::size_t number = one.object(world_.latches.size());
    known_latch& here = world_.latches[number];
    wait(
        one, {{place::latch, number}},
        [&](deadline limit, auto&... ec) { here.latch.wait(limit, ec...); },
        [&](outcome how) {
            require(how != outcome::done || here.left == 0, "a latch opened too early");
        });
}

void player::count_down(const step& one) {
    known_latch& latch = world_.latches[one.object(2)];
    if (latch.left > 0) {
        --latch.left;
        latch.latch.count_down();
    }
}

// A lock of the program's own, which the condition variable knows nothing about.
struct plain_lock {
    heddle::mutex& mutex;
    void lock() { mutex.lock(); }
    void unlock() { mutex.unlock(); }
};

// Of the mutexes that are held, the last: the others come before it, and so may stay locked.
void player::wait_condition(const step& one) {
    if (self_.locks == 0) {
        return;
    }
    known_mutex& held = world_.mutexes[self_.locks - 1];
    if (held.owner != &self_) {
        return;
    }
    known_condition& here = world_.condition;
    std::unique_lock<heddle::timed_mutex> guard(held.mutex, std::adopt_lock);
    plain_lock other{held.mutex};
    held.owner = nullptr;
    self_.place_in_line = here.next_place++;
    const int notified_before = here.notifications;
    const auto by = [&](auto& lock, deadline limit, auto&... ec) {
        if (here.condition.wait_until(lock, limit, ec...) == std::cv_status::timeout &&
            (... && !ec)) {
            throw std::system_error(std::make_error_code(std::errc::timed_out));
        }
    };
    const auto call = [&](deadline limit, auto&... ec) {
        switch (one.more()) {
        case 0:
            return by(held.mutex, limit, ec...);
        case 1:
            return by(guard, limit, ec...);
        default:
            return by(other, limit, ec...);
        }
    };
    struct keeper {
        std::unique_lock<heddle::timed_mutex>& guard;
        ~keeper() { guard.release(); }  // the block unlocks it
    } const at_end{guard};
    const bool endlessly = until(one) == patience::endless;
    wait(
        one, {{place::condition, 0}},
        [&](deadline limit, auto&... ec) {
            self_.how_long = endlessly ? lasting::endlessly : lasting::perhaps;
            if constexpr (sizeof...(ec) == 0) {
                call(limit);
            } else {
                try {
                    call(limit, ec...);
                } catch (const std::system_error& timed_out) {
                    (..., (ec = timed_out.code()));
                }
            }
        },
        [&](outcome how) {
            held.taken_by(self_);
            require(how == outcome::done || !self_.notified, "a notification was lost");
            require(how != outcome::done || here.notifications != notified_before,
                    "a fiber was notified by nobody");
        });
}

}  // namespace heddle::fuzz
