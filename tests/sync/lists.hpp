// What tests look for in lists of fibers.
#pragma once

#include "tests/core/helpers.hpp"

#include "heddle/fiber.hpp"

#include <sstream>
#include <string>

namespace heddle::test {

/// The lines of the list that contain `part`, each with its newline.
inline std::string lines_with(const std::string& part, const std::string& list = dumped()) {
    std::istringstream lines(list);
    std::string found;
    for (std::string line; std::getline(lines, line);) {
        if (contains(line, part)) {
            found += line + '\n';
        }
    }
    return found;
}

/// How lists write a fiber.
inline std::string written(const std::string& name, fiber_id id) {
    return "fiber " + std::to_string(id.number()) + " \"" + name + '"';
}
inline std::string written(const std::string& name, const fiber<>& which) {
    return written(name, which.get_id());
}

}  // namespace heddle::test
