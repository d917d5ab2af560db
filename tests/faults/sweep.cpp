#include "tests/faults/sweep.hpp"

#include "runtime/base/sanitizer.hpp"
#include "runtime/base/system.hpp"
#include "runtime/core/stack.hpp"
#include "tests/faults/echo.hpp"
#include "tests/faults/heap.hpp"
#include "tests/faults/kinds.hpp"
#include "tests/faults/process_state.hpp"
#include "tests/support/child.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string_view>

#ifdef HEDDLE_ASAN
#include <sanitizer/lsan_interface.h>
#endif

namespace heddle::test {
namespace {

namespace sys = detail::sys;

// A run takes milliseconds. One that takes so long, even on a busy machine, hangs.
const unsigned run_seconds_max = detail::switches_are_watched() ? 60 : 12;

// Enough to see what is wrong. A hang takes its time, and a test case has not so much.
constexpr std::size_t problems_max = 12;
constexpr std::size_t deaths_max = 2;

constexpr std::size_t calls_max = 64;

// What parent and child both see.
struct shared_page {
    std::array<int, calls_max> calls;
    std::size_t current, fired, reported, absorbed;
};

class shared_memory {
public:
    shared_memory() {
        void* const start = ::mmap(nullptr, sizeof(shared_page), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (start == MAP_FAILED) {
            throw std::runtime_error("no shared memory for the test");
        }
        page_ = static_cast<shared_page*>(start);
    }
    shared_memory(const shared_memory&) = delete;
    shared_memory& operator=(const shared_memory&) = delete;
    ~shared_memory() { ::munmap(page_, sizeof(shared_page)); }
    shared_page* operator->() const { return page_; }

private:
    shared_page* page_;
};

// Stands in the door and before operator new while the program runs.
struct injection {
    const fault* planned = nullptr;
    sys::call which = sys::call::close;  // that `planned` is about
    bool on_heap = false;
    int met = 0;  // such calls so far
    std::array<int, calls_max> calls = {};
    int allocations = 0;

    bool fired() const { return planned != nullptr && met >= planned->nth; }

    std::int64_t verdict() {
        const int place = ++met - planned->nth;
        if (place < 0) {
            return 0;
        }
        switch (planned->mode) {
        case fault_mode::once:
            return place == 0 ? -planned->error : 0;
        case fault_mode::for_good:
            return -planned->error;
        case fault_mode::interrupted:
            return place < 3 ? -EINTR : 0;
        case fault_mode::cut_short:
            return place == 0 ? 1 : 0;
        case fault_mode::cut_interrupted:
            return place == 0 ? 1 : place == 1 ? -EINTR : 0;
        }
        return 0;
    }
};
injection now;

std::int64_t at_the_door(sys::call which, int) {
    ++now.calls[static_cast<std::size_t>(which)];
    return now.planned != nullptr && !now.on_heap && which == now.which ? now.verdict() : 0;
}

bool at_the_heap() {
    ++now.allocations;
    return now.planned != nullptr && now.on_heap && now.verdict() != 0;
}

first_error run_with(const fault* planned) {
    now = {};
    now.planned = planned;
    detail::guards = detail::guard_kind::unknown;
    if (planned != nullptr) {
        now.on_heap = planned->kind == call_kinds().size();
        if (!now.on_heap) {
            now.which = call_kinds()[planned->kind].which;
        }
        if (!now.on_heap && now.which == sys::call::mprotect) {
            detail::guards = detail::guard_kind::mapped;
        }
    }
    ::alarm(run_seconds_max);
    sys::intercept = at_the_door;
    allocation_fails = at_the_heap;
    const first_error error = run_echo_program();
    allocation_fails = nullptr;
    sys::intercept = nullptr;
    ::alarm(0);
    return error;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != text.npos;
}

// What is wrong with the error that was heard of; empty where it is as it should be.
std::string judge_heap_error(const first_error& error) {
    const bool named = error.is_bad_alloc() || error.code() == std::errc::not_enough_memory;
    return named ? "" : "is no lack of memory";
}

std::string judge_error(const fault& planned, const first_error& error) {
    if (planned.kind == call_kinds().size()) {
        return judge_heap_error(error);
    }
    const call_kind& kind = call_kinds()[planned.kind];
    const std::string_view what = error.what();
    if (!what.starts_with("heddle")) {
        return "does not say who speaks";
    }
    // A scope that cannot be looked up, by a socket of its own, makes the text no address.
    const bool of_scope =
        kind.which == sys::call::if_nametoindex || kind.which == sys::call::socket;
    if (of_scope && error.is_invalid_argument()) {
        const std::string limit =
            planned.error == ENOBUFS ? "no memory" : limit_named_by(planned.error);
        return contains(what, "scope") && contains(what, limit) ? "" : "is not of the scope";
    }
    if (error.is_bad_alloc()) {
        return kind.which == sys::call::mmap && contains(what, "mmap") ? "" : "is a bad_alloc";
    }
    const int reported = error.code().value();
    if (error.code().category() != std::system_category() &&
        error.code().category() != std::generic_category()) {
        return "is of another category";
    }
    if (!may_become(kind, planned.error, reported)) {
        return "has another code";
    }
    if (!contains(what, std::strerror(planned.error)) && !contains(what, std::strerror(reported))) {
        return "does not say the cause";
    }
    if (!contains(what, limit_named_by(reported))) {
        return "does not name the limit";
    }
    return "";
}

bool must_be_heard(const fault& planned) {
    if (planned.kind == call_kinds().size()) {
        return false;
    }
    const call_kind& kind = call_kinds()[planned.kind];
    const auto& unheard = kind.unheard;
    const reaction expected = planned.nth == 1 ? kind.first : kind.what_becomes;
    return expected == reaction::reported ||
           (!unheard.empty() &&
            std::find(unheard.begin(), unheard.end(), planned.error) == unheard.end());
}

std::string judge(const fault& planned, const first_error& error) {
    const bool harmless = planned.error == 0;
    if (!now.fired()) {
        return error ? "no call failed, and yet somebody heard: " + std::string(error.what()) : "";
    }
    if (!error) {
        return !harmless && must_be_heard(planned) ? "nobody heard of it" : "";
    }
    const std::string wrong = harmless ? "is none" : judge_error(planned, error);
    return wrong.empty() ? ""
                         : "the error that reached \"" + std::string(error.who()) + "\" " + wrong +
                               ": " + error.what();
}

// Faults after which something stays, as it must: what could not be unmapped, and the alternate
// stack that could not be put away. (The first two calls ask for one and set it.)
bool keeps_mappings(const fault& planned) {
    if (planned.kind == call_kinds().size()) {
        return false;
    }
    const sys::call which = call_kinds()[planned.kind].which;
    return which == sys::call::munmap || (which == sys::call::sigaltstack && planned.nth > 2);
}

void report_problem(const std::string& text) {
    std::printf("PROBLEM %s\n", text.c_str());
    std::fflush(stdout);
}

bool run_cleanly(const char* when) {
    const first_error error = run_with(nullptr);
    if (error) {
        report_problem(std::string("a run without a fault ") + when + " failed: " + error.what());
    }
    return !error;
}

// One run with a fault, and all that is to be said of it. Returns whether it went well.
bool run_fault(const fault& planned, process_state& usual, shared_memory& shared) {
    const first_error error = run_with(&planned);
    shared->fired += now.fired();
    shared->reported += now.fired() && error;
    shared->absorbed += now.fired() && !error;
    const process_state after = process_state::now();  // before anything of ours is alive
    std::string wrong = judge(planned, error);
    if (keeps_mappings(planned)) {
        usual.mapped_bytes = std::max(usual.mapped_bytes, after.mapped_bytes);
    }
    if (const std::string left = after.beyond(usual); !left.empty()) {
        wrong += " something is left:" + left;
        usual = after;
    }
    if (!wrong.empty()) {
        report_problem(describe(planned) + ": " + wrong);
    }
    return wrong.empty();
}

process_state warm_up() {
    process_state usual;
    for (int i = 0; i < 3; ++i) {
        run_cleanly("at the beginning");
        const process_state after = process_state::now();
        usual = {after.descriptors, std::max(usual.mapped_bytes, after.mapped_bytes), after.blocks};
    }
    return usual;
}

void look_for_leaks() {
#ifdef HEDDLE_ASAN
    if (__lsan_do_recoverable_leak_check() != 0) {
        report_problem("the leak sanitizer found something");
    }
#endif
}

// Adds what a child said to the result; the fault during which it ended, if it did not end well.
void take_in(const child_result& child, const fault* during, sweep_result& result) {
    for (std::string_view rest = child.output; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(line.size() < rest.size() ? line.size() + 1 : rest.size());
        if (line.starts_with("PROBLEM ")) {
            result.problems.emplace_back(line.substr(8));
        }
    }
    if (child.exit_status != 0) {
        result.problems.push_back((during != nullptr ? describe(*during) : "no fault") +
                                  ": the process ended by signal " + std::to_string(child.signal) +
                                  ":\n" + child.output);
    }
}

void take_in(shared_memory& shared, sweep_result& result) {
    result.fired += shared->fired;
    result.reported += shared->reported;
    result.absorbed += shared->absorbed;
    shared->fired = shared->reported = shared->absorbed = 0;
}

constexpr std::chrono::minutes child_limit{20};  // alarm() looks after each run

}  // namespace

std::string describe(const fault& one) {
    const std::string nth = "call " + std::to_string(one.nth) + " of ";
    const std::string which =
        nth + (one.kind == call_kinds().size() ? "operator new" : call_kinds()[one.kind].name);
    switch (one.mode) {
    case fault_mode::once:
        return which + " failed by " + name_of_error(one.error);
    case fault_mode::for_good:
        return which + " and all that follow failed by " + name_of_error(one.error);
    case fault_mode::interrupted:
        return which + " was interrupted";
    case fault_mode::cut_short:
        return which + " was cut short";
    case fault_mode::cut_interrupted:
        return which + " was interrupted after one byte";
    }
    return which;
}

std::vector<int> count_calls(bool cold) {
    shared_memory shared;
    sweep_result result;
    const child_result child = run_child(
        [&] {
            if (!cold) {
                warm_up();
            }
            run_cleanly("to count its calls");
            for (std::size_t i = 0; i < call_kinds().size(); ++i) {
                shared->calls[i] = now.calls[static_cast<std::size_t>(call_kinds()[i].which)];
            }
            shared->calls[call_kinds().size()] = now.allocations;
            // Where there are lighter guards nothing is protected, unless that is to fail.
            for (std::size_t i = 0; i < call_kinds().size(); ++i) {
                if (call_kinds()[i].which == sys::call::mprotect) {
                    const fault beyond_all = {i, fault_mode::once, ENOMEM, INT_MAX};
                    run_with(&beyond_all);
                    shared->calls[i] = now.met;
                }
            }
        },
        child_limit);
    take_in(child, nullptr, result);
    if (!result.problems.empty()) {
        throw std::runtime_error(result.problems.front());
    }
    return {shared->calls.begin(),
            shared->calls.begin() + static_cast<std::ptrdiff_t>(call_kinds().size()) + 1};
}

std::vector<fault> all_faults(const std::vector<int>& calls) {
    std::vector<fault> faults;
    for (std::size_t kind = 0; kind < calls.size(); ++kind) {
        const bool heap = kind == call_kinds().size();
        for (int nth = 1; nth <= calls[kind]; ++nth) {
            const auto add = [&](fault_mode mode, int error) {
                faults.push_back({kind, mode, error, nth});
            };
            if (heap) {
                add(fault_mode::once, ENOMEM);
                add(fault_mode::for_good, ENOMEM);
                continue;
            }
            const call_kind& one = call_kinds()[kind];
            for (const int error : one.errors) {
                add(fault_mode::once, error);
            }
            for (const int error : one.limits) {
                add(fault_mode::for_good, error);
            }
            add(fault_mode::interrupted, 0);
            if (one.transfers) {
                add(fault_mode::cut_short, 0);
                add(fault_mode::cut_interrupted, 0);
            }
        }
    }
    return faults;
}

sweep_result sweep(const std::vector<fault>& faults) {
    shared_memory shared;
    sweep_result result;
    for (std::size_t deaths = 0; shared->current < faults.size() && deaths < deaths_max &&
                                 result.problems.size() < problems_max;) {
        const child_result child = run_child(
            [&] {
                process_state usual = warm_up();
                constexpr std::size_t look_every = 100;
                std::size_t problems = 0;
                for (; shared->current < faults.size() && problems < problems_max;
                     ++shared->current) {
                    problems += !run_fault(faults[shared->current], usual, shared);
                    if (shared->current % look_every == 0) {
                        problems += !run_cleanly("after those");
                    }
                }
                run_cleanly("at the end");
                look_for_leaks();
            },
            child_limit);
        const bool well = child.exit_status == 0;
        take_in(child,
                well || shared->current == faults.size() ? nullptr : &faults[shared->current],
                result);
        shared->current += well ? 0 : 1;
        deaths += well ? 0 : 1;
        take_in(shared, result);
    }
    result.runs = shared->current;
    return result;
}

sweep_result sweep_cold(const std::vector<fault>& faults) {
    shared_memory shared;
    sweep_result result;
    for (const fault& one : faults) {
        const child_result child = run_child(
            [&] {
                // What the process keeps for good is no leak.
                process_state usual = {process_state::now().descriptors, SIZE_MAX, 0};
                const first_error error = run_with(&one);
                shared->fired += now.fired();
                shared->reported += now.fired() && error;
                shared->absorbed += now.fired() && !error;
                process_state after = process_state::now();
                after.blocks = 0;
                const std::string wrong = judge(one, error);
                const std::string left = after.beyond(usual);
                if (!wrong.empty() || !left.empty()) {
                    report_problem("in a new process: " + describe(one) + ": " + wrong + left);
                }
                run_cleanly("after a fault in a new process");
            },
            child_limit);
        take_in(child, &one, result);
        take_in(shared, result);
        ++result.runs;
        if (result.problems.size() >= problems_max) {
            break;
        }
    }
    return result;
}

}  // namespace heddle::test
