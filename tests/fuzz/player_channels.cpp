// What a fiber does with channels.
#include "tests/fuzz/player.hpp"

#include <optional>
#include <utility>

namespace heddle::fuzz {

// Calls `act` with one of the channels and its number: first those of plain values, then those of
// values that are hard to move.
template <class Act>
void player::on_channel(const step& one, Act act) {
    const std::size_t number = one.object(6);
    if (number < 3) {
        act(world_.channels[number], number);
    } else {
        act(world_.frail_channels[number - 3], number);
    }
}

namespace {

template <class T>
T value_of(known_channel<T>&, std::size_t number) {
    return T(number);
}

}  // namespace

void player::send(const step& one) {
    on_channel(one, [&](auto& here, std::size_t number) {
        const std::size_t offered = world_.values.offer(self_.number, number);
        auto value = value_of(here, offered);
        const bool was_closed = here.closed;
        try {
            wait(
                one, {{place::send, number}},
                [&](deadline limit, auto&... ec) {
                    here.channel.send(std::move(value), limit, ec...);
                },
                [&](outcome how) {
                    require(value.is_there() == (how != outcome::done),
                            "a value was moved from and not sent, or sent and not moved from");
                    how == outcome::done ? world_.values.sent(offered)
                                         : world_.values.kept(offered);
                    require(how != outcome::closed || here.closed,
                            "an open channel was closed for a sender");
                    require(!was_closed || how == outcome::closed || how == outcome::cancelled,
                            "a closed channel took a value");
                });
        } catch (const frail_parcel::broken&) {
            require(value.is_there(), "a value was lost when its move threw");
            world_.values.kept(offered);
        }
    });
}

void player::try_send(const step& one) {
    on_channel(one, [&](auto& here, std::size_t number) {
        const std::size_t offered = world_.values.offer(self_.number, number);
        auto value = value_of(here, offered);
        try {
            if (here.channel.try_send(std::move(value))) {
                require(!value.is_there(), "a value was sent and not moved from");
                world_.values.sent(offered);
                return;
            }
            // A sender whose move gives way has its room already, and so has one that was let in.
            require(here.closed || here.channel.size() >= here.channel.capacity() ||
                        frail_parcel::under_way != 0 ||
                        world_.fibers().waiting(place::send, number) != 0,
                    "a channel that has room refused a value");
        } catch (const frail_parcel::broken&) {
        }
        require(value.is_there(), "a value was moved from and not sent");
        world_.values.kept(offered);
    });
}

void player::recv(const step& one) {
    on_channel(one, [&](auto& here, std::size_t number) {
        try {
            wait(
                one, {{place::recv, number}},
                [&](deadline limit, auto&... ec) {
                    auto got = here.channel.recv(limit, ec...);
                    // Without a move, which may throw.
                    if (got) {
                        world_.values.received(got->number(), self_.number, number);
                        require((... && !ec), "a value came with an error");
                    } else {
                        require((false || ... || static_cast<bool>(ec)) || here.closed,
                                "an open channel ended");
                    }
                },
                [](outcome) {});
        } catch (const frail_parcel::broken&) {
            ++world_.changes;  // the value is the next one's to receive
        }
    });
}

void player::try_recv(const step& one) {
    on_channel(one, [&](auto& here, std::size_t number) {
        try {
            if (const auto got = here.channel.try_recv()) {
                world_.values.received(got->number(), self_.number, number);
            }
        } catch (const frail_parcel::broken&) {
            ++world_.changes;
        }
    });
}

void player::close(const step& one) {
    on_channel(one, [&](auto& here, std::size_t) {
        here.closed = true;
        here.channel.close();
        require(here.channel.closed(), "a channel did not close");
    });
}

}  // namespace heddle::fuzz
