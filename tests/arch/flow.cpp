#include "flow.h"

#include "checker.h"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <new>
#include <string>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEDDLE_TEST_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HEDDLE_TEST_ASAN
#endif
#ifdef HEDDLE_TEST_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if __has_include(<valgrind/valgrind.h>) && !defined(_WIN32)  // its integers are too narrow there
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(bottom, top) 0
#define VALGRIND_STACK_DEREGISTER(id) static_cast<void>(id)
#define RUNNING_ON_VALGRIND 0
#endif

namespace heddle::test {
namespace {

constexpr std::align_val_t stack_alignment{64};

// The side that was left last; null if it was left for good.
side* left = nullptr;

void announce(void** fake_stack, const side& to) {
#ifdef HEDDLE_TEST_ASAN
    __sanitizer_start_switch_fiber(fake_stack, to.bottom, to.size);
#else
    static_cast<void>(fake_stack);
    static_cast<void>(to);
#endif
}

void announce_arrival(void* fake_stack) {
#ifdef HEDDLE_TEST_ASAN
    const void* bottom = nullptr;
    std::size_t size = 0;
    __sanitizer_finish_switch_fiber(fake_stack, &bottom, &size);
    if (left != nullptr) {
        left->bottom = bottom;
        left->size = size;
    }
#else
    static_cast<void>(fake_stack);
#endif
}

// Takes off the marks of frames that were left and never returned.
void clean(const side& to) {
#ifdef HEDDLE_TEST_ASAN
    ASAN_UNPOISON_MEMORY_REGION(to.bottom, to.size);
#else
    static_cast<void>(to);
#endif
}

std::size_t register_count() {
    const std::string_view names = heddle_test_register_names;
    const auto spaces = static_cast<std::size_t>(std::count(names.begin(), names.end(), ' '));
    return names.empty() ? 0 : spaces + 1;
}

std::string register_name(std::size_t index) {
    std::string_view names = heddle_test_register_names;
    for (; index > 0; --index) {
        names.remove_prefix(names.find(' ') + 1);
    }
    return std::string(names.substr(0, names.find(' ')));
}

// A number that no register held before: splitmix64, by Sebastiano Vigna.
std::uint64_t next_pattern() {
    static std::uint64_t state = 0;
    state += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = state;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
}

}  // namespace

stack::stack(std::size_t bytes)
    : memory_(static_cast<char*>(::operator new(bytes, stack_alignment))),
      bytes_(bytes),
      valgrind_id_(VALGRIND_STACK_REGISTER(bottom(), top())) {}

stack::~stack() {
    VALGRIND_STACK_DEREGISTER(valgrind_id_);
}

void stack::free_aligned::operator()(char* memory) const {
    ::operator delete(memory, stack_alignment);
}

void make(side& fresh, const stack& memory, detail::context_entry entry, void* argument) {
    fresh.bottom = memory.bottom();
    fresh.size = memory.size();
    fresh.fake_stack = nullptr;
    detail::context_make(fresh.context, memory.top(), entry, argument, memory.bottom());
}

std::intptr_t cross(side& from, side& to, std::intptr_t value) {
    std::array<std::uint64_t, checked_registers_max> given;
    std::generate(given.begin(), given.end(), next_pattern);
    auto found = given;
    left = &from;
    announce(&from.fake_stack, to);
    const auto result = heddle_test_switch(&from.context, &to.context, value, found.data());
    announce_arrival(from.fake_stack);
    for (std::size_t i = 0; i < register_count(); ++i) {
        if (found[i] != given[i]) {
            FAIL_CHECK(register_name(i) << " was lost: " << given[i] << " became " << found[i]);
        }
    }
    return result;
}

void leave(side& to, std::intptr_t value) {
    left = nullptr;
    announce(nullptr, to);
    clean(to);
    // Not on the stack: the announcement has just freed the frames that AddressSanitizer keeps
    // elsewhere (detect_stack_use_after_return).
    static heddle_context scratch;
    heddle_switch(&scratch, &to.context, value);
    __builtin_trap();
}

void arrive() {
    announce_arrival(nullptr);
}

flow::flow(std::function<void(flow&)> body) : body_(std::move(body)) {
    make(inside_, memory_, enter, this);
}

std::intptr_t flow::resume(std::intptr_t value) {
    return cross(outside_, inside_, value);
}

std::intptr_t flow::suspend(std::intptr_t value) {
    return cross(inside_, outside_, value);
}

void flow::enter(void* self) {
    arrive();
    auto& running = *static_cast<flow*>(self);
    running.body_(running);
    running.ended_ = true;
    leave(running.outside_, 0);
}

bool needs_port(std::string_view why) {
    if (std::string_view(detail::context_backend) == "asm") {
        return true;
    }
    skip("Boost.Context: " + std::string(why));
    return false;
}

bool needs_processor(std::string_view why) {
    if (RUNNING_ON_VALGRIND == 0) {
        return true;
    }
    skip("valgrind: " + std::string(why));
    return false;
}

}  // namespace heddle::test
