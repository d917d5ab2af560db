// What a fiber does with several things at a time.
#include "tests/fuzz/player.hpp"

#include "heddle/select.hpp"

#include <optional>
#include <utility>

namespace heddle::fuzz {

// A value that a case offers: whatever becomes of the others, it is sent or still ours.
struct player::offer {
    world& shared;
    std::size_t number;
    parcel value;
    bool is_sent = false;

    offer(world& w, const actor& self, std::size_t channel)
        : shared(w),
          number(w.values.offer(self.number, channel)),
          value(number) {}
    offer(const offer&) = delete;
    offer& operator=(const offer&) = delete;
    ~offer() {
        require(value.is_there() != is_sent, "a case that was not taken moved from its value");
        is_sent ? shared.values.sent(number) : shared.values.kept(number);
    }
    auto sent() {
        return [this] { is_sent = true; };
    }
};

// Calls `with`, which calls what it is given with the cases of a select. None but one may do
// anything.
template <class With>
void player::choose(const step& one, std::initializer_list<spot> where, With with) {
    std::size_t taken = heddle::no_case;
    bool late = false;
    wait(
        one, where,
        [&](deadline limit, auto&... ec) {
            with([&](auto&&... cases) {
                if (until(one) == patience::endless) {
                    taken = heddle::select(ec..., std::forward<decltype(cases)>(cases)...);
                } else {
                    taken = heddle::select(ec..., std::forward<decltype(cases)>(cases)...,
                                           heddle::after(limit, [&] { late = true; }));
                    require((taken == sizeof...(cases)) == late,
                            "a select has taken another case than it says");
                }
            });
            if (late) {
                const std::error_code timed_out = std::make_error_code(std::errc::timed_out);
                if constexpr (sizeof...(ec) == 0) {
                    throw std::system_error(timed_out);
                } else {
                    (..., (ec = timed_out));
                }
            }
        },
        [&](outcome how) {
            bool may_be_closed = false;
            for (const spot& one_of : where) {
                may_be_closed |=
                    one_of.where == place::send && world_.channels[one_of.object].closed;
            }
            require(how != outcome::closed || may_be_closed, "a select found a closed channel");
        });
}

auto player::received(std::size_t channel) {
    return [this, channel](std::optional<parcel> value) {
        if (value) {
            world_.values.received(value->number(), self_.number, channel);
        } else {
            require(world_.channels[channel].closed, "a channel that is open ended for a select");
        }
    };
}

void player::select(const step& one) {
    const std::size_t a = one.more() % 3;
    const std::size_t b = (a + 1) % 3;
    const heddle::channel<parcel>& first = world_.channels[a].channel;
    const heddle::channel<parcel>& second = world_.channels[b].channel;
    const auto passed = [this] { world_.auto_event.passed(); };
    offer left(world_, self_, a);
    offer right(world_, self_, b);
    switch (one.object(8)) {
    case 0:
        return choose(one, {{place::recv, a}, {place::recv, b}}, [&](auto pick) {
            pick(on_recv(first, received(a)), on_recv(second, received(b)));
        });
    case 1:
        return choose(one, {{place::send, a}, {place::recv, b}}, [&](auto pick) {
            pick(on_send(first, std::move(left.value), left.sent()), on_recv(second, received(b)));
        });
    case 2:
        return choose(one, {{place::send, a}, {place::send, b}}, [&](auto pick) {
            pick(on_send(first, std::move(left.value), left.sent()),
                 on_send(second, std::move(right.value), right.sent()));
        });
    case 3:
        return choose(one, {{place::recv, a}, {place::event, 1}}, [&](auto pick) {
            pick(on_recv(first, received(a)), on_event(world_.auto_event.event, passed));
        });
    case 4:
        return choose(one, {{place::recv, a}, {place::send, a}}, [&](auto pick) {
            pick(on_recv(first, received(a)), on_send(first, std::move(left.value), left.sent()));
        });
    case 5:
        return select_join(one, a);
    case 6:
        return select_now(one, a, b);
    default:
        return choose(one, {{place::recv, a}, {place::event, 1}, {place::send, b}}, [&](auto pick) {
            pick(on_recv(first, received(a)), on_event(world_.auto_event.event, passed),
                 on_send(second, std::move(right.value), right.sent()));
        });
    }
}

// Also waits for a fiber, which may be joined afterwards.
void player::select_join(const step& one, std::size_t a) {
    for (std::size_t number = 0; number < world_.slots.size(); ++number) {
        slot& from = world_.slots[number];
        if (from.who == nullptr || from.in_use || from.who == &self_) {
            continue;
        }
        struct user {
            slot& of;
            ~user() { of.in_use = false; }
        } const at_work{from};
        from.in_use = true;
        return choose(one, {{place::recv, a}, {place::join, number}}, [&](auto pick) {
            pick(on_recv(world_.channels[a].channel, received(a)), on_join(from.handle, [&] {
                     require(!from.who->lives(), "a select took the end of a fiber that lives");
                 }));
        });
    }
}

// Never waits, so nothing of it is a wait that could be forgotten.
void player::select_now(const step& one, std::size_t a, std::size_t b) {
    offer left(world_, self_, a);
    choose(one, {{place::nowhere, 0}, {place::send, a}}, [&](auto pick) {
        self_.how_long = lasting::briefly;
        pick(on_send(world_.channels[a].channel, std::move(left.value), left.sent()),
             on_recv(world_.channels[b].channel, received(b)), heddle::otherwise());
    });
}

}  // namespace heddle::fuzz
