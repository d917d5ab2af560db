// The question: what does it cost to wait for whichever of N channels has a value?
//
// A fiber selects from 2, 8 or 64 channels without room, and another sends to them, one number
// after the other, in an order that visits all alike. So one case at most is ready at a time, and
// about every other select finds none and has to wait in all N channels. Each number has to arrive
// by its own channel.
//
// The cases are written out, one for each channel, as a program has them. This is heddle's answer.
#include "heddle_fibers.hpp"
#include "microbenchmark.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace {

using channel = heddle::channel<std::uint64_t>;

/// Where the number goes that is sent so many steps after the first: a stride of five visits every
/// channel of a power of two.
constexpr std::size_t destination(std::uint64_t number, std::size_t channels) {
    return number * 5 % channels;
}

template <std::size_t... Case>
void select_numbers(benchmark::State& state, std::index_sequence<Case...>) {
    constexpr std::size_t cases = sizeof...(Case);
    bench::heddle_fibers::run([&] {
        std::array<channel, cases> channels;
        const auto total = static_cast<std::uint64_t>(bench::times(state));
        heddle::fiber<> sender = heddle::spawn([&] {
            for (std::uint64_t number = 0; number < total; ++number)
                channels[destination(number, cases)].send(number);
        });
        std::uint64_t next = 0;
        std::uint64_t strayed = 0;
        const auto take = [&](std::size_t from, std::optional<std::uint64_t> number) {
            strayed += number != next || from != destination(next, cases);
            ++next;
        };
        for (auto _ : state) {
            heddle::select(
                heddle::on_recv(channels[Case], [&](std::optional<std::uint64_t> number) {
                    take(Case, number);
                })...);
        }
        sender.join();
        if (strayed != 0 || next != total)
            state.SkipWithError("a number was lost, or came by another channel");
    });
    state.SetItemsProcessed(state.iterations());
}

template <std::size_t Cases>
void ask_for(const char* name) {
    bench::ask(name, [](auto& state) { select_numbers(state, std::make_index_sequence<Cases>{}); });
}

}  // namespace

int main(int argc, char** argv) {
    ask_for<2>("select/2_cases");
    ask_for<8>("select/8_cases");
    ask_for<64>("select/64_cases");
    return bench::answer(argc, argv);
}
