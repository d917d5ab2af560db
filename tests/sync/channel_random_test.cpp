// Random programs over a channel against the simplest model of one: a queue, and two lines of those
// who wait, in the order in which they came.
#include "runtime/base/random.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/in_fiber.hpp"
#include "tests/support/report.hpp"

#include "heddle/channel.hpp"
#include "heddle/error.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace heddle::test {

namespace {

/// What a party's call came to, in the model and in the library.
struct outcome {
    std::error_code error;
    int value = nothing;  ///< of a receive
    static constexpr int nothing = -1;
    bool kept = false;  ///< of a send: the value is still the sender's

    bool operator==(const outcome&) const = default;
};

/// The model: who waits is named by a number, and the answers to calls pile up.
class model {
public:
    explicit model(std::size_t room) : room_(room) {}

    void send(int party, int value) {
        if (closed_) {
            answer(party, {errc::closed, outcome::nothing, true});
        } else if (!receivers_.empty()) {
            answer(receivers_.front(), {{}, value, false});
            receivers_.pop_front();
            answer(party, {});
        } else if (values_.size() < room_) {
            values_.push_back(value);
            answer(party, {});
        } else {
            senders_.emplace_back(party, value);
        }
    }

    void receive(int party) {
        if (!values_.empty()) {
            answer(party, {{}, values_.front(), false});
            values_.pop_front();
            if (!senders_.empty()) {
                values_.push_back(senders_.front().second);
                answer(senders_.front().first, {});
                senders_.pop_front();
            }
        } else if (!senders_.empty()) {
            answer(party, {{}, senders_.front().second, false});
            answer(senders_.front().first, {});
            senders_.pop_front();
        } else if (closed_) {
            answer(party, {});
        } else {
            receivers_.push_back(party);
        }
    }

    void close() {
        closed_ = true;
        for (const auto& [party, value] : std::exchange(senders_, {})) {
            answer(party, {errc::closed, outcome::nothing, true});
        }
        for (const int party : std::exchange(receivers_, {})) {
            answer(party, {});
        }
    }

    /// The wait of a party, which may have none, ends without an event.
    void give_up(int party, std::errc error) {
        if (std::erase(receivers_, party) > 0) {
            answer(party, {std::make_error_code(error), outcome::nothing, false});
        } else if (std::erase_if(senders_, [&](const auto& one) { return one.first == party; }) >
                   0) {
            answer(party, {std::make_error_code(error), outcome::nothing, true});
        }
    }

    bool waits(int party) const {
        return std::count(receivers_.begin(), receivers_.end(), party) > 0 ||
               std::any_of(senders_.begin(), senders_.end(),
                           [&](const auto& one) { return one.first == party; });
    }

    /// The answer to the last call of a party, once there is one.
    std::optional<outcome> take_answer(int party) {
        auto& place = answers_[static_cast<std::size_t>(party)];
        return std::exchange(place, std::nullopt);
    }

    static constexpr int parties = 6;

private:
    void answer(int party, outcome what) { answers_[static_cast<std::size_t>(party)] = what; }

    std::size_t room_;
    bool closed_ = false;
    std::deque<int> values_;
    std::deque<std::pair<int, int>> senders_;
    std::deque<int> receivers_;
    std::vector<std::optional<outcome>> answers_ =
        std::vector<std::optional<outcome>>(static_cast<std::size_t>(parties));
};

/// A number whose move can throw, as far as its type says, and which knows whether it was moved.
struct boxed_number {
    std::unique_ptr<int> number;
    explicit boxed_number(int n) : number(std::make_unique<int>(n)) {}
    boxed_number(boxed_number&& other) noexcept(false) : number(std::move(other.number)) {}
    boxed_number& operator=(boxed_number&&) = delete;
    ~boxed_number() = default;
};
/// The same whose move cannot.
struct plain_number {
    std::unique_ptr<int> number;
    explicit plain_number(int n) : number(std::make_unique<int>(n)) {}
};

/// A program: parties that are each told to make one call after the other, some of which wait.
template <class T>
class program {
public:
    program(std::uint64_t seed, std::size_t room) : random_(seed), room_(room) {}

    void run() {
        in_fiber([this] {
            for (int party = 0; party < model::parties; ++party) {
                start(party);
            }
            for (int step = 0; step < 150; ++step) {
                act();
                let_others_run();
                compare(step);
            }
            values_.close();
            expected_.close();
            let_others_run();
            compare(150);
            for (party_state& one : parties_) {
                one.orders.close();
                one.body.join();
            }
        });
    }

private:
    enum class call { send, receive, stopped_send, stopped_receive };
    struct order {
        call what;
        int value;
    };
    struct party_state {
        channel<order> orders{1};
        std::optional<outcome> result;
        fiber<> body;
    };

    void start(int party) {
        party_state& self = parties_[static_cast<std::size_t>(party)];
        self.orders = channel<order>(1);
        self.result.reset();
        self.body = spawn([this, &self] {
            for (const order& next : self.orders) {
                self.result = obey(next);
            }
        });
    }

    outcome obey(order next) {
        outcome result;
        if (next.what == call::send) {
            T value(next.value);
            values_.send(std::move(value), result.error);
            result.kept = value.number != nullptr;
        } else if (auto value = values_.recv(result.error)) {
            result.value = *value->number;
        }
        return result;
    }

    void act() {
        const int party = static_cast<int>(random_.below(model::parties));
        party_state& one = parties_[static_cast<std::size_t>(party)];
        if (expected_.waits(party)) {
            if (random_.below(3) == 0) {
                // A fiber stays stopped, so that another takes its part.
                one.body.request_stop();
                expected_.give_up(party, std::errc::operation_canceled);
                let_others_run();
                compare_one(party, -1);
                std::error_code ec;
                one.body.join(ec);
                start(party);
            }
            return;
        }
        const std::uint64_t which = random_.below(random_.below(40) == 0 ? 6 : 5);
        if (which < 2) {
            one.orders.send({call::send, next_value_});
            expected_.send(party, next_value_++);
        } else if (which < 4) {
            one.orders.send({call::receive, 0});
            expected_.receive(party);
        } else if (which == 4) {
            try_something();
        } else if (random_.below(4) == 0) {
            values_.close();
            expected_.close();
        }
    }

    // What does not wait, and deadlines that have passed, done by the program itself.
    void try_something() {
        outcome result;
        const int self = 0;
        if (expected_.waits(self)) {
            return;
        }
        std::error_code& ec = result.error;
        if (random_.below(2) == 0) {
            T value(next_value_);
            expected_.send(self, next_value_++);
            if (random_.below(2) == 0) {
                values_.send(std::move(value), in_the_past(), ec);
            } else if (!values_.try_send(std::move(value))) {
                ec = values_.closed() ? make_error_code(errc::closed)
                                      : std::make_error_code(std::errc::timed_out);
            }
            result.kept = value.number != nullptr;
        } else {
            expected_.receive(self);
            const bool waits = expected_.waits(self);
            auto value =
                random_.below(2) == 0 ? values_.recv(in_the_past(), ec) : values_.try_recv();
            if (value) {
                result.value = *value->number;
            } else if (waits) {
                ec = std::make_error_code(std::errc::timed_out);
            }
        }
        expected_.give_up(self, std::errc::timed_out);
        CHECK((expected_.take_answer(self) == result));
    }

    void compare(int step) {
        for (int party = 0; party < model::parties; ++party) {
            compare_one(party, step);
        }
    }
    void compare_one(int party, int step) {
        party_state& one = parties_[static_cast<std::size_t>(party)];
        const std::optional<outcome> wanted = expected_.take_answer(party);
        CAPTURE(party);
        CAPTURE(step);
        CHECK((wanted == std::exchange(one.result, std::nullopt)));
    }

    detail::random_sequence random_;
    std::size_t room_;
    channel<T> values_{room_};
    model expected_{room_};
    std::vector<party_state> parties_ = std::vector<party_state>(model::parties);
    int next_value_ = 0;
};

TEST_CASE("random programs over a channel come out as a queue and two lines of waiting would") {
    detail::random_sequence random(seed());
    on_both_atomic_paths([&] {
        for (int i = 0; i < scaled(200); ++i) {
            const std::size_t room = random.below(4);
            program<plain_number>(random.next(), room).run();
            program<boxed_number>(random.next(), room).run();
        }
    });
}

}  // namespace

}  // namespace heddle::test
