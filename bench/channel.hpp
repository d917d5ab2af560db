// The question: what does it cost to hand a value from fiber to fiber through a channel?
//
// So many fibers send numbers, so many others take them until the channel is closed, and what was
// taken has to add up to what was sent. The channel has room for 1, 64 or 1 024 values, or none:
// then a sender waits until its value has been taken (a rendezvous). The cost is that of one value,
// from the first to the last, with all switches that there were on the way.
//
// `hop`: two fibers hand a number back and forth by two channels without room, in a process of one
// thread and in one of two (other_thread.hpp). In a stream of values a library may wake sender
// and taker for each of them; here nobody can do with less than one switch, or needs more.
//
// A contender is a struct as spawn.hpp describes it, with `channel<Capacity>`: send(value),
// take(value), which is false once it is closed and empty, and close(). Stacks are 64 KiB for
// everybody.
#pragma once

#include "answer.hpp"
#include "microbenchmark.hpp"
#include "other_thread.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

template <class Channel>
struct sender {
    Channel* to;
    std::uint64_t first;  ///< of its numbers, which come one after the other
    std::uint64_t count;
};

template <class Channel>
struct taker {
    Channel* from;
    std::uint64_t sum = 0;
    std::uint64_t count = 0;
};

template <class Channel>
void send_numbers(sender<Channel>& self) {
    const std::uint64_t end = self.first + self.count;
    for (std::uint64_t number = self.first; number != end; ++number)
        self.to->send(number);
}

template <class Channel>
void take_numbers(taker<Channel>& self) {
    std::uint64_t sum = 0;
    std::uint64_t count = 0;
    for (std::uint64_t number = 0; self.from->take(number); ++count)
        sum += number;
    self.sum = sum;
    self.count = count;
}

/// Sends the numbers from 0 on, `total` of them; whether all came.
template <class Library, class Channel>
bool exchange(std::uint64_t total, std::size_t senders, std::size_t takers) {
    Channel values;
    std::vector<sender<Channel>> sending;
    for (std::uint64_t left = senders, first = 0; left > 0; --left) {
        const std::uint64_t share = (total - first) / left;
        sending.push_back({&values, first, share});
        first += share;
    }
    std::vector<taker<Channel>> taking(takers, {&values});
    std::vector<typename Library::handle> taking_fibers;
    std::vector<typename Library::handle> sending_fibers;
    for (auto& one : taking)
        taking_fibers.push_back(Library::template spawn<take_numbers<Channel>>(one));
    for (auto& one : sending)
        sending_fibers.push_back(Library::template spawn<send_numbers<Channel>>(one));
    for (auto& one : sending_fibers)
        one.join();
    values.close();
    for (auto& one : taking_fibers)
        one.join();

    std::uint64_t sum = 0;
    std::uint64_t count = 0;
    for (const auto& one : taking) {
        sum += one.sum;
        count += one.count;
    }
    return count == total && sum == total * (total - 1) / 2;
}

template <class Library, std::size_t Capacity>
void hand_over(benchmark::State& state, std::size_t senders, std::size_t takers) {
    Library::run([&] {
        bool whole = true;
        while (state.KeepRunningBatch(times(state))) {
            whole = exchange<Library, typename Library::template channel<Capacity>>(
                static_cast<std::uint64_t>(times(state)), senders, takers);
        }
        if (!whole)
            state.SkipWithError("a value was lost, or came twice");
    });
    state.SetItemsProcessed(state.iterations());
}

template <class Channel>
struct court {
    Channel there;
    Channel back;
};

template <class Channel>
void return_numbers(court<Channel>& shared) {
    for (std::uint64_t number = 0; shared.there.take(number);)
        shared.back.send(number);
}

template <class Library>
void hand_back_and_forth(benchmark::State& state, bool with_thread) {
    using channel = typename Library::template channel<0>;
    const other_thread sleeper(with_thread);
    Library::run([&] {
        court<channel> shared;
        std::uint64_t number = 0;
        std::uint64_t lost = 0;
        auto other = Library::template spawn<return_numbers<channel>>(shared);
        for (auto _ : state) {
            std::uint64_t returned = 0;
            shared.there.send(++number);
            const bool came = shared.back.take(returned);
            lost += !came || returned != number;
        }
        shared.there.close();
        other.join();
        if (lost != 0)
            state.SkipWithError("a number did not come back, or another did");
    });
    state.SetItemsProcessed(2 * state.iterations());
}

inline constexpr std::size_t many = 100;

/// The main function of a contender.
template <class Library>
int channel_main(int argc, char** argv) {
    ask("channel/rendezvous_hop", [](auto& state) { hand_back_and_forth<Library>(state, false); });
    ask("channel/rendezvous_1_to_1", [](auto& state) { hand_over<Library, 0>(state, 1, 1); });
    ask("channel/rendezvous_100_to_1", [](auto& state) { hand_over<Library, 0>(state, many, 1); });
    ask("channel/rendezvous_100_to_100",
        [](auto& state) { hand_over<Library, 0>(state, many, many); });
    ask("channel/buffer_1_1_to_1", [](auto& state) { hand_over<Library, 1>(state, 1, 1); });
    ask("channel/buffer_1_100_to_1", [](auto& state) { hand_over<Library, 1>(state, many, 1); });
    ask("channel/buffer_1_100_to_100",
        [](auto& state) { hand_over<Library, 1>(state, many, many); });
    ask("channel/buffer_64_1_to_1", [](auto& state) { hand_over<Library, 64>(state, 1, 1); });
    ask("channel/buffer_64_100_to_1", [](auto& state) { hand_over<Library, 64>(state, many, 1); });
    ask("channel/buffer_64_100_to_100",
        [](auto& state) { hand_over<Library, 64>(state, many, many); });
    ask("channel/buffer_1024_1_to_1", [](auto& state) { hand_over<Library, 1024>(state, 1, 1); });
    ask("channel/buffer_1024_100_to_1",
        [](auto& state) { hand_over<Library, 1024>(state, many, 1); });
    ask("channel/buffer_1024_100_to_100",
        [](auto& state) { hand_over<Library, 1024>(state, many, many); });
    // Last, since a process that has had a second thread counts as one that has it.
    ask("channel/rendezvous_hop_with_threads",
        [](auto& state) { hand_back_and_forth<Library>(state, true); });
    return answer(argc, argv);
}

}  // namespace bench
