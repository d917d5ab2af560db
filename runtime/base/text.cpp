#include "runtime/base/text.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/system.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace heddle::detail {

text_line& text_line::operator<<(std::string_view text) noexcept {
    size_ += text.copy(buffer_ + size_, capacity - size_);
    return *this;
}

text_line& text_line::operator<<(std::uint64_t number) noexcept {
    char digits[20];  // 2^64 has 20
    std::size_t first = sizeof digits;
    do {
        digits[--first] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return *this << std::string_view(digits + first, sizeof digits - first);
}

text_line& text_line::address(const void* pointer) noexcept {
    auto number = reinterpret_cast<std::uintptr_t>(pointer);
    char digits[2 * sizeof number];
    std::size_t first = sizeof digits;
    do {
        digits[--first] = "0123456789abcdef"[number % 16];
        number /= 16;
    } while (number != 0);
    return *this << "0x" << std::string_view(digits + first, sizeof digits - first);
}

text_line& text_line::seconds(std::int64_t nanoseconds) noexcept {
    const auto milliseconds =
        static_cast<std::uint64_t>(std::max<std::int64_t>(nanoseconds, 0)) / 1'000'000;
    const std::uint64_t fraction = milliseconds % 1000;
    const std::string_view zeros = fraction < 10 ? "00" : fraction < 100 ? "0" : "";
    return *this << milliseconds / 1000 << "." << zeros << fraction << " s";
}

void text_line::write_to(int fd) noexcept {
    buffer_[size_] = '\n';
    std::string_view rest(buffer_, size_ + 1);
    while (!rest.empty()) {
        const std::int64_t written = sys::write(fd, rest.data(), rest.size());
        if (written <= 0) {
            break;
        }
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    size_ = 0;
}

std::atomic<void (*)(int fd)> describe_running_fiber = nullptr;

void assertion_failed(const char* file, int line, const char* fact, const char* name_a,
                      std::uint64_t a, const char* name_b, std::uint64_t b) {
    text_line text;
    text << "heddle: " << fact;
    if (name_a != nullptr) {
        text << ": " << name_a << " = " << a;
    }
    if (name_b != nullptr) {
        text << ", " << name_b << " = " << b;
    }
    text << " (" << file << ":" << static_cast<std::uint64_t>(line) << ")";
    end_with(text);
}

void end_with(text_line& fact) {
    fact.write_to(STDERR_FILENO);
    // Relaxed, here and where it is set: it points to code, which needs no publishing.
    if (const auto describe = describe_running_fiber.load(std::memory_order_relaxed)) {
        describe(STDERR_FILENO);
    }
    std::abort();
}

}  // namespace heddle::detail
