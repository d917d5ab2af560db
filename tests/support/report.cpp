#include "tests/support/report.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

namespace heddle::test {
namespace {

#ifdef _WIN32
constexpr int as_bytes_for_us_alone = O_BINARY | O_NOINHERIT;
#else
constexpr int as_bytes_for_us_alone = O_CLOEXEC;
#endif

// Opened once and kept, so that a test which uses up every descriptor can still report.
int log_descriptor() {
    static const int descriptor = [] {
        const char* path = std::getenv("HEDDLE_TEST_LOG");
        constexpr int flags = O_WRONLY | O_CREAT | O_APPEND | as_bytes_for_us_alone;
        return path == nullptr ? -1 : ::open(path, flags, 0644);
    }();
    return descriptor;
}

}  // namespace

void skip(std::string_view reason) {
    std::printf("SKIP: %.*s\n", static_cast<int>(reason.size()), reason.data());
    std::fflush(stdout);
    log_event("skip", reason);
}

std::uint64_t seed() {
    std::uint64_t value = 0;
    if (const char* fixed = std::getenv("HEDDLE_SEED"); fixed != nullptr) {
        char* end = nullptr;
        value = std::strtoull(fixed, &end, 0);
        if (end == fixed || *end != '\0') {
            std::fprintf(stderr, "HEDDLE_SEED is not a number: %s\n", fixed);
            std::abort();
        }
    } else {
        std::random_device device;
        value = std::uint64_t{device()} << 32 | device();
    }
    std::printf("seed: HEDDLE_SEED=%" PRIu64 "\n", value);
    std::fflush(stdout);
    return value;
}

void log_event(std::string_view verb, std::string_view text) {
    const int descriptor = log_descriptor();
    if (descriptor < 0) {
        return;
    }
    std::string line(text);
    std::replace(line.begin(), line.end(), '\n', ' ');
    line.insert(0, std::string(verb) + '\t');
    line += '\n';
    // One write per line: O_APPEND keeps the lines of a forked child whole.
    const auto size = static_cast<unsigned>(line.size());
    if (::write(descriptor, line.data(), size) != static_cast<ssize_t>(size)) {
        std::fputs("heddle: the test log cannot be written\n", stderr);
        std::abort();
    }
}

}  // namespace heddle::test
