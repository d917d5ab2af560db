// The values that go through channels, each known by its number, and the channels.
#pragma once

#include "tests/fuzz/actor.hpp"

#include "heddle/channel.hpp"
#include "heddle/fiber.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace heddle::fuzz {

/// What has become of each value: it is delivered once, or is still the sender's.
class known_values {
public:
    enum class state : unsigned char { offered, sent, received, kept };

    struct value {
        int sender;
        std::size_t channel;
        state now = state::offered;
    };

    std::size_t offer(int sender, std::size_t channel) {
        all_.push_back({sender, channel});
        return all_.size() - 1;
    }
    /// The call that offered it has ended well.
    void sent(std::size_t number) {
        value& one = all_[number];
        require(one.now == state::offered || one.now == state::received, "a value was sent twice");
        if (one.now == state::offered) {
            one.now = state::sent;
        }
    }
    /// It has ended otherwise.
    void kept(std::size_t number) {
        require(all_[number].now == state::offered, "a value that was not sent was received");
        all_[number].now = state::kept;
    }
    void received(std::size_t number, int receiver, std::size_t channel) {
        value& one = all_[number];
        require(one.now == state::offered || one.now == state::sent,
                "a value was received twice, or is still its sender's");
        require(one.channel == channel, "a value went through another channel");
        one.now = state::received;
        // A sender's values are numbered in the order in which it sends them. Those to the main
        // thread, -1, come when all fibers have ended.
        std::size_t& last = last_[channel][static_cast<std::size_t>(one.sender)]
                                 [static_cast<std::size_t>(receiver + 1)];
        require(number >= last, "values of a sender overtook each other");
        last = number + 1;
    }
    /// Those that are in a channel, or on their way to a receiver that has not returned.
    std::size_t on_the_way(std::size_t channel) const {
        std::size_t found = 0;
        for (const value& one : all_) {
            found += one.channel == channel && one.now == state::sent ? 1 : 0;
        }
        return found;
    }
    state of(std::size_t number) const { return all_[number].now; }

private:
    static constexpr std::size_t channels = 6;

    std::vector<value> all_;
    std::array<std::array<std::array<std::size_t, fibers_max + 1>, fibers_max>, channels> last_ =
        {};
};

/// A value that owns memory, so that one that is lost or destroyed twice is seen.
class parcel {
public:
    explicit parcel(std::size_t number) : number_(std::make_unique<std::size_t>(number)) {}

    bool is_there() const { return number_ != nullptr; }
    std::size_t number() const {
        require(is_there(), "a value came without what it owns");
        return *number_;
    }

private:
    std::unique_ptr<std::size_t> number_;
};

/// One whose moves may throw, and give way.
class frail_parcel {
public:
    struct broken {};

    /// Moves until the next one throws; negative: none does.
    static inline int moves_left = -1;
    static inline bool moves_yield = false;
    static inline int under_way = 0;  ///< moves that have given way
    static inline std::uint64_t moves = 0;

    explicit frail_parcel(std::size_t number) : inside_(number) {}
    frail_parcel(frail_parcel&& other) : inside_(std::move(checked(other).inside_)) {}
    frail_parcel& operator=(frail_parcel&& other) {
        inside_ = std::move(checked(other).inside_);
        return *this;
    }
    ~frail_parcel() = default;

    bool is_there() const { return inside_.is_there(); }
    std::size_t number() const { return inside_.number(); }

private:
    static frail_parcel& checked(frail_parcel& from) {
        ++moves;
        if (moves_left >= 0 && moves_left-- == 0) {
            throw broken();
        }
        if (moves_yield) {
            ++under_way;
            this_fiber::yield();
            --under_way;
            ++moves;
        }
        return from;
    }

    parcel inside_;
};

template <class T>
struct known_channel {
    explicit known_channel(std::size_t capacity) : channel(capacity) {}

    heddle::channel<T> channel;
    bool closed = false;

    bool keeps_waiting(const actors& fibers, const known_values& values, std::size_t number) const {
        int senders = 0;
        for (const actor& one : fibers) {
            senders += one.waits_surely(place::send, number) ? 1 : 0;
        }
        const int receivers = fibers.waiting_surely(place::recv, number);
        const std::size_t inside = values.on_the_way(number);
        return (receivers > 0 && (inside > 0 || closed)) ||
               (senders > 0 && (inside < channel.capacity() || closed)) ||
               (senders > 0 && receivers > 0 && !one_for_both(fibers, number));
    }
    /// Whether a single select both sends and receives: it cannot meet itself.
    static bool one_for_both(const actors& fibers, std::size_t number) {
        return fibers.waiting_surely(place::send, number) == 1 &&
               fibers.waiting_surely(place::recv, number) == 1 && [&] {
                   for (const actor& one : fibers) {
                       if (one.waits_surely(place::send, number) &&
                           one.waits_surely(place::recv, number)) {
                           return true;
                       }
                   }
                   return false;
               }();
    }

    /// On the main thread. What is left may also be destroyed with the channel.
    void finish(known_values& values, std::size_t number, bool drain) {
        require(channel.closed() == closed, "a channel forgot whether it is closed");
        require(channel.size() == values.on_the_way(number), "a channel lost a value");
        while (drain) {
            const std::optional<T> left = channel.try_recv();
            if (!left) {
                require(values.on_the_way(number) == 0, "a channel kept a value");
                return;
            }
            values.received(left->number(), -1, number);
        }
    }
};

}  // namespace heddle::fuzz
