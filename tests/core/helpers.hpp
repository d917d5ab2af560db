// What several tests of core/ share.
#pragma once

#include "runtime/base/sanitizer.hpp"
#include "runtime/core/stack.hpp"

#include "heddle/detail/atomics.hpp"
#include "heddle/diag.hpp"
#include "heddle/fiber.hpp"
#include "heddle/runtime.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace heddle::test {

/// Fewer repetitions where a tool makes each of them dear.
inline int scaled(int count) {
    const int share = detail::under_valgrind() ? 100 : detail::switches_are_watched() ? 10 : 1;
    return count / share > 0 ? count / share : 1;
}

/// `count` fibers at a time that have a stack each, of the usual size; where addresses have 32
/// bits, at most as many as find room in half of them.
inline int with_stacks(int count) {
    if constexpr (sizeof(void*) == 4) {
        const std::size_t stack_and_guard = options{}.stack_bytes / 8 * 9;
        const int most = static_cast<int>(SIZE_MAX / 2 / stack_and_guard);
        if (count > most) {
            std::printf("not %d fibers: there are addresses for %d\n", count, most);
            return most;
        }
    }
    return count;
}

/// As both, for a test in which so many fibers wait: where the guard of each stack is a mapping, a
/// process may have some thirty thousand of them. Called in a fiber.
inline int scaled_stacks(int count) {
    fiber<>([] {}).join();  // has found out by now
    const bool light = detail::guards == detail::guard_kind::light;
    return with_stacks(scaled(light ? count : std::min(count, 20'000)));
}

/// Gives every other fiber of this worker several turns.
inline void let_others_run() {
    for (int turn = 0; turn < 5; ++turn) {
        this_fiber::yield();
    }
}

/// Until it is cancelled.
inline void sleep_for_ever() {
    this_fiber::sleep_until(deadline::never());
}

/// A deadline that has passed.
inline deadline in_the_past() {
    return deadline(-std::chrono::hours(1));
}

/// The code of the std::system_error that `f` throws; clear where it throws none.
template <class F>
std::error_code code_of(F&& f) {
    try {
        static_cast<void>(f());
    } catch (const std::system_error& error) {
        return error.code();
    }
    return {};
}

/// What the E that `f` throws says; "nothing was thrown" where it throws none.
template <class E, class F>
std::string message_of(F&& f) {
    try {
        static_cast<void>(f());
    } catch (const E& error) {
        return error.what();
    }
    return "nothing was thrown";
}

inline bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// What dump() prints now.
inline std::string dumped() {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
    dump(file.get());
    std::rewind(file.get());
    std::string text;
    for (int c = std::fgetc(file.get()); c != EOF; c = std::fgetc(file.get())) {
        text += static_cast<char>(c);
    }
    return text;
}

/// An environment variable that has another value, or none, for a while.
class environment_variable {
public:
    environment_variable(const char* name, const char* value) : name_(name) {
        if (const char* const before = std::getenv(name)) {
            before_ = before;
        }
        set(value);
    }
    environment_variable(const environment_variable&) = delete;
    environment_variable& operator=(const environment_variable&) = delete;
    ~environment_variable() { set(before_ ? before_->c_str() : nullptr); }

private:
    void set(const char* value) {
        value != nullptr ? ::setenv(name_, value, 1) : ::unsetenv(name_);
    }

    const char* name_;
    std::optional<std::string> before_;
};

/// Threads of this process.
inline std::ptrdiff_t thread_count() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                         std::filesystem::directory_iterator());
}

/// Calls `body` once with plain loads and stores where atomic read-modify-writes can be spared, as
/// in a process that never had a second thread, and once with the atomic instructions.
template <class Body>
void on_both_atomic_paths(Body body) {
#ifdef HEDDLE_KNOWS_SINGLE_THREADED
    struct restorer {
        char single = __libc_single_threaded;
        ~restorer() { __libc_single_threaded = single; }
    } const afterwards;
    // glibc never says so again once there was a second thread, although it may be true again.
    if (thread_count() == 1) {
        __libc_single_threaded = 1;
        body();
    }
    __libc_single_threaded = 0;
#endif
    body();
}

}  // namespace heddle::test
