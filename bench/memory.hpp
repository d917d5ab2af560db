// The question: what does a fiber cost in memory that waits for something and does nothing else?
//
//     memory_<contender> FIBERS
//
// Every fiber has a stack of 64 KiB, writes a kilobyte of it, as a function with a buffer does,
// and waits until all are let go. Meanwhile and afterwards the kernel is asked what the process
// has:
//
//     resident      bytes in memory for each fiber, beyond what was there before the first one
//     page_tables   bytes of page tables for each fiber, beyond those before
//     mappings      of the whole process; the system allows 65 530 by default
//     unguarded     of a hundred stacks, how many an overflow leaves without notice
//     left_mib      resident when all have ended and the library gave back what it can, beyond
//                   what was there before
//
// A stack is guarded where the kernel refuses to read, on the process's behalf, a page at most the
// size of the stack below the fiber's own frame: so it is tried, not believed.
//
// A contender is a struct with `handle` (something with join()), run(f), spawn(f, argument),
// yield(), park(), let_go(handles) and give_back().
#pragma once

#include "answer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace bench {

inline constexpr std::size_t stack_bytes = 64 * 1024;

/// What one fiber shows of itself while it waits.
struct parked {
    std::atomic<std::uintptr_t> frame = 0;  ///< an address in its frame; 0 before it has begun
    bool whole = false;                     ///< after the wait: the buffer is as it was written
};

/// What the kernel says of this process.
struct usage {
    double resident = 0;
    double page_tables = 0;
    double mappings = 0;
};

inline usage usage_now() {
    usage now;
    // Not statm: since Linux 6.2 that is a sum of counters that lag behind on each CPU.
    now.resident = bytes_in("/proc/self/smaps_rollup", "Rss:");
    now.page_tables = bytes_in("/proc/self/status", "VmPTE:");
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line))
        ++now.mappings;
    return now;
}

/// Asks the kernel to read for us: it answers EFAULT where we would get SIGSEGV.
class prober {
public:
    prober() {
        if (pipe2(ends_, O_CLOEXEC | O_NONBLOCK) != 0)
            give_up("no pipe to probe with");
    }
    ~prober() {
        close(ends_[0]);
        close(ends_[1]);
    }
    prober(const prober&) = delete;
    prober& operator=(const prober&) = delete;

    bool can_read(std::uintptr_t address) {
        char byte = 0;
        const bool could = write(ends_[1], reinterpret_cast<const void*>(address), 1) == 1;
        return could && read(ends_[0], &byte, 1) == 1;
    }

    bool is_guarded(std::uintptr_t frame) {
        constexpr std::uintptr_t page = 4096;
        for (std::uintptr_t below = page; below <= stack_bytes; below += page) {
            if (!can_read(frame - below))
                return true;
        }
        return false;
    }

private:
    int ends_[2] = {};
};

/// How many of a hundred stacks, spread over all of them, are without a guard.
inline double count_unguarded(const std::vector<parked>& all) {
    constexpr std::size_t probes = 100;
    prober pipe;
    double unguarded = 0;
    for (std::size_t i = 0; i < probes; ++i)
        unguarded += pipe.is_guarded(all[i * all.size() / probes].frame) ? 0 : 1;
    return unguarded;
}

/// The body of every fiber: its frames stay below a kilobyte and a half.
template <class Library>
[[gnu::noinline]] void write_and_park(parked& self) {
    std::array<unsigned char, 1024> buffer;
    buffer.fill(static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(&self) >> 4));
    // The address escapes, so the compiler has to keep the buffer in memory over the wait.
    asm volatile("" : : "r"(buffer.data()) : "memory");
    self.frame = reinterpret_cast<std::uintptr_t>(buffer.data());
    Library::park();
    self.whole = std::all_of(buffer.begin(), buffer.end(),
                             [&](unsigned char byte) { return byte == buffer.front(); });
}

template <class Library>
int memory_main(int argc, char** argv) {
    const std::size_t count = count_argument(argc, argv, 1);
    Library::run([&] {
        std::vector<parked> all(count);
        std::vector<typename Library::handle> handles(count);  // in memory before we count
        const usage before = usage_now();
        for (std::size_t i = 0; i < count; ++i)
            handles[i] = Library::spawn(write_and_park<Library>, all[i]);
        for (const parked& one : all) {
            while (one.frame.load() == 0)
                Library::yield();
        }
        const usage meanwhile = usage_now();
        const double unguarded = count_unguarded(all);
        Library::let_go(handles);
        for (auto& handle : handles)
            handle.join();
        if (!std::all_of(all.begin(), all.end(), [](const parked& one) { return one.whole; }))
            give_up("a stack did not keep what was written to it");
        Library::give_back();
        const usage after = usage_now();

        const auto each = static_cast<double>(count);
        print_answer({{"resident", (meanwhile.resident - before.resident) / each},
                      {"page_tables", (meanwhile.page_tables - before.page_tables) / each},
                      {"mappings", meanwhile.mappings},
                      {"unguarded", unguarded},
                      {"left_mib", (after.resident - before.resident) / (1024 * 1024)}});
    });
    return 0;
}

}  // namespace bench
