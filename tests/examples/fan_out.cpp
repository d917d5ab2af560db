// Fan-out and fan-in: many questions at the same time, their answers collected.
//
//     fan_out
//
// A scope owns the fibers that ask. They have ended when it does, whichever way that is: with all
// answers, with the first failure, or with as many answers as were wanted.
#include <heddle/heddle.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

struct shop {
    std::string name;
    int cents;                        // its price; below zero it is closed
    std::chrono::milliseconds delay;  // until it answers
};

struct offer {
    std::string shop;
    int cents;
};

int asking = 0;  // how many questions are on. Fibers of one thread need no lock for such a thing.

// Stands for a request to a server.
offer ask(const shop& one) {
    struct count {
        count() { ++asking; }
        ~count() { --asking; }
    } const counted;
    heddle::this_fiber::sleep_for(one.delay);
    if (one.cents < 0) {
        throw std::runtime_error(one.name + " is closed");
    }
    return {one.name, one.cents};
}

// Needs all answers. If a shop fails, or the caller is asked to stop, the other questions are
// cancelled, and have ended before the exception leaves with_scope().
offer cheapest(const std::vector<shop>& shops) {
    return heddle::with_scope([&](heddle::scope& questions) {
        std::vector<heddle::child<offer>> answers;
        for (const shop& one : shops) {
            answers.push_back(questions.spawn(ask, std::cref(one)));
        }
        offer best = answers.front().get();
        for (std::size_t i = 1; i < answers.size(); ++i) {
            offer other = answers[i].get();
            if (other.cents < best.cents) {
                best = std::move(other);
            }
        }
        return best;
    });
}

// Needs some answers, whichever come first: a channel brings them together as they come. (Of a few
// functions, heddle::race() gives the first.)
std::vector<offer> first_answers(const std::vector<shop>& shops, std::size_t wanted) {
    heddle::channel<offer> answers(shops.size());  // has room for all, so that nobody waits
    heddle::scope questions;
    for (const shop& one : shops) {
        questions.spawn([&one, answers] { answers.send(ask(one)); });
    }
    std::vector<offer> offers;
    while (offers.size() < wanted) {
        offers.push_back(answers.recv().value());
    }
    questions.cancel();
    questions.join();
    return offers;
}

}  // namespace

int main() {
    return heddle::run([] {
        bool right = true;

        const offer best = cheapest({{"north", 310, 3ms}, {"east", 290, 1ms}, {"west", 305, 2ms}});
        std::printf("cheapest: %s for %d\n", best.shop.c_str(), best.cents);
        right &= best.shop == "east";

        try {
            cheapest({{"north", 310, 1h}, {"east", -1, 1ms}, {"west", 305, 1h}});
            right = false;
        } catch (const std::runtime_error& error) {
            std::printf("no offer: %s; %d still asking\n", error.what(), asking);
        }
        right &= asking == 0;

        std::vector<offer> offers = first_answers(
            {{"north", 310, 1ms}, {"east", 290, 1h}, {"south", 300, 1h}, {"west", 305, 1ms}}, 2);
        std::ranges::sort(offers, {}, &offer::shop);
        for (const offer& one : offers) {
            std::printf("answered: %s for %d\n", one.shop.c_str(), one.cents);
        }
        right &= offers.front().shop == "north" && offers.back().shop == "west" && asking == 0;
        return right ? 0 : 1;
    });
}
