// What the checking tools have to be told: which stack runs, and what is no longer in use.
//
// The sanitizers' functions are weak references: null in a program without the tool. So it is the
// program that decides, however this file was compiled: an archive that is not instrumented
// announces its switches to the tool that its program is linked with, and an instrumented one is
// silent where there is none. valgrind is told by client requests, which do nothing outside of it.
#pragma once

#include <cstddef>

// Whether the file that includes this is itself instrumented, for what must be decided early.
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

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define HEDDLE_VALGRIND 1
#endif

// From sanitizer/common_interface_defs.h, asan_interface.h, lsan_interface.h, tsan_interface.h.
extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack_save, const void* bottom,
                                                  std::size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack_save, const void** bottom_old,
                                                   std::size_t* size_old);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* address, std::size_t size);
[[gnu::weak]] void* __asan_addr_is_in_fake_stack(void* fake_stack, void* address, void** begin,
                                                 void** end);
[[gnu::weak]] void __lsan_do_leak_check();
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* address);
[[gnu::weak]] void __tsan_release(void* address);
}

namespace heddle::detail {

/// Whether the program is linked with the address, the thread, or a leak sanitizer.
inline bool has_address_tool() noexcept {
    return __sanitizer_start_switch_fiber != nullptr;
}
inline bool has_race_tool() noexcept {
    return __tsan_switch_to_fiber != nullptr;
}
inline bool has_leak_tool() noexcept {
    return __lsan_do_leak_check != nullptr;
}

/// Whether every switch has to be announced.
inline bool switches_are_watched() noexcept {
    return has_address_tool() || has_race_tool();
}

/// Says that the flow is about to move to the stack [bottom, bottom + bytes). `fake_stack` keeps
/// the tool's own state of the flow that is left; null says that it will not come back.
inline void before_switch(void** fake_stack, const void* bottom, std::size_t bytes) noexcept {
    if (has_address_tool()) {
        __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
    }
}

/// Says that the flow has arrived, with what before_switch kept for it; null on a fresh stack.
inline void after_switch(void* fake_stack) noexcept {
    if (has_address_tool()) {
        __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
    }
}

/// Clears what earlier flows left poisoned on a stack.
inline void forget_poison(const void* bottom, std::size_t bytes) noexcept {
    if (__asan_unpoison_memory_region != nullptr) {
        __asan_unpoison_memory_region(bottom, bytes);
    }
}

/// The thread sanitizer's handles of flows; null without it. Switching to one also says that what
/// this flow has done is seen by the next, which is so: they are of one thread.
inline void* make_race_handle() noexcept {
    return has_race_tool() ? __tsan_create_fiber(0) : nullptr;
}
inline void* current_race_handle() noexcept {
    return has_race_tool() ? __tsan_get_current_fiber() : nullptr;
}
inline void switch_race_handle(void* handle) noexcept {
    if (has_race_tool()) {
        __tsan_switch_to_fiber(handle, 0);
    }
}
/// Must be called on another flow than the handle's.
inline void drop_race_handle(void* handle) noexcept {
    if (handle != nullptr) {
        __tsan_destroy_fiber(handle);
    }
}

/// What happened before the one in some thread is seen after the other in another: the thread
/// sanitizer does not see the atomics of an archive that is not instrumented. Only for ways that
/// lead from thread to thread, and `end` of a fiber.
inline void say_release(void* place) noexcept {
    if (has_race_tool()) [[unlikely]] {
        __tsan_release(place);
    }
}
inline void say_acquire(void* place) noexcept {
    if (has_race_tool()) [[unlikely]] {
        __tsan_acquire(place);
    }
}

/// Announces memory that will be used as a stack. It is never taken back: valgrind has no use for
/// what it knows of memory that nobody runs on.
inline void register_stack([[maybe_unused]] const void* bottom,
                           [[maybe_unused]] const void* top) noexcept {
#ifdef HEDDLE_VALGRIND
    static_cast<void>(VALGRIND_STACK_REGISTER(bottom, top));
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
