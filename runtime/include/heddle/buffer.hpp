// Views of bytes, as calls that read and write take them.
//
// Whatever holds bytes side by side converts to them: a string, a vector, an array, a span. They
// own nothing: the bytes must outlive the call that they are handed to.
#pragma once

#include <heddle/detail/abi.hpp>

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

/// Whether a `Range` converts to a span of `Byte`. The standard's rules for that are ours: bytes
/// side by side, a known length, and for non-const bytes nothing that dies before the view.
template <class Range, class Byte>
concept viewable_as = std::is_convertible_v<Range, std::span<Byte>>;

template <class Range>
concept writable_bytes =
    viewable_as<Range, char> || viewable_as<Range, unsigned char> || viewable_as<Range, std::byte>;

template <class Range>
concept readable_bytes = viewable_as<Range, const char> ||
    viewable_as<Range, const unsigned char> || viewable_as<Range, const std::byte>;

}  // namespace detail

inline namespace v1 {

/// Bytes that a call may fill: an lvalue or a borrowed range (a span, say) of non-const `char`,
/// `unsigned char` or `std::byte`. A value; copies see the same bytes.
class mutable_buffer {
public:
    template <detail::writable_bytes Range>
    constexpr mutable_buffer(Range&& range) noexcept {
        if constexpr (detail::viewable_as<Range, char>) {
            take(std::span<char>(std::forward<Range>(range)));
        } else if constexpr (detail::viewable_as<Range, unsigned char>) {
            take(std::span<unsigned char>(std::forward<Range>(range)));
        } else {
            take(std::span<std::byte>(std::forward<Range>(range)));
        }
    }

    /// Where the bytes begin; may be null if there are none.
    constexpr void* data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }

private:
    template <class Byte>
    constexpr void take(std::span<Byte> bytes) noexcept {
        data_ = bytes.data();
        size_ = bytes.size();
    }

    void* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Bytes that a call reads and leaves alone: any range of `char`, `unsigned char` or `std::byte`
/// that lies in one piece, also a temporary string, which lives as long as the call.
///
/// An array of const `char` is taken for a string literal: a NUL at its end is not part of it.
class const_buffer {
public:
    template <detail::readable_bytes Range>
    constexpr const_buffer(Range&& range) noexcept {
        if constexpr (detail::viewable_as<Range, const char>) {
            take(std::span<const char>(std::forward<Range>(range)));
        } else if constexpr (detail::viewable_as<Range, const unsigned char>) {
            take(std::span<const unsigned char>(std::forward<Range>(range)));
        } else {
            take(std::span<const std::byte>(std::forward<Range>(range)));
        }
    }

    template <std::size_t Size>
    constexpr const_buffer(const char (&literal)[Size]) noexcept
        : data_(literal),
          size_(literal[Size - 1] == '\0' ? Size - 1 : Size) {}

    constexpr const_buffer(mutable_buffer bytes) noexcept
        : data_(bytes.data()),
          size_(bytes.size()) {}

    /// Where the bytes begin; may be null if there are none.
    constexpr const void* data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }

private:
    template <class Byte>
    constexpr void take(std::span<const Byte> bytes) noexcept {
        data_ = bytes.data();
        size_ = bytes.size();
    }

    const void* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
