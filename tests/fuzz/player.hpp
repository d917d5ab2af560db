// A fiber that plays its routine. What it does is spread over player*.cpp by kinds of objects.
#pragma once

#include "tests/fuzz/world.hpp"

#include "heddle/error.hpp"
#include "heddle/time.hpp"

#include <cstddef>
#include <initializer_list>
#include <system_error>
#include <vector>

namespace heddle::fuzz {

enum class outcome : unsigned char { done, timed_out, cancelled, closed, other };

outcome to_outcome(const std::error_code& code);
deadline to_deadline(patience until);

struct open_scope;

class player {
public:
    player(world& shared, actor& self)
        : world_(shared),
          self_(self),
          steps_(shared.program().routine[self.routine]) {}

    /// Plays the routine, and returns the fiber's value. May throw what ends a fiber.
    int play();

private:
    // Notes where the fiber waits, if it has to, for the time of a call.
    struct waiting {
        world& shared;
        actor& self;
        waiting(world& w, actor& s, std::initializer_list<spot> where, lasting how_long);
        waiting(const waiting&) = delete;
        waiting& operator=(const waiting&) = delete;
        ~waiting();
    };

    // player.cpp
    void run(std::size_t from, std::size_t to);
    void block(const step& one, std::size_t from);
    void act(const step& one);
    void act_on_object(const step& one);
    void shielded(const step& one, std::size_t from);
    struct goodbye;
    void sleep(const step& one);
    void check_cancelled(const step& one);
    void was_cancelled();
    bool must_be_cancelled() const;
    patience until(const step& one) const;
    void judge(outcome how, bool must_have_been_cancelled, patience limit);

    // player_fibers.cpp
    void spawn(const step& one);
    void spawn_detached(const step& one);
    void stop(const step& one);
    void detach(const step& one);
    void drop(const step& one);
    void join(const step& one);

    // player_sync.cpp
    void locked(const step& one, std::size_t from);
    bool lock(known_mutex& here, const step& one, std::size_t number);
    void wait_condition(const step& one);
    void acquire(const step& one);
    void try_acquire(const step& one);
    void release(const step& one);
    void wait_event(const step& one);
    void try_event(const step& one);
    void set_event(const step& one);
    void reset_event(const step& one);
    void wait_latch(const step& one);
    void count_down(const step& one);

    // player_channels.cpp
    template <class Act>
    void on_channel(const step& one, Act act);
    void send(const step& one);
    void try_send(const step& one);
    void recv(const step& one);
    void try_recv(const step& one);
    void close(const step& one);

    // player_select.cpp
    struct offer;
    auto received(std::size_t channel);
    template <class With>
    void choose(const step& one, std::initializer_list<spot> where, With with);
    void select(const step& one);
    void select_join(const step& one, std::size_t a);
    void select_now(const step& one, std::size_t a, std::size_t b);

    // player_scopes.cpp
    void scoped(const step& one, std::size_t from);
    void with_scope(const step& one, std::size_t from);
    void spawn_child(const step& one);
    void cancel_scope();
    void get_child(const step& one);
    void check_failure(const program_error& error) const;

    /// Calls a cancellation point, `call(deadline)` or `call(deadline, error_code&)`, compares how
    /// it ended with what was possible, and tells `note`. Cancellation goes on as an exception if
    /// the call threw it.
    template <class Call, class Note>
    void wait(const step& one, std::initializer_list<spot> where, Call call, Note note) {
        const patience limit = until(one);
        const bool must = must_be_cancelled();
        const waiting here(world_, self_, where,
                           limit == patience::endless ? lasting::endlessly : lasting::briefly);
        const auto ended = [&](outcome how) {
            judge(how, must, limit);
            note(how);
        };
        if (!one.throws()) {
            std::error_code ec;
            call(to_deadline(limit), ec);
            ended(to_outcome(ec));
            return;
        }
        try {
            call(to_deadline(limit));
        } catch (const heddle::cancelled&) {
            ended(outcome::cancelled);
            throw;
        } catch (const std::system_error& error) {
            ended(to_outcome(error.code()));
            return;
        }
        ended(outcome::done);
    }

    world& world_;
    actor& self_;
    const std::vector<step>& steps_;
    open_scope* innermost_ = nullptr;
};

}  // namespace heddle::fuzz
