// What the checking tools have to be told: which stack runs, and what is no longer in use.
//
// Each function does nothing in a build that the tool has not instrumented. valgrind is told by
// client requests, which cost a few cycles outside of it, and only when a stack is carved.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define HEDDLE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEDDLE_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define HEDDLE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HEDDLE_TSAN 1
#endif
#endif

#ifdef HEDDLE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef HEDDLE_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define HEDDLE_VALGRIND 1
#endif

namespace heddle::detail {

/// Whether every switch has to be announced or checked, so that the short way round is closed.
/// HEDDLE_CHECKED is the build's word for a debug build.
#if defined(HEDDLE_ASAN) || defined(HEDDLE_TSAN) || defined(HEDDLE_CHECKED)
constexpr bool switches_are_watched = true;
#else
constexpr bool switches_are_watched = false;
#endif

/// Says that the flow is about to move to the stack [bottom, bottom + bytes). `fake_stack` keeps
/// the tool's own state of the flow that is left; null says that it will not come back.
inline void before_switch([[maybe_unused]] void** fake_stack, [[maybe_unused]] const void* bottom,
                          [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef HEDDLE_ASAN
    __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
#endif
}

/// Says that the flow has arrived, with what before_switch kept for it; null on a fresh stack.
inline void after_switch([[maybe_unused]] void* fake_stack) noexcept {
#ifdef HEDDLE_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

/// Clears what earlier flows left poisoned on a stack.
inline void forget_poison([[maybe_unused]] const void* bottom,
                          [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef HEDDLE_ASAN
    __asan_unpoison_memory_region(bottom, bytes);
#endif
}

/// The thread sanitizer's handles of flows.
inline void* make_race_handle() noexcept {
#ifdef HEDDLE_TSAN
    return __tsan_create_fiber(0);
#else
    return nullptr;
#endif
}
inline void* current_race_handle() noexcept {
#ifdef HEDDLE_TSAN
    return __tsan_get_current_fiber();
#else
    return nullptr;
#endif
}
inline void switch_race_handle([[maybe_unused]] void* handle) noexcept {
#ifdef HEDDLE_TSAN
    __tsan_switch_to_fiber(handle, 0);
#endif
}
/// Must be called on another flow than the handle's.
inline void drop_race_handle([[maybe_unused]] void* handle) noexcept {
#ifdef HEDDLE_TSAN
    if (handle != nullptr) {
        __tsan_destroy_fiber(handle);
    }
#endif
}

/// Announces memory that will be used as a stack; returns a number for forget_stack.
inline unsigned register_stack([[maybe_unused]] const void* bottom,
                               [[maybe_unused]] const void* top) noexcept {
#ifdef HEDDLE_VALGRIND
    return static_cast<unsigned>(VALGRIND_STACK_REGISTER(bottom, top));
#else
    return 0;
#endif
}

/// Whether the program runs under valgrind.
inline bool under_valgrind() noexcept {
#ifdef HEDDLE_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

}  // namespace heddle::detail
