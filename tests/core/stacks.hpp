// What tests of stacks share.
#pragma once

#include "runtime/base/system.hpp"
#include "runtime/core/stack.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

namespace heddle::test {

constexpr std::size_t stack_bytes = 64 * 1024;

inline std::size_t page() {
    return detail::sys::page_bytes();
}

inline std::vector<std::byte*> take(detail::stack_class& stacks, std::size_t count) {
    std::vector<std::byte*> tops;
    for (std::size_t i = 0; i < count; ++i) {
        tops.push_back(stacks.take());
        REQUIRE(tops.back() != nullptr);
    }
    return tops;
}

inline void give(detail::stack_class& stacks, const std::vector<std::byte*>& tops) {
    for (std::byte* const top : tops) {
        stacks.give(top);
    }
}

}  // namespace heddle::test
