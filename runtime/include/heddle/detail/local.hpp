// What fiber_local asks of the archive: where the values of a flow are found.
#pragma once

#include <heddle/detail/abi.hpp>

#include <cstdint>

#pragma GCC visibility push(default)

namespace heddle::detail {

/// Names a fiber_local: its place in the table of each flow, and a number that no other has had,
/// since places are used again.
struct local_key {
    std::uint64_t number;
    std::uint32_t place;
};

/// What precedes a value.
struct local_value {
    std::uint64_t number = 0;      ///< of its fiber_local
    std::uint32_t place = 0;       ///< of its fiber_local
    int round = 0;                 ///< made by a destructor of a value of the round before
    local_value* older = nullptr;  ///< made before it by the same flow
    local_value* newer = nullptr;
    void (*destroy)(local_value* self) noexcept = nullptr;
};

/// Errors: std::bad_alloc. Threads: any.
local_key make_local_key();
void drop_local_key(local_key key) noexcept;

/// The calling flow's value; null if it has none.
local_value* find_local(local_key key) noexcept;

/// Gives the calling flow, which has none, a value, to be destroyed when it ends.
/// Errors: std::bad_alloc; nothing has changed.
void add_local(local_key key, local_value& value);

/// Takes the calling flow's value away from it; null if it has none.
local_value* take_local(local_key key) noexcept;

}  // namespace heddle::detail

#pragma GCC visibility pop
