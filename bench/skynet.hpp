// The question: how long does a tree of fibers take to grow and to be joined, and how much memory?
//
//     skynet_<contender> LEAVES
//
// Every fiber that is not a leaf spawns ten, joins them and adds up their numbers; the leaves
// return theirs, from 0 on. (The name is that of the benchmark which Alexander Temerev published
// in 2016.) `ms` is CPU time of the whole process, `peak_mib` the most memory that it had at any
// moment, its program and all. It is done once, in a fresh process.
//
// Who lets the spawned wait for their turn in a queue has nearly all of them alive at once; who
// runs a fiber when it is spawned, or when it is joined, has a few.
//
// A contender is a struct as spawn.hpp describes it. Stacks are 64 KiB for everybody.
#pragma once

#include "answer.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace bench {

inline constexpr std::size_t fan_out = 10;

/// A part of the tree; `sum` is for its fiber to fill in.
struct node {
    std::uint64_t first = 0;
    std::uint64_t leaves = 0;
    std::uint64_t sum = 0;
};

template <class Library>
void grow(node& self) {
    if (self.leaves == 1) {
        self.sum = self.first;
        return;
    }
    std::array<node, fan_out> children;
    std::array<typename Library::handle, fan_out> handles;
    const std::uint64_t part = self.leaves / fan_out;
    for (std::size_t i = 0; i < fan_out; ++i) {
        children[i] = {self.first + i * part, part, 0};
        handles[i] = Library::template spawn<grow<Library>>(children[i]);
    }
    for (std::size_t i = 0; i < fan_out; ++i) {
        handles[i].join();
        self.sum += children[i].sum;
    }
}

/// The main function of a contender.
template <class Library>
int skynet_main(int argc, char** argv) {
    const std::size_t leaves = count_argument(argc, argv, 1);
    node root{0, leaves, 0};
    double took = 0;
    Library::run([&] {
        const double before = cpu_ns();
        grow<Library>(root);
        took = cpu_ns() - before;
    });
    if (root.sum != std::uint64_t{leaves} * (leaves - 1) / 2)
        give_up("the leaves do not add up; or their number is not a power of ten");
    print_answer({{"ms", took / 1e6},
                  {"peak_mib", bytes_in("/proc/self/status", "VmHWM:") / (1024 * 1024)}});
    return 0;
}

}  // namespace bench
