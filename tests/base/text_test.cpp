#include "runtime/base/assert.hpp"
#include "runtime/base/owning_fd.hpp"
#include "runtime/base/text.hpp"
#include "tests/base/door_keeper.hpp"
#include "tests/support/child.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace heddle::test {
namespace {

using detail::text_line;

std::string in_seconds(std::int64_t nanoseconds) {
    text_line line;
    line.seconds(nanoseconds);
    return std::string(line.view());
}

TEST_CASE("a line takes words, numbers, addresses and durations") {
    text_line line;
    line << "fiber " << std::uint64_t{17} << std::string_view{} << " at ";
    line.address(reinterpret_cast<const void*>(std::uintptr_t{0xbeef0}));
    line << " for ";
    line.seconds(1'234'567'890);
    CHECK(line.view() == "fiber 17 at 0xbeef0 for 1.234 s");
}

TEST_CASE("numbers are written to the last digit") {
    text_line line;
    line << std::uint64_t{0} << " " << std::numeric_limits<std::uint64_t>::max() << " ";
    line.address(nullptr);
    line << " ";
    line.address(reinterpret_cast<const void*>(std::numeric_limits<std::uintptr_t>::max()));
    const std::string all_ones(2 * sizeof(void*), 'f');
    CHECK(line.view() == "0 18446744073709551615 0x0 0x" + all_ones);
}

TEST_CASE("durations have three decimals, and are never below zero") {
    CHECK(in_seconds(0) == "0.000 s");
    CHECK(in_seconds(-1) == "0.000 s");
    CHECK(in_seconds(999'999) == "0.000 s");
    CHECK(in_seconds(7'000'000) == "0.007 s");
    CHECK(in_seconds(70'000'000) == "0.070 s");
    CHECK(in_seconds(700'000'000) == "0.700 s");
    CHECK(in_seconds(3'600'000'000'000) == "3600.000 s");
    CHECK(in_seconds(std::numeric_limits<std::int64_t>::max()) == "9223372036.854 s");
}

TEST_CASE("what does not fit into a line is cut off") {
    const std::string much(1000, 'x');
    text_line line;
    line << "begin " << much << " end";
    const std::string taken(line.view());
    CHECK(taken.size() < 1000);
    CHECK(taken == ("begin " + much).substr(0, taken.size()));
    line << std::uint64_t{1} << much;
    line.address(&line).seconds(1);
    CHECK(line.view() == taken);
}

TEST_CASE("a line is written with its newline, in spite of signals and short writes, and is empty "
          "afterwards") {
    int ends[2] = {};
    REQUIRE(detail::sys::pipe(ends, 0) == 0);
    const detail::owning_fd reader(ends[0]);
    const detail::owning_fd writer(ends[1]);
    text_line line;
    line << "some words";
    {
        int calls = 0;
        const door_keeper keeper(
            [&](detail::sys::call, int) -> std::int64_t { return ++calls % 2 == 1 ? -EINTR : 3; });
        line.write_to(writer.get());
    }
    char read[100];
    const std::int64_t count = detail::sys::read(reader.get(), read, sizeof read);
    REQUIRE(count > 0);
    CHECK(std::string(read, static_cast<std::size_t>(count)) == "some words\n");
    CHECK(line.view().empty());
}

TEST_CASE("a line whose reader has gone is dropped") {
    int ends[2] = {};
    REQUIRE(detail::sys::pipe(ends, 0) == 0);
    const detail::owning_fd writer(ends[1]);
    detail::sys::close(ends[0]);
    text_line line;
    line << "nobody hears this";
    line.write_to(writer.get());
    CHECK(line.view().empty());
}

TEST_CASE("an assertion that holds says nothing, and asks once") {
    int asked = 0;
    HEDDLE_ASSERT(++asked == 1, "this is false", "asked", static_cast<std::uint64_t>(asked));
    CHECK(asked == 1);
}

TEST_CASE("an assertion that fails names the fact, the values, the place and the fiber") {
    const child_result child = run_child([] {
        detail::describe_running_fiber = [](int fd) {
            text_line line;
            line << "in fiber 5";
            line.write_to(fd);
        };
        HEDDLE_ASSERT(false, "the moon is made of cheese", "holes", 12, "mice", 3);
    });
    CHECK(child.signal == SIGABRT);
    CHECK(child.output.find("heddle: the moon is made of cheese: holes = 12, mice = 3 (") == 0);
    CHECK(child.output.find("text_test.cpp:") != child.output.npos);
    CHECK(child.output.find("\nin fiber 5\n") != child.output.npos);
}

}  // namespace
}  // namespace heddle::test
