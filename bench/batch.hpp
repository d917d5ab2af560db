// The question: what does a fiber cost when N are spawned first, and then all are joined?
//
//     batch_<contender> FIBERS [that_yield]
//
// The bodies are those of spawn.hpp: they count and never wait, so that one warm stack can serve
// them all. Those `that_yield` do so once before they count, and the rest of each has to be kept
// meanwhile: a stack for everyone. `first` is the first time in a
// fresh process, where control blocks and stacks are had from the system and touched for the first
// time; `warm` is the median of the times after it. Both are CPU time of the whole process, in the
// kernel too, divided by the fibers.
//
// A contender is a struct as spawn.hpp describes it, with yield(); for bodies that yield it may be
// another one. Stacks are 64 KiB for everybody.
#pragma once

#include "answer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace bench {

inline void count_up(std::int64_t& ran) {
    ++ran;
}

template <class Library>
void yield_and_count_up(std::int64_t& ran) {
    Library::yield();
    ++ran;
}

template <class Library, auto Body>
void ask_for_batch(std::size_t count) {
    constexpr std::size_t warm_rounds = 5;
    double first = 0;
    std::array<double, warm_rounds> warm{};
    Library::run([&] {
        std::vector<typename Library::handle> handles(count);  // in memory before we count
        const auto round = [&] {
            std::int64_t ran = 0;
            const double before = cpu_ns();
            for (auto& handle : handles)
                handle = Library::template spawn<Body>(ran);
            for (auto& handle : handles)
                handle.join();
            const double took = cpu_ns() - before;
            if (ran != static_cast<std::int64_t>(count))
                give_up("a fiber did not run, or did so twice");
            return took / static_cast<double>(count);
        };
        first = round();
        std::generate(warm.begin(), warm.end(), round);
    });
    std::nth_element(warm.begin(), warm.begin() + warm_rounds / 2, warm.end());
    print_answer({{"first", first}, {"warm", warm[warm_rounds / 2]}});
}

/// The main function of a contender; `Yielding` answers where bodies yield.
template <class Library, class Yielding = Library>
int batch_main(int argc, char** argv) {
    const std::size_t count = count_argument(argc, argv, 1);
    if (argc <= 2)
        ask_for_batch<Library, count_up>(count);
    else if (std::strcmp(argv[2], "that_yield") == 0)
        ask_for_batch<Yielding, yield_and_count_up<Yielding>>(count);
    else
        give_up("the second argument is no kind of body");
    return 0;
}

}  // namespace bench
