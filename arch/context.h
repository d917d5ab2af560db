// The context switch: the whole contract between heddle and one CPU's assembly.
//
// A context is a suspended flow of control: a stack, the address to continue at, and the registers
// that a function must give back to its caller. heddle_switch stores the running flow in one
// context and continues another. Each port is a pair of files, <cpu>-<abi>.S and <cpu>-<abi>.h;
// boost.cpp fulfils the same contract over Boost.Context. This is the only header that the rest of
// heddle includes from here; read x86_64-sysv.S next, the reference that the other ports follow.
//
// What a switch preserves: exactly what the platform's procedure call standard makes a callee
// preserve, because to the compiler a switch is an ordinary function call. What it does not:
//   - the floating-point control words, unless the build option fp_environment is `preserved`:
//     they belong to the thread, and saving them costs more than the rest of the switch
//     (context_save_fp_environment and its counterpart serve the fibers that own theirs);
//   - the signal mask, as with setjmp, because that would cost a system call;
//   - anything of the thread: thread-local storage, errno, the alternate signal stack;
//   - the exception globals of the C++ runtime, which core/ exchanges.
#pragma once

#include <cstddef>
#include <cstdint>

/// A suspended flow of control. Lives in the hot block of its fiber, so that resuming one touches
/// no cold memory before the jump. Written by the switch that suspends it, read by the one that
/// resumes it, both on the thread that owns it; a debugger may read it while it is suspended.
/// A port that comes to switch shadow stacks saves their pointer with the registers, on the stack.
struct heddle_context {
    void* stack_pointer = nullptr;   ///< where the port's saved registers are found
    void* resume_address = nullptr;  ///< the instruction to continue at; boost.cpp's own use
    void* frame_pointer = nullptr;   ///< of the suspended frame, where the ABI has one for
                                     ///< all code; zero in a fresh context
};

extern "C" {
/// Suspends the caller into `*from` and continues `*to`; returns when something switches back.
///
/// The result is the `value` given by whoever switches back, so that a resumed wait learns its
/// outcome in the return register. Made to be tail-called: it reads nothing of its caller's frame.
/// They are two different contexts, and both belong to the calling thread. A context is resumed
/// once for each suspension. `*from` may be a scratch context that nobody resumes: that is how a
/// flow leaves for good. (Then it is no local variable under AddressSanitizer, which frees the
/// locals of a flow as soon as its last switch is announced.)
std::intptr_t heddle_switch(heddle_context* from, const heddle_context* to,
                            std::intptr_t value) noexcept;
}

namespace heddle::detail {

/// The first function on a fresh stack. It must never return; the port traps if it does. It is
/// not noexcept: an exception that nobody catches must find no handler and no frame to clean up,
/// so that std::terminate is called with the throwing frames still on the stack.
using context_entry = void (*)(void* argument);

/// Prepares `context` so that the first switch to it calls entry(argument) on the given stack.
///
/// `stack_top` is one past the highest usable byte, aligned to 16. Only the highest
/// context_frame_bytes of the stack are written, and a flow that runs on a stack prepared here
/// never keeps anything there: a finished flow may therefore prepare its successor on the very
/// stack that it still runs on. The fresh flow begins with the floating-point control words that
/// are in force when it is made (fp_environment=preserved) or when it first runs (otherwise; where
/// Boost.Context exchanges them by itself, as on x86, when it is made).
///
/// `stack_bottom` is the stack's lowest usable byte. Only Windows asks for it, whose thread block
/// describes the running stack; all from there to the top has to be committed memory. With null the
/// system takes everything below the top for the stack.
/// Inline where a port is used (at the end of this file), because spawning lives on it.
#ifdef HEDDLE_CONTEXT_BOOST
void
#else
inline void
#endif
context_make(heddle_context& context, void* stack_top, context_entry entry, void* argument,
             void* stack_bottom = nullptr) noexcept;

/// Bytes at the top of a stack that belong to the port, from the port's header.
extern const std::size_t context_frame_bytes;

/// "asm" or "boost": which implementation this archive was built with.
extern const char* const context_backend;

}  // namespace heddle::detail

#if defined(__x86_64__) && defined(_WIN64)
#include "arch/x86_64-windows.h"
#elif defined(__x86_64__) && defined(__LP64__)
#include "arch/x86_64-sysv.h"
#elif defined(__aarch64__) && defined(__AARCH64EL__) && defined(__LP64__)
#include "arch/aarch64-aapcs.h"
#elif defined(__riscv) && __riscv_xlen == 64 && defined(__riscv_float_abi_double)
#include "arch/riscv64-lp64d.h"
#elif defined(__arm__) && defined(__ARM_EABI__) && defined(__ARM_PCS_VFP)
#include "arch/armv7-aapcs.h"
#elif defined(__i386__) && !defined(_WIN32)
#include "arch/i386-sysv.h"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__) && _CALL_ELF == 2
#include "arch/ppc64le-elfv2.h"
#elif defined(__s390x__)
#include "arch/s390x-elf.h"
#elif defined(__mips64) && defined(__mips_hard_float) && defined(__MIPSEL__) && _MIPS_SIM == _ABI64
#include "arch/mips64-n64.h"
#elif defined(__loongarch64) && defined(__loongarch_double_float)
#include "arch/loongarch64-lp64d.h"
#elif defined(HEDDLE_CONTEXT_BOOST)
#include "arch/portable.h"
#else
#error "heddle has no port for this CPU and ABI: see arch/README.md for how to add one"
#endif

#ifndef HEDDLE_CONTEXT_BOOST

extern "C" {
/// The entry stub of the port: calls the entry function and traps should it return.
#ifndef _WIN32
[[gnu::visibility("hidden")]]
#endif
void heddle_entry();
}

inline void heddle::detail::context_make(heddle_context& context, void* stack_top,
                                         context_entry entry, void* argument,
                                         [[maybe_unused]] void* stack_bottom) noexcept {
#ifdef _WIN32
    context = context_fresh(stack_top, entry, argument, heddle_entry, stack_bottom);
#else
    context = context_fresh(stack_top, entry, argument, heddle_entry);
#endif
}

#endif
