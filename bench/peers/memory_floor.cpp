// The question (memory.hpp): what does a fiber cost in memory that waits for something and does
// nothing else?
// This is the floor: one reservation without guards, and one page touched in every 64 KiB of it. A
// stack that is in use at all takes a page.
#include "../memory.hpp"

#include <sys/mman.h>

int main(int argc, char** argv) {
    const std::size_t count = bench::count_argument(argc, argv, 1);
    const std::size_t bytes = count * bench::stack_bytes;
    const bench::usage before = bench::usage_now();
    void* const start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        bench::give_up("no address space for the stacks");
    madvise(start, bytes, MADV_NOHUGEPAGE);
    std::vector<bench::parked> all(count);
    for (std::size_t i = 0; i < count; ++i) {
        char* const page = static_cast<char*>(start) + (i + 1) * bench::stack_bytes - 4096;
        *page = 1;
        all[i].frame = reinterpret_cast<std::uintptr_t>(page);
    }
    const double own_bytes = static_cast<double>(count * sizeof(bench::parked));
    const bench::usage meanwhile = bench::usage_now();
    const double unguarded = bench::count_unguarded(all);
    munmap(start, bytes);
    const bench::usage after = bench::usage_now();

    const auto each = static_cast<double>(count);
    bench::print_answer(
        {{"resident", (meanwhile.resident - before.resident - own_bytes) / each},
         {"page_tables", (meanwhile.page_tables - before.page_tables) / each},
         {"mappings", meanwhile.mappings},
         {"unguarded", unguarded},
         {"left_mib", (after.resident - before.resident - own_bytes) / (1024 * 1024)}});
}
