// How a fiber goes through its routine, and what is true of every wait.
#include "tests/fuzz/player.hpp"

#include "heddle/cancel.hpp"
#include "heddle/fiber.hpp"
#include "heddle/runtime.hpp"

#include <algorithm>
#include <chrono>
#include <exception>

namespace heddle::fuzz {

outcome to_outcome(const std::error_code& code) {
    return code == std::errc::timed_out            ? outcome::timed_out
           : code == std::errc::operation_canceled ? outcome::cancelled
           : code == errc::closed                  ? outcome::closed
           : code                                  ? outcome::other
                                                   : outcome::done;
}

deadline to_deadline(patience until) {
    switch (until) {
    case patience::endless:
        return deadline::never();
    case patience::past:
        return deadline(-std::chrono::hours(1));
    case patience::short_while:
        return deadline(std::chrono::microseconds(1));
    default:
        return deadline(std::chrono::microseconds(20));
    }
}

player::waiting::waiting(world& w, actor& s, std::initializer_list<spot> where, lasting how_long)
    : shared(w),
      self(s) {
    std::copy(where.begin(), where.end(), self.spots.begin());
    self.spot_count = where.size();
    self.how_long = how_long;
}
player::waiting::~waiting() {
    self.spot_count = 0;
    self.notified = false;
    ++shared.changes;
}

int player::play() {
    self_.begun = true;
    // However the fiber ends, it has ended then.
    struct ending {
        world& shared;
        actor& self;
        ~ending() {
            ++shared.changes;
            require(!self.waits(), "a fiber ended while it waited");
            if (self.lives()) {
                self.ended = actor::end::cancelled;
            }
        }
    } const at_end{world_, self_};
    try {
        run(0, steps_.size());
    } catch (const program_error&) {
        if (!self_.must_not_throw) {
            self_.ended = actor::end::exception;
            throw;
        }
    }
    self_.ended = actor::end::value;
    return self_.number;
}

void player::run(std::size_t from, std::size_t to) {
    for (std::size_t at = from; at < to; ++at) {
        const step& one = steps_[at];
        if (begins_block(one.what)) {
            block(one, at + 1);
            at = one.end;
        } else {
            act(one);
        }
    }
}

// Waits in its destructor: shielded while an exception is on its way, else cancelled like
// any other code, but not by an exception.
struct player::goodbye {
    player& by;
    step last;
    int exceptions = std::uncaught_exceptions();

    goodbye(player& p, const step& one) : by(p), last(one) {
        last.operand |= 0x20U;
        if (one.until() == patience::endless) {
            last.operand |= 0x08U;
        }
    }
    goodbye(const goodbye&) = delete;
    goodbye& operator=(const goodbye&) = delete;
    ~goodbye() {
        const int shield = std::uncaught_exceptions() > exceptions ? 1 : 0;
        by.self_.shields += shield;
        if (last.more() % 2 == 0) {
            by.sleep(last);
        } else {
            by.acquire(last);
        }
        by.self_.shields -= shield;
    }
};

void player::block(const step& one, std::size_t from) {
    switch (one.what) {
    case verb::lock:
    case verb::try_lock:
        locked(one, from);
        break;
    case verb::shield:
        shielded(one, from);
        break;
    case verb::scope:
        scoped(one, from);
        break;
    case verb::with_scope:
        with_scope(one, from);
        break;
    case verb::at_exit: {
        const goodbye last{*this, one};
        run(from, one.end);
        break;
    }
    default:
        try {
            run(from, one.end);
        } catch (...) {
            world_.changes++;  // code that catches everything, cancellation included
        }
        break;
    }
}

void player::act(const step& one) {
    switch (one.what) {
    case verb::yield:
        this_fiber::yield();
        break;
    case verb::sleep:
        sleep(one);
        break;
    case verb::check_cancelled:
        check_cancelled(one);
        break;
    case verb::look:
        world_.look();
        break;
    case verb::spawn:
        spawn(one);
        break;
    case verb::spawn_detached:
        spawn_detached(one);
        break;
    case verb::join:
        join(one);
        break;
    case verb::stop:
        stop(one);
        break;
    case verb::detach:
        detach(one);
        break;
    case verb::drop:
        drop(one);
        break;
    case verb::fail:
        throw program_error(self_.number);
    case verb::trim:
        heddle::trim();
        break;
    default:
        act_on_object(one);
        break;
    }
}

void player::act_on_object(const step& one) {
    ++world_.changes;
    switch (one.what) {
    case verb::acquire:
        return acquire(one);
    case verb::try_acquire:
        return try_acquire(one);
    case verb::release:
        return release(one);
    case verb::wait_event:
        return wait_event(one);
    case verb::try_event:
        return try_event(one);
    case verb::set_event:
        return set_event(one);
    case verb::reset_event:
        return reset_event(one);
    case verb::wait_latch:
        return wait_latch(one);
    case verb::count_down:
        return count_down(one);
    case verb::send:
        return send(one);
    case verb::try_send:
        return try_send(one);
    case verb::recv:
        return recv(one);
    case verb::try_recv:
        return try_recv(one);
    case verb::close:
        return close(one);
    case verb::wait_condition:
        return wait_condition(one);
    case verb::select:
        return select(one);
    case verb::spawn_child:
        return spawn_child(one);
    case verb::cancel_scope:
        return cancel_scope();
    case verb::get_child:
        return get_child(one);
    case verb::notify_one:
        return world_.condition.notify_one(world_.fibers());
    case verb::notify_all:
        return world_.condition.notify_all(world_.fibers());
    case verb::frail:
        frail_parcel::moves_left = static_cast<int>(one.object(8)) - 1;
        frail_parcel::moves_yield = one.more() % 2 == 1;
        return;
    default:
        return;
    }
}

/// What cannot be cancelled needs an end of its own.
patience player::until(const step& one) const {
    return one.until() == patience::endless && self_.shields > 0 ? patience::while_longer
                                                                 : one.until();
}

bool player::must_be_cancelled() const {
    return self_.stop_asked && self_.shields == 0 && self_.short_shields == 0;
}

void player::was_cancelled() {
    require(!self_.is_shielded(), "a shielded fiber was cancelled");
    if (!self_.stop_asked) {
        world_.explain_cancellation(self_);
    }
}

void player::judge(outcome how, bool must_have_been_cancelled, patience limit) {
    if (how == outcome::cancelled) {
        was_cancelled();
    }
    require(how == outcome::cancelled || !must_have_been_cancelled,
            "a fiber that was asked to stop was not cancelled");
    require(how != outcome::timed_out || limit != patience::endless, "an endless wait timed out");
    require(how != outcome::other, "a wait ended with an error");
}

void player::sleep(const step& one) {
    step finite = one;
    finite.operand |= one.until() == patience::endless ? 0x08U : 0U;  // in the past, then
    wait(
        finite, {{place::sleep, 0}},
        [](deadline limit, auto&... ec) { this_fiber::sleep_until(limit, ec...); },
        [](outcome how) { require(how != outcome::timed_out, "a sleep timed out"); });
}

void player::check_cancelled(const step& one) {
    const bool must = must_be_cancelled();
    bool said = false;
    if (one.throws()) {
        try {
            this_fiber::check_cancelled();
        } catch (const heddle::cancelled&) {
            was_cancelled();
            throw;
        }
    } else {
        std::error_code ec;
        this_fiber::check_cancelled(ec);
        said = ec == std::errc::operation_canceled;
        if (said) {
            was_cancelled();
        }
    }
    require(said || !must, "a fiber that was asked to stop does not know it");
}

void player::shielded(const step& one, std::size_t from) {
    struct counted {
        int& count;
        explicit counted(int& c) : count(c) { ++count; }
        ~counted() { --count; }
    } const now(one.until() == patience::endless ? self_.shields : self_.short_shields);
    const heddle::shield held(to_deadline(one.until()));
    run(from, one.end);
}

int play_routine(world& shared, actor& self) {
    return player(shared, self).play();
}

}  // namespace heddle::fuzz
