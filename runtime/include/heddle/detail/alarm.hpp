// A deadline of something that is not a wait.
#pragma once

#include <heddle/detail/abi.hpp>

#include <cstdint>

#pragma GCC visibility push(default)

namespace heddle::detail {

/// Lies in what it is for. Home worker only.
struct alarm {
    void (*ring)(alarm& self) noexcept = nullptr;  ///< called when it is due, by the dispatcher
    void* owner = nullptr;                         ///< for `ring` to know
    std::uint32_t number = 0;                      ///< of the heap's use
    bool armed = false;
};

}  // namespace heddle::detail

#pragma GCC visibility pop
