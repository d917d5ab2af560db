// Runs the body of a test case inside a fiber.
#pragma once

#include "heddle/runtime.hpp"

#include <utility>

namespace heddle::test {

/// Runs `body` as the first fiber of a fresh runtime and returns what it returns.
///
/// Whatever leaves the body is rethrown here, on the plain stack: also what a failing REQUIRE
/// throws, so that doctest ends the test case as usual. INFO, CAPTURE and SUBCASE keep their state
/// per thread and in call order: use them in one fiber at a time, and never across a wait during
/// which another fiber uses them too. CHECK is fine in any fiber.
template <class Body>
auto in_fiber(Body&& body, const heddle::options& options = {}) {
    return heddle::run([&body] { return std::forward<Body>(body)(); }, options);
}

}  // namespace heddle::test
