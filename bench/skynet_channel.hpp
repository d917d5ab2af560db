// The question: how long does a tree of fibers take that hand up their numbers through channels,
// and how much memory?
//
//     skynet_channel_<contender> LEAVES
//
// The tree is that of skynet.hpp, but nobody joins anybody: a fiber that is not a leaf makes a
// channel, spawns ten with it, adds up the ten numbers that come, and sends the sum to its own
// parent; a leaf sends its number. `ms` is CPU time of the whole process, `peak_mib` the most that
// it had in memory at any moment. It is done once, in a fresh process.
//
// A contender is a struct with run(f), spawn(f), which makes a fiber that nobody joins, and
// `channel`, which takes ten numbers: send(value), receive(), and link(), what a child keeps of it.
// It may have room for the numbers or not, as is faster. Stacks are 64 KiB for everybody.
#pragma once

#include "answer.hpp"

#include <cstddef>
#include <cstdint>

namespace bench {

inline constexpr std::size_t fan_out = 10;

template <class Library, class Link>
void grow(std::uint64_t first, std::uint64_t leaves, const Link& parent) {
    if (leaves == 1) {
        parent.send(first);
        return;
    }
    typename Library::channel numbers;
    const std::uint64_t part = leaves / fan_out;
    for (std::size_t i = 0; i < fan_out; ++i) {
        Library::spawn([from = first + i * part, part, to = numbers.link()] {
            grow<Library>(from, part, to);
        });
    }
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < fan_out; ++i)
        sum += numbers.receive();
    parent.send(sum);
}

/// The main function of a contender.
template <class Library>
int skynet_channel_main(int argc, char** argv) {
    const std::size_t leaves = count_argument(argc, argv, 1);
    std::uint64_t sum = 0;
    double took = 0;
    Library::run([&] {
        const double before = cpu_ns();
        typename Library::channel numbers;
        Library::spawn([leaves, to = numbers.link()] { grow<Library>(0, leaves, to); });
        sum = numbers.receive();
        took = cpu_ns() - before;
    });
    if (sum != std::uint64_t{leaves} * (leaves - 1) / 2)
        give_up("the leaves do not add up; or their number is not a power of ten");
    print_answer({{"ms", took / 1e6},
                  {"peak_mib", bytes_in("/proc/self/status", "VmHWM:") / (1024 * 1024)}});
    return 0;
}

}  // namespace bench
