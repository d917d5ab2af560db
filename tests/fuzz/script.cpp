#include "tests/fuzz/script.hpp"

#include <array>

namespace heddle::fuzz {
namespace {

struct word {
    verb what;
    const char* text;
    bool begins_block = false;
};

constexpr word words[] = {
    {verb::yield, "yield"},
    {verb::sleep, "sleep"},
    {verb::check_cancelled, "check_cancelled"},
    {verb::look, "look"},
    {verb::spawn, "spawn"},
    {verb::spawn_detached, "spawn_detached"},
    {verb::join, "join"},
    {verb::stop, "stop"},
    {verb::detach, "detach"},
    {verb::drop, "drop"},
    {verb::fail, "fail"},
    {verb::end_routine, "end_routine"},
    {verb::end_block, "end_block"},
    {verb::lock, "lock", true},
    {verb::try_lock, "try_lock", true},
    {verb::shield, "shield", true},
    {verb::catch_all, "catch_all", true},
    {verb::at_exit, "at_exit", true},
    {verb::acquire, "acquire"},
    {verb::try_acquire, "try_acquire"},
    {verb::release, "release"},
    {verb::wait_event, "wait_event"},
    {verb::try_event, "try_event"},
    {verb::set_event, "set_event"},
    {verb::reset_event, "reset_event"},
    {verb::wait_latch, "wait_latch"},
    {verb::count_down, "count_down"},
    {verb::trim, "trim"},
    {verb::send, "send"},
    {verb::try_send, "try_send"},
    {verb::recv, "recv"},
    {verb::try_recv, "try_recv"},
    {verb::close, "close"},
    {verb::frail, "frail"},
    {verb::wait_condition, "wait_condition"},
    {verb::notify_one, "notify_one"},
    {verb::notify_all, "notify_all"},
    {verb::select, "select"},
    {verb::scope, "scope", true},
    {verb::with_scope, "with_scope", true},
    {verb::spawn_child, "spawn_child"},
    {verb::cancel_scope, "cancel_scope"},
    {verb::get_child, "get_child"},
};

const word* find(unsigned number) {
    for (const word& one : words) {
        if (static_cast<unsigned>(one.what) == number) {
            return &one;
        }
    }
    return nullptr;
}

const char* to_text(patience until) {
    constexpr const char* texts[] = {"", ", in the past", ", for a short while",
                                     ", for a while longer"};
    return texts[static_cast<unsigned>(until)];
}

// Finds the end of every block; what nobody ended ends with the routine.
void find_ends(std::vector<step>& steps) {
    std::vector<std::size_t> open;
    for (std::size_t at = 0; at < steps.size(); ++at) {
        if (begins_block(steps[at].what)) {
            steps[at].end = steps.size();
            open.push_back(at);
        } else if (steps[at].what == verb::end_block && !open.empty()) {
            steps[open.back()].end = at;
            open.pop_back();
        }
    }
}

}  // namespace

bool begins_block(verb what) {
    return find(static_cast<unsigned>(what))->begins_block;
}

script decode(std::span<const std::uint8_t> bytes) {
    script program;
    if (bytes.empty()) {
        return program;
    }
    program.several_threads = (bytes[0] & 1U) != 0;
    program.keeps_values = (bytes[0] & 2U) != 0;
    std::size_t routine = 0;
    for (std::size_t at = 1; at + 1 < bytes.size() && at < program_bytes_max; at += 2) {
        const word* const known = find(bytes[at] & 63U);
        if (known == nullptr) {
            continue;
        }
        if (known->what == verb::end_routine) {
            if (++routine == routines) {
                break;
            }
        } else if (program.routine[routine].size() < routine_steps_max) {
            program.routine[routine].push_back({known->what, bytes[at + 1]});
        }
    }
    for (std::vector<step>& steps : program.routine) {
        find_ends(steps);
    }
    return program;
}

std::string to_text(const script& program) {
    std::string text = program.several_threads ? "with atomic instructions\n" : "";
    for (std::size_t routine = 0; routine < routines; ++routine) {
        text += "routine " + std::to_string(routine) + ":\n";
        for (const step& one : program.routine[routine]) {
            text += std::string("    ") + find(static_cast<unsigned>(one.what))->text + ' ' +
                    std::to_string(one.operand & 7U) + to_text(one.until()) +
                    (one.throws() ? "" : ", error code") + ", " + std::to_string(one.more()) + '\n';
        }
    }
    return text;
}

}  // namespace heddle::fuzz
