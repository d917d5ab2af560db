// The question: how many pages do the TLBs of this processor hold, first and second level?
//
// Nothing in /sys says so, and the number of fibers from which a switch waits for page tables
// depends on it. The processor tells by CPUID on x86; where it does not, or a hypervisor hides it,
// this ends as a program that the machine does not let answer, and growth.py assumes figures.
#include "answer.hpp"

#include <array>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

namespace {

/// Pages of 4 KiB for which the data TLB of each level holds translations; 0 where unknown.
using levels = std::array<unsigned, 2>;

#if defined(__x86_64__) || defined(__i386__)
struct registers {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
};

/// One leaf; all zero where the processor has no such leaf.
registers leaf(unsigned number, unsigned part = 0) {
    registers read;
    if (__get_cpuid_count(number, part, &read.eax, &read.ebx, &read.ecx, &read.edx) == 0)
        return {};
    return read;
}

/// AMD64 Architecture Programmer's Manual, volume 3, appendix E.4: Fn8000_0005_EBX[23:16] and
/// Fn8000_0006_EBX[27:16].
levels ask_amd() {
    return {(leaf(0x80000005).ebx >> 16) & 0xff, (leaf(0x80000006).ebx >> 16) & 0xfff};
}

/// Intel Software Developer's Manual, volume 2, CPUID, "Deterministic Address Translation
/// Parameters": one part of leaf 18H for each translation structure, ways times sets.
levels ask_intel() {
    levels found{};
    const unsigned last = leaf(0x18).eax;
    for (unsigned part = 0; part <= last && part < 32; ++part) {
        const registers one = leaf(0x18, part);
        const unsigned type = one.edx & 0x1f;
        const unsigned level = (one.edx >> 5) & 7;
        // Type 1 holds data, 3 both, 4 what is loaded; bit 0 of EBX: pages of 4 KiB.
        const bool data = type == 1 || type == 3 || type == 4;
        if (data && (one.ebx & 1) != 0 && level >= 1 && level <= found.size())
            found[level - 1] = (one.ebx >> 16) * one.ecx;
    }
    return found;
}

levels ask() {
    const levels amd = ask_amd();
    return amd[0] != 0 ? amd : ask_intel();
}
#else
levels ask() {
    return {};
}
#endif

}  // namespace

int main() {
    const levels found = ask();
    if (found[0] == 0 || found[1] == 0) {
        std::fputs("the processor does not tell the size of its TLBs\n", stderr);
        return bench::not_allowed;
    }
    bench::print_answer({{"tlb1", found[0]}, {"tlb2", found[1]}});
    return 0;
}
