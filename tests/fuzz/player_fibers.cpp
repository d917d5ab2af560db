// What a fiber does with others: spawning, joining, stopping.
#include "tests/fuzz/player.hpp"

#include "heddle/fiber.hpp"

#include <optional>
#include <utility>

namespace heddle::fuzz {

namespace {

void joined(const slot& from, std::optional<int> value) {
    require(value ? from.who->ended == actor::end::value && *value == from.who->number
                  : from.who->ended == actor::end::cancelled,
            "a join gave something else than the fiber did");
}

void join_for(slot& from, deadline limit) {
    try {
        joined(from, from.handle.join(limit));
    } catch (const std::system_error& error) {
        if (from.handle.joinable() || error.code() != std::errc::operation_canceled) {
            throw;
        }
        joined(from, std::nullopt);
    }
}

void join_for(slot& from, deadline limit, std::error_code& ec) {
    const std::optional<int> value = from.handle.join(limit, ec);
    if (value || (!from.handle.joinable() && ec == std::errc::operation_canceled)) {
        joined(from, value);
        ec.clear();
    }
}

}  // namespace

void player::spawn(const step& one) {
    for (slot& free : world_.slots) {
        if (free.who == nullptr) {
            if (actor* const child = world_.add_fiber(one.object(routines))) {
                const auto body = [&w = world_, child] { return play_routine(w, *child); };
                free.handle =
                    one.throws()
                        ? heddle::spawn(body)
                        : heddle::spawn({.name = "with options", .own_fp_environment = true}, body);
                free.who = child;
            }
            return;
        }
    }
}

void player::spawn_detached(const step& one) {
    if (actor* const child = world_.add_fiber(one.object(routines))) {
        child->detached = true;
        heddle::spawn_detached([&w = world_, child] { play_routine(w, *child); });
    }
}

void player::stop(const step& one) {
    slot& from = world_.slots[one.object(world_.slots.size())];
    if (from.who != nullptr) {
        actor& who = *from.who;
        ++world_.changes;
        who.stop_asked = true;
        const bool first = from.handle.request_stop();
        require(!first || !who.stopped_by_program, "a second request to stop was the first");
        who.stopped_by_program = true;
    }
}

void player::detach(const step& one) {
    slot& from = world_.slots[one.object(world_.slots.size())];
    if (from.who != nullptr && !from.in_use) {
        std::exchange(from.who, nullptr)->detached = true;
        from.handle.detach();
    }
}

void player::drop(const step& one) {
    const std::size_t number = one.object(world_.slots.size());
    slot& from = world_.slots[number];
    // Two that drop each other would wait for ever, and one that holds a mutex might wait for
    // one who waits for that.
    if (from.who == nullptr || from.in_use || from.who->number <= self_.number ||
        self_.locks != 0 || from.who->ended == actor::end::exception) {
        return;
    }
    actor& who = *std::exchange(from.who, nullptr);
    who.must_not_throw = true;
    who.stop_asked = true;
    heddle::fiber<int> dropped = std::move(from.handle);
    const waiting here(world_, self_, {{place::drop, number}}, lasting::endlessly);
    dropped = {};
    require(!who.lives(), "the handle of a fiber that lives was destroyed");
}

void player::join(const step& one) {
    const std::size_t number = one.object(world_.slots.size());
    slot& from = world_.slots[number];
    if (from.who == nullptr || from.in_use || from.who == &self_) {
        return;
    }
    struct user {
        slot& of;
        explicit user(slot& s) : of(s) { of.in_use = true; }
        ~user() {
            of.in_use = false;
            if (!of.handle.joinable()) {
                require(!of.who->lives(), "a fiber that lives was joined");
                of.who = nullptr;
            }
        }
    } const at_work(from);
    wait(
        one, {{place::join, number}},
        [&](deadline limit, auto&... ec) {
            try {
                join_for(from, limit, ec...);
            } catch (const program_error& error) {
                require(!from.handle.joinable() && from.who->ended == actor::end::exception &&
                            error.number == from.who->number,
                        "a join threw another exception than the fiber had");
            }
        },
        [&](outcome how) {
            require(from.handle.joinable() == (how != outcome::done),
                    "a join that failed took the handle, or one that did not left it");
        });
}

}  // namespace heddle::fuzz
