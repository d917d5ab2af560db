// Small programs of operations, as bytes: what the fuzzer mutates and corpus/ keeps.
//
// The first byte is for the whole program. Every two bytes after it are a step: a verb, and an
// operand that picks objects and deadlines. A verb's number never changes and a free one means
// nothing, so that the corpus keeps its meaning when verbs are added. play.hpp says what the steps
// do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace heddle::fuzz {

enum class verb : std::uint8_t {
    yield = 0,
    sleep = 1,
    check_cancelled = 2,
    look = 3,  ///< nobody may wait for what is there
    spawn = 4,
    spawn_detached = 5,
    join = 6,
    stop = 7,
    detach = 8,
    drop = 9,          ///< destroys a handle: stops and joins
    fail = 10,         ///< throws an exception of the program's own
    end_routine = 11,  ///< the next step begins another
    end_block = 12,
    lock = 13,       ///< begins a block
    try_lock = 14,   ///< begins a block
    shield = 15,     ///< begins a block
    catch_all = 16,  ///< begins a block
    at_exit = 17,    ///< begins a block with a destructor that waits
    acquire = 18,
    try_acquire = 19,
    release = 20,
    wait_event = 21,
    try_event = 22,
    set_event = 23,
    reset_event = 24,
    wait_latch = 25,
    count_down = 26,
    trim = 27,
    send = 28,
    try_send = 29,
    recv = 30,
    try_recv = 31,
    close = 32,
    frail = 33,  ///< lets a move of a value throw, or give way
    wait_condition = 34,
    notify_one = 35,
    notify_all = 36,
    select = 37,
    scope = 38,       ///< begins a block
    with_scope = 39,  ///< begins a block
    spawn_child = 40,
    cancel_scope = 41,
    get_child = 42,
};

/// The first number that no verb has.
constexpr unsigned verbs_end = 43;

/// How long a step may wait.
enum class patience : std::uint8_t { endless, past, short_while, while_longer };

struct step {
    verb what = verb::yield;
    std::uint8_t operand = 0;
    std::size_t end = 0;  ///< of one that begins a block: the step that ends it, or how many

    std::size_t object(std::size_t count) const { return (operand & 7U) % count; }
    patience until() const { return static_cast<patience>(operand >> 3 & 3U); }
    bool throws() const { return (operand & 0x20U) == 0; }  ///< or reports in an error_code
    unsigned more() const { return operand >> 6; }
};

bool begins_block(verb what);

/// The fibers that one program may have, and the steps that each of them may take.
constexpr std::size_t fibers_max = 12;
constexpr std::size_t routine_steps_max = 24;
constexpr std::size_t routines = 4;

/// The longest program: more bytes mean nothing.
constexpr std::size_t program_bytes_max = 1 + 2 * (routines * (routine_steps_max + 1));

struct script {
    bool several_threads = false;  ///< take the paths of a process with several threads
    bool keeps_values = false;     ///< values that are left in channels are destroyed with those
    std::array<std::vector<step>, routines> routine;  ///< the main fiber plays the first
};

script decode(std::span<const std::uint8_t> bytes);

/// For people.
std::string to_text(const script& program);

}  // namespace heddle::fuzz
