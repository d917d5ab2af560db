// Whose the floating-point control words are, under both settings of fp_environment.
#include "flow.h"

#include <doctest/doctest.h>

#include <cfenv>
#include <cstdint>
#include <cstring>
#include <vector>

using heddle::detail::context_restore_fp_environment;
using heddle::detail::context_save_fp_environment;
using heddle::detail::fp_environment;
using heddle::test::flow;

namespace {

constexpr int modes[] = {
    FE_TONEAREST,
#ifdef FE_UPWARD
    FE_UPWARD,
#endif
#ifdef FE_DOWNWARD
    FE_DOWNWARD,
#endif
#ifdef FE_TOWARDZERO
    FE_TOWARDZERO,
#endif
};

// Gives the test program back the words that it had.
struct restored {
    fp_environment words = context_save_fp_environment();
    restored() = default;
    restored(const restored&) = delete;
    restored& operator=(const restored&) = delete;
    ~restored() { context_restore_fp_environment(words); }
};

fp_environment set(int mode) {
    std::fesetround(mode);
    return context_save_fp_environment();
}

// The given words, changed in one bit each: what <cfenv> has no names for, CPU by CPU.
template <class Words>
std::vector<Words> unnamed(const Words& given) {
    std::vector<Words> found;
    [[maybe_unused]] const auto flip = [&](auto member, auto bit) {
        Words words = given;
        words.*member = static_cast<decltype(bit)>(words.*member ^ bit);
        found.push_back(words);
    };
    if constexpr (requires { given.mxcsr; }) {
        flip(&Words::mxcsr, 0x8000U);                     // x86: denormal results become zero
        flip(&Words::x87_control, std::uint16_t{0x100});  // and the x87's results are doubles
    }
    if constexpr (requires { given.fpcr; }) {
        flip(&Words::fpcr, 1U << 24);  // aarch64: denormal numbers become zero
    }
    if constexpr (requires { given.fpc; }) {
        flip(&Words::fpc, 0x10U);  // s390x: the rounding of decimal arithmetic
    }
    if constexpr (requires { given.vscr_upper; }) {
        flip(&Words::fpscr_decimal, std::uint16_t{1});  // Power: the rounding of decimal arithmetic
        flip(&Words::vscr_upper, std::uint16_t{1});     // and denormals in vectors become zero
    }
    return found;
}

double third() {
    volatile double three = 3;
    return 1 / three;
}

}  // namespace

TEST_CASE("control words are saved and restored") {
    const restored afterwards;
    for (const int mode : modes) {
        const fp_environment words = set(mode);
        for (const int other : modes) {
            CHECK((set(other) == words) == (other == mode));
            context_restore_fp_environment(words);
            CHECK(std::fegetround() == mode);
            CHECK(context_save_fp_environment() == words);
        }
    }
}

TEST_CASE("control words without a name in <cfenv> are saved and restored") {
    if (!heddle::test::needs_processor("it keeps no control word but the rounding modes")) {
        return;
    }
    const restored afterwards;
    for (const fp_environment& words : unnamed(afterwards.words)) {
        context_restore_fp_environment(words);
        CHECK(context_save_fp_environment() == words);
        context_restore_fp_environment(afterwards.words);
        CHECK(context_save_fp_environment() == afterwards.words);
    }
}

TEST_CASE("raised floating-point exceptions are no part of the control words") {
    const restored afterwards;
    std::feclearexcept(FE_ALL_EXCEPT);
    const fp_environment before = context_save_fp_environment();
    volatile double inexact = third();
    static_cast<void>(inexact);
    std::feraiseexcept(FE_ALL_EXCEPT);
    CHECK(context_save_fp_environment() == before);
    std::feclearexcept(FE_ALL_EXCEPT);
}

#ifdef HEDDLE_FP_PRESERVED

TEST_CASE("with fp_environment=preserved every context keeps its own control words") {
    const restored afterwards;
    bool kept_inside = true;
    int next = FE_TONEAREST;
    flow other([&](flow& self) {
        for (;;) {
            const fp_environment mine = set(next);
            const double mine_third = third();
            self.suspend();
            kept_inside &= context_save_fp_environment() == mine && third() == mine_third;
        }
    });
    for (const int outer : modes) {
        for (const int inner : modes) {
            const fp_environment mine = set(outer);
            const double mine_third = third();
            next = inner;
            other.resume();
            CHECK(context_save_fp_environment() == mine);
            CHECK(third() == mine_third);
        }
    }
    CHECK(kept_inside);
}

TEST_CASE("with fp_environment=preserved control words without a name in <cfenv> are kept too") {
    if (!heddle::test::needs_processor("it keeps no control word but the rounding modes")) {
        return;
    }
    const restored afterwards;
    for (const fp_environment& words : unnamed(afterwards.words)) {
        fp_environment begun = {};
        fp_environment continued = {};
        context_restore_fp_environment(words);
        flow other([&](flow& self) {
            begun = context_save_fp_environment();
            self.suspend();
            continued = context_save_fp_environment();
        });
        context_restore_fp_environment(afterwards.words);
        for (const fp_environment* const found : {&begun, &continued}) {
            other.resume();
            CHECK(*found == words);
            CHECK(context_save_fp_environment() == afterwards.words);
        }
    }
}

TEST_CASE("with fp_environment=preserved a fresh context begins with its maker's control words") {
    const restored afterwards;
    for (const int makers : modes) {
        const fp_environment words = set(makers);
        fp_environment found = {};
        double found_third = 0;
        flow fresh([&](flow&) {
            found = context_save_fp_environment();
            found_third = third();
        });
        const double expected_third = third();
        for (const int others : modes) {
            std::fesetround(others);  // the last one differs from every maker's but its own
        }
        fresh.resume();
        CHECK(found == words);
        CHECK(found_third == expected_third);
    }
}

#else

TEST_CASE("with fp_environment=thread the control words stay the thread's across a switch") {
    if (!heddle::test::needs_port("keeps every context's control words by itself on some CPUs")) {
        return;
    }
    const restored afterwards;
    fp_environment seen = {};
    int next = FE_TONEAREST;
    flow other([&](flow& self) {
        for (;;) {
            seen = context_save_fp_environment();
            std::fesetround(next);
            self.suspend();
        }
    });
    for (const int outer : modes) {
        for (const int inner : modes) {
            const fp_environment inners = set(inner);
            const fp_environment outers = set(outer);
            next = inner;
            other.resume();
            CHECK(seen == outers);
            CHECK(context_save_fp_environment() == inners);
        }
    }
}

#endif
