// What converts to a buffer and what must not, mostly told by the compiler.
#include <heddle/heddle.hpp>

#include <doctest/doctest.h>

#include <array>
#include <deque>
#include <list>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

template <class Range>
constexpr bool can_be_read_into = std::is_convertible_v<Range, heddle::mutable_buffer>;
template <class Range>
constexpr bool can_be_written = std::is_convertible_v<Range, heddle::const_buffer>;

// Lvalues of the three kinds of byte, and views of them.
static_assert(can_be_read_into<char (&)[4]>);
static_assert(can_be_read_into<unsigned char (&)[4]>);
static_assert(can_be_read_into<std::byte (&)[4]>);
static_assert(can_be_read_into<std::string&>);
static_assert(can_be_read_into<std::vector<unsigned char>&>);
static_assert(can_be_read_into<std::array<std::byte, 4>&>);
static_assert(can_be_read_into<std::span<char>>);
static_assert(can_be_read_into<std::span<std::byte, 4>>);
static_assert(can_be_read_into<const std::span<char>&>);
static_assert(can_be_read_into<heddle::mutable_buffer>);

// Const bytes.
static_assert(!can_be_read_into<const char (&)[4]>);
static_assert(!can_be_read_into<const std::string&>);
static_assert(!can_be_read_into<std::string_view>);
static_assert(!can_be_read_into<std::span<const char>>);
static_assert(!can_be_read_into<heddle::const_buffer>);
// Bytes that die before they could be looked at.
static_assert(!can_be_read_into<std::string>);
static_assert(!can_be_read_into<std::vector<char>>);
static_assert(!can_be_read_into<std::array<char, 4>>);
// Not in one piece, not bytes, or of unknown length.
static_assert(!can_be_read_into<std::deque<char>&>);
static_assert(!can_be_read_into<std::list<char>&>);
static_assert(!can_be_read_into<std::vector<int>&>);
static_assert(!can_be_read_into<std::vector<bool>&>);
static_assert(!can_be_read_into<std::wstring&>);
static_assert(!can_be_read_into<signed char (&)[4]>);
static_assert(!can_be_read_into<char8_t (&)[4]>);
static_assert(!can_be_read_into<volatile char (&)[4]>);
static_assert(!can_be_read_into<char*>);
static_assert(!can_be_read_into<void*>);
static_assert(!can_be_read_into<char&>);
static_assert(!can_be_read_into<std::nullptr_t>);

// Also const and temporary ones.
static_assert(can_be_written<const char (&)[4]>);
static_assert(can_be_written<char (&)[4]>);
static_assert(can_be_written<std::string>);
static_assert(can_be_written<std::string_view>);
static_assert(can_be_written<const std::vector<std::byte>&>);
static_assert(can_be_written<std::array<unsigned char, 4>>);
static_assert(can_be_written<std::span<const std::byte>>);
static_assert(can_be_written<heddle::const_buffer>);
static_assert(can_be_written<heddle::mutable_buffer>);

static_assert(!can_be_written<const char*>);
static_assert(!can_be_written<std::deque<char>&>);
static_assert(!can_be_written<std::vector<int>>);
static_assert(!can_be_written<const char8_t (&)[4]>);
static_assert(!can_be_written<std::wstring_view>);
static_assert(!can_be_written<int>);
static_assert(!can_be_written<std::nullptr_t>);

// A literal goes without its end, and nothing else loses any.
static_assert(heddle::const_buffer("heddle").size() == 6);
static_assert(heddle::const_buffer("").empty());
static_assert(heddle::const_buffer("a\0b").size() == 3);
constexpr char no_literal[] = {'a', 'b'};
static_assert(heddle::const_buffer(no_literal).size() == 2);
constexpr unsigned char binary[] = {1, 0};
static_assert(heddle::const_buffer(binary).size() == 2);

// Every call takes them, with and without a deadline and an error code, in this order.
template <class Stream>
concept reads_in_four_forms = requires(Stream s, char (&b)[4], heddle::deadline d,
                                       std::error_code& ec) {
    { s.read(b) } -> std::same_as<std::size_t>;
    { s.read(b, d) } -> std::same_as<std::size_t>;
    { s.read(b, std::chrono::seconds(5)) } -> std::same_as<std::size_t>;
    { s.read(b, ec) }
    noexcept->std::same_as<std::size_t>;
    { s.read(b, d, ec) }
    noexcept->std::same_as<std::size_t>;
    { s.read_exactly(b) } -> std::same_as<void>;
    { s.read_exactly(b, d, ec) }
    noexcept->std::same_as<void>;
};
static_assert(reads_in_four_forms<heddle::tcp_stream>);

template <class Stream>
concept writes_in_four_forms = requires(Stream s, heddle::deadline d, std::error_code& ec) {
    { s.write("b") } -> std::same_as<std::size_t>;
    { s.write("b", d) } -> std::same_as<std::size_t>;
    { s.write("b", ec) }
    noexcept->std::same_as<std::size_t>;
    { s.write("b", d, ec) }
    noexcept->std::same_as<std::size_t>;
    { s.write_all("b", std::chrono::seconds(5)) } -> std::same_as<void>;
    { s.write_all("b", ec) }
    noexcept->std::same_as<void>;
};
static_assert(writes_in_four_forms<heddle::tcp_stream>);

template <class Buffer>
concept stream_reads = requires(heddle::tcp_stream s, Buffer b) {
    s.read(static_cast<Buffer>(b));
};
static_assert(stream_reads<std::string&>);
static_assert(!stream_reads<std::string>);
static_assert(!stream_reads<const std::string&>);
static_assert(!stream_reads<std::vector<int>&>);

template <class Number>
concept waits_until = requires(heddle::tcp_stream s, char (&b)[4], Number n) {
    s.read(b, n);
};
static_assert(waits_until<std::chrono::milliseconds>);
static_assert(!waits_until<int>);

static_assert(!std::is_copy_constructible_v<heddle::tcp_stream>);
static_assert(!std::is_copy_assignable_v<heddle::tcp_listener>);
static_assert(std::is_nothrow_move_constructible_v<heddle::tcp_stream>);
static_assert(std::is_nothrow_move_assignable_v<heddle::tcp_listener>);

}  // namespace

TEST_CASE("a buffer sees the bytes of what it was made from") {
    std::string text = "warp and weft";
    CHECK(heddle::mutable_buffer(text).data() == text.data());
    CHECK(heddle::mutable_buffer(text).size() == text.size());
    std::vector<std::byte> bytes(7);
    CHECK(heddle::const_buffer(bytes).data() == bytes.data());
    CHECK(heddle::const_buffer(bytes).size() == 7);
    const heddle::const_buffer part = std::string_view(text).substr(5, 3);
    CHECK(std::string_view(static_cast<const char*>(part.data()), part.size()) == "and");
    char array[16] = {};
    CHECK(heddle::const_buffer(array).size() == 16);
    CHECK(heddle::mutable_buffer(std::span(array).first(4)).size() == 4);
}

TEST_CASE("an empty range is an empty buffer") {
    std::string none;
    CHECK(heddle::mutable_buffer(none).empty());
    CHECK(heddle::const_buffer(std::span<const std::byte>()).empty());
    CHECK(heddle::const_buffer(std::string_view()).data() == nullptr);
}
