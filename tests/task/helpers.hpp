// What tests of scopes share.
#pragma once

#include "tests/core/helpers.hpp"

#include <stdexcept>
#include <string>
#include <system_error>

namespace heddle::test {

[[noreturn]] inline void fail(const char* why) {
    throw std::runtime_error(why);
}

[[noreturn]] inline void fail_by_code() {
    throw std::system_error(std::make_error_code(std::errc::io_error));
}

/// What the std::runtime_error says that `f` throws.
template <class F>
std::string failure_of(F&& f) {
    return message_of<std::runtime_error>([&] { return f(), 0; });
}

}  // namespace heddle::test
