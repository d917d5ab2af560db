// Plays the programs that the fuzzer has found worth keeping, and random ones, wherever the tests
// run: the fuzzer itself needs one compiler.
#include "runtime/base/random.hpp"
#include "tests/core/helpers.hpp"
#include "tests/fuzz/play.hpp"
#include "tests/fuzz/script.hpp"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <unistd.h>

// From sanitizer/common_interface_defs.h.
extern "C" [[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());

namespace heddle::test {
namespace {

using bytes = std::vector<std::uint8_t>;

// Prints the program that is being played, so that it can become a file of the corpus.
void print_program() {
    const auto write = [](const char* text, std::size_t size) {
        static_cast<void>(!::write(STDERR_FILENO, text, size));
    };
    constexpr char heading[] = "heddle: the program, as xxd -r -p reads it: ";
    write(heading, sizeof heading - 1);
    for (const std::uint8_t byte : fuzz::playing()) {
        constexpr char digits[] = "0123456789abcdef";
        const char text[2] = {digits[byte >> 4], digits[byte & 15]};
        write(text, sizeof text);
    }
    write("\n", 1);
}

/// Prints the program in whose middle the process dies.
class printed_on_death {
public:
    printed_on_death() {
        before_ = std::signal(SIGABRT, [](int) {
            print_program();
            std::signal(SIGABRT, SIG_DFL);  // abort() raises it again
        });
        if (__sanitizer_set_death_callback != nullptr) {
            __sanitizer_set_death_callback(print_program);
        }
    }
    printed_on_death(const printed_on_death&) = delete;
    printed_on_death& operator=(const printed_on_death&) = delete;
    ~printed_on_death() {
        std::signal(SIGABRT, before_);
        if (__sanitizer_set_death_callback != nullptr) {
            __sanitizer_set_death_callback(nullptr);
        }
    }

private:
    void (*before_)(int);
};

std::vector<std::filesystem::path> corpus() {
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(CORPUS)) {
        files.push_back(file.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

bytes read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return bytes(std::istreambuf_iterator<char>(file), {});
}

TEST_CASE("the programs that the fuzzer has found keep their promises") {
    const printed_on_death guard;
    const auto files = corpus();
    CHECK_FALSE(files.empty());
    for (const auto& file : files) {
        bytes program = read(file);
        fuzz::play(program);
        if (!program.empty()) {
            program[0] ^= 1;  // the other way to do atomic operations
            fuzz::play(program);
        }
    }
    std::printf("%zu programs\n", files.size());
}

// Wholly random bytes would make programs of few fibers that seldom meet.
bytes random_program(detail::random_sequence& random) {
    using fuzz::verb;
    constexpr verb gathering[] = {verb::spawn, verb::spawn_detached, verb::end_routine,
                                  verb::end_block, verb::look};
    constexpr std::uint8_t few_objects_and_endless = 0xc1;
    bytes program = {static_cast<std::uint8_t>(random.next())};
    for (std::uint64_t steps = random.below(fuzz::program_bytes_max / 2); steps > 0; --steps) {
        const verb what = random.below(3) == 0 ? gathering[random.below(std::size(gathering))]
                                               : static_cast<verb>(random.below(fuzz::verbs_end));
        program.push_back(static_cast<std::uint8_t>(what));
        const auto operand = static_cast<std::uint8_t>(random.next());
        program.push_back(random.below(2) == 0 ? operand : operand & few_objects_and_endless);
    }
    return program;
}

TEST_CASE("random programs of operations keep their promises") {
    const printed_on_death guard;
    detail::random_sequence random(seed());
    for (int i = 0; i < scaled(10'000); ++i) {
        const bytes program = random_program(random);
        fuzz::play(program);
    }
}

}  // namespace
}  // namespace heddle::test
