#include "runtime/base/modules.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace heddle::test {
namespace {

std::string written(const void* code) {
    detail::text_line line;
    detail::add_code_address(line, code);
    return std::string(line.view());
}

// The offset behind the + of a name, 0 where there is none.
std::uint64_t offset_in(const std::string& text) {
    const std::size_t plus = text.find("+0x");
    return plus == text.npos ? 0 : std::strtoull(text.c_str() + plus + 1, nullptr, 16);
}

TEST_CASE("an address of code is written as its file and the offset there") {
    detail::note_modules();
    detail::note_modules();  // which changes nothing
    const auto here = reinterpret_cast<std::uintptr_t>(&written);
    const std::string name = written(reinterpret_cast<const void*>(here));
    CHECK(name.find("base_test+0x") == 0);
    const std::string next = written(reinterpret_cast<const void*>(here + 8));
    CHECK(offset_in(next) == offset_in(name) + 8);
    CHECK(offset_in(name) < 1U << 28);
}

TEST_CASE("an address in no file is written as a number") {
    detail::note_modules();
    int on_stack = 0;
    CHECK(written(&on_stack).find("0x") == 0);
    CHECK(written(nullptr) == "0x0");
}

}  // namespace
}  // namespace heddle::test
