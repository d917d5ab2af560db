// The sweep: every call of a whole echo program fails once, for good, halfway. Nothing may hang,
// die or be left, and whoever called hears the cause, unless the call was not needed.
#include "tests/faults/sweep.hpp"

#include "runtime/base/random.hpp"
#include "runtime/base/sanitizer.hpp"
#include "runtime/base/system.hpp"
#include "runtime/core/stack.hpp"
#include "tests/faults/heap.hpp"
#include "tests/faults/kinds.hpp"
#include "tests/support/report.hpp"

#include "heddle/fiber.hpp"
#include "heddle/runtime.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace heddle::test {
namespace {

using detail::sys::call;

// What a sanitizer or valgrind makes slow is sampled, since the runs are thousands.
constexpr std::size_t sample_size = 150;

bool is_slow() {
    return detail::switches_are_watched() || detail::under_valgrind();
}

void take_sample(std::vector<fault>& faults) {
    if (!is_slow() || faults.size() <= sample_size) {
        return;
    }
    detail::random_sequence random(seed());
    for (std::size_t i = 0; i < sample_size; ++i) {
        std::swap(faults[i], faults[i + static_cast<std::size_t>(random.below(faults.size() - i))]);
    }
    std::printf("sampled %zu of %zu faults:\n", sample_size, faults.size());
    faults.resize(sample_size);
    for (const fault& one : faults) {
        std::printf("    %s\n", describe(one).c_str());
    }
}

void check(const sweep_result& result) {
    std::printf("%zu runs: in %zu the call was made, in %zu a caller heard of it, in %zu the "
                "program did its work all the same\n",
                result.runs, result.fired, result.reported, result.absorbed);
    for (const std::string& problem : result.problems) {
        FAIL_CHECK(problem);
    }
    CHECK(result.fired > 0);
}

// The faults of the kinds that `wanted` names, or of operator new.
template <class Wanted>
std::vector<fault> select(std::vector<fault> faults, Wanted wanted) {
    std::erase_if(faults, [&](const fault& one) {
        return one.kind == call_kinds().size() || !wanted(call_kinds()[one.kind].which);
    });
    return faults;
}

bool transfers(call which) {
    return which == call::recv || which == call::send;
}

bool waits(call which) {
    return which == call::ppoll || which == call::epoll_wait || which == call::epoll_pwait2;
}

bool is_of_memory(call which) {
    return which == call::mmap || which == call::munmap || which == call::mprotect ||
           which == call::madvise || which == call::process_madvise || which == call::mincore ||
           which == call::sigaltstack;
}

template <class Wanted>
void sweep_kinds(Wanted wanted) {
    std::vector<fault> faults = select(all_faults(count_calls(false)), wanted);
    take_sample(faults);
    check(sweep(faults));
}

TEST_CASE("a transfer that fails, is short or is interrupted reaches its caller and nobody else") {
    sweep_kinds(transfers);
}

TEST_CASE("a wait for events that fails is tried again, or its waiters hear of it") {
    std::vector<fault> faults = select(all_faults(count_calls(false)), waits);
    // Until it is given up, a wait that fails for good takes a while.
    constexpr int every = 8;
    std::erase_if(faults, [](const fault& one) {
        return one.mode == fault_mode::for_good && one.nth % every != 1;
    });
    take_sample(faults);
    check(sweep(faults));
}

TEST_CASE("a lack of memory mappings, or their refusal, reaches whoever needed them") {
    sweep_kinds(is_of_memory);
}

TEST_CASE("any other call that fails reaches its caller, or was not needed") {
    sweep_kinds(
        [](call which) { return !transfers(which) && !waits(which) && !is_of_memory(which); });
}

TEST_CASE("an allocation that fails is a bad_alloc, or not enough memory, for its caller") {
    if (!has_own_heap) {
        return skip("the tool has an operator new of its own");
    }
    std::vector<fault> faults = all_faults(count_calls(false));
    std::erase_if(faults, [](const fault& one) { return one.kind != call_kinds().size(); });
    take_sample(faults);
    check(sweep(faults));
}

TEST_CASE("the first run of a process reports a lack of mappings too, and the second works") {
    std::vector<fault> faults =
        select(all_faults(count_calls(true)), [](call which) { return which == call::mmap; });
    take_sample(faults);
    check(sweep_cold(faults));
}

TEST_CASE("the echo program makes every kind of call that the sweep knows") {
    const std::vector<int> calls = count_calls(true);
    const auto calls_of = [&](call which) {
        for (std::size_t i = 0; i < call_kinds().size(); ++i) {
            if (call_kinds()[i].which == which) {
                return calls[i];
            }
        }
        return 0;
    };
    const bool has_epoll = calls_of(call::epoll_create1) > 0;
    // Where each guard is a mapping, none are made together.
    heddle::run([] { heddle::fiber([] {}).join(); });
    const bool guards_are_light = heddle::detail::guards == heddle::detail::guard_kind::light;
    for (std::size_t i = 0; i < call_kinds().size(); ++i) {
        const call_kind& kind = call_kinds()[i];
        const bool of_epoll = std::string(kind.name).starts_with("epoll");
        // Without a timeout, or without the newer call, only one of the two is made.
        bool may_be_absent = of_epoll && (!has_epoll || kind.which == call::epoll_pwait2);
        may_be_absent |= kind.which == call::process_madvise && !guards_are_light;
        std::printf("%s: %d calls\n", kind.name, calls[i]);
        INFO(std::string(kind.name));
        CHECK((calls[i] > 0 || may_be_absent));
    }
    std::printf("operator new: %d calls\n", calls.back());
    CHECK((calls.back() > 0) == has_own_heap);
}

}  // namespace
}  // namespace heddle::test
