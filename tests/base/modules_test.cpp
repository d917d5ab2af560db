#include "runtime/base/modules.hpp"

#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
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

TEST_CASE(
    "a function is named as the linker knows it, or as it is written where memory may be had") {
    detail::note_modules();
    const auto* const inside = reinterpret_cast<const char*>(&written) + 2;
    CHECK(written(inside).find("written") != std::string::npos);
    detail::code_names names(detail::code_names::form::as_written);
    for (int round = 0; round < 2; ++round) {  // found, then remembered
        detail::text_line line;
        names.add_to(line, inside);
        const std::string text(line.view());
        CAPTURE(text);
        // Between name and parameters clang says which form of std::string it returns.
        CHECK(text.find("(heddle::test::(anonymous namespace)::written") != std::string::npos);
        CHECK(text.find("(void const*)") != std::string::npos);
    }
    // A function of a library, which has only the names that others may use.
    const std::string library = written(reinterpret_cast<const char*>(&std::qsort) + 2);
    CHECK(library.find("qsort") != std::string::npos);
}

TEST_CASE("a file that is no module, is damaged or is not there has no names") {
    CHECK(detail::symbol_table().function_at(0x1000).empty());
    CHECK(detail::symbol_table("/nonexistent").function_at(0x1000).empty());
    CHECK(detail::symbol_table("/dev/null").function_at(0x1000).empty());
    // Our own file, cut short or with wrong bytes, never leads outside of itself.
    std::ifstream file("/proc/self/exe", std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(file), {}};
    std::mt19937_64 random(seed());
    std::string path = (std::filesystem::temp_directory_path() / "heddle-XXXXXX").string();
    ::close(::mkstemp(path.data()));
    for (int round = 0; round < 60; ++round) {
        std::string bytes =
            whole.substr(0, round % 3 == 0 ? random() % whole.size() : whole.size());
        // The header's first bytes, and the table of sections at the end of the file.
        for (int hit = 0; hit < 8 && bytes.size() > 4096; ++hit) {
            const std::size_t where =
                random() % 2 == 0 ? random() % 64 : bytes.size() - 1 - random() % 4096;
            bytes[where] = static_cast<char>(random());
        }
        std::ofstream(path, std::ios::binary) << bytes;
        const detail::symbol_table damaged(path.c_str());
        static_cast<void>(damaged.function_at(random() % whole.size()));
    }
    std::filesystem::remove(path);
}

TEST_CASE("an address in no file is written as a number") {
    detail::note_modules();
    int on_stack = 0;
    CHECK(written(&on_stack).find("0x") == 0);
    CHECK(written(nullptr) == "0x0");
}

}  // namespace
}  // namespace heddle::test
