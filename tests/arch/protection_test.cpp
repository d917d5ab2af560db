// What the program promises to the kernel and to the processor's protections. The script `notes`
// asks the linker about the promises of the port's own object.
#include "arch/context.h"
#include "flow.h"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <cstring>

#if defined(__linux__)

#include <link.h>

TEST_CASE("no part of the program asks for an executable stack") {
#if defined(__mips__)
    return heddle::test::skip("MIPS: the C library asks for an executable stack itself");
#endif
    struct stack_header {
        bool found = false;
        bool executable = false;
    } header;
    const auto look = [](dl_phdr_info* object, std::size_t, void* into) {
        auto& it = *static_cast<stack_header*>(into);
        for (std::size_t i = 0; i < object->dlpi_phnum; ++i) {
            if (object->dlpi_phdr[i].p_type == PT_GNU_STACK) {
                it.found = true;
                it.executable = (object->dlpi_phdr[i].p_flags & PF_X) != 0;
            }
        }
        return 1;  // the program itself comes first, and the rest is not ours
    };
    dl_iterate_phdr(look, &header);
    CHECK(header.found);
    CHECK_FALSE(header.executable);
}

#endif

#if !defined(_WIN32) && (defined(__x86_64__) || defined(__i386__) || defined(__aarch64__))

TEST_CASE("the switch begins with the landing pad that its property note promises") {
    if (!heddle::test::needs_port("makes no such promise")) {
        return;
    }
#if defined(__x86_64__)
    constexpr unsigned char pad[] = {0xf3, 0x0f, 0x1e, 0xfa};  // endbr64
#elif defined(__i386__)
    constexpr unsigned char pad[] = {0xf3, 0x0f, 0x1e, 0xfb};  // endbr32
#else
    constexpr unsigned char pad[] = {0x3f, 0x23, 0x03, 0xd5};  // paciasp
#endif
    CHECK(std::memcmp(reinterpret_cast<const void*>(heddle_switch), pad, sizeof pad) == 0);
}

#endif
