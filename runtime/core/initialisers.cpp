// What calls of the C++ runtime's guards (Itanium C++ ABI, 3.3.3 "One-time Construction API") and
// of pthread_once, through which libstdc++ does std::call_once, become in a checked build.
//
// The linker's --wrap gives each function that is defined here the calls of the one it is named
// after, which is __real_ here, whether that is in a shared library, in an archive, or a tool's. So
// there is nothing to look up. Calls from within shared libraries do not come here, nor does
// anything in a program that is linked without the option: then nobody refers to this file.
//
// A guard has 64 bits, on 32-bit ARM 32: it is only handed on.
#include "runtime/core/initialisers.hpp"

#include <pthread.h>

extern "C" {
int __real___cxa_guard_acquire(void* guard);
void __real___cxa_guard_release(void* guard);
void __real___cxa_guard_abort(void* guard);
int __real_pthread_once(pthread_once_t* once, void (*call)());

int __wrap___cxa_guard_acquire(void* guard);
void __wrap___cxa_guard_release(void* guard);
void __wrap___cxa_guard_abort(void* guard);
int __wrap_pthread_once(pthread_once_t* once, void (*call)());
}

using heddle::detail::open_initialisers;

// Whether it is the caller's to initialise, and then to release or abort.
int __wrap___cxa_guard_acquire(void* guard) {
    const int is_due = __real___cxa_guard_acquire(guard);
    if (is_due != 0) {
        ++open_initialisers;
    }
    return is_due;
}

void __wrap___cxa_guard_release(void* guard) {
    --open_initialisers;
    __real___cxa_guard_release(guard);
}

void __wrap___cxa_guard_abort(void* guard) {
    --open_initialisers;
    __real___cxa_guard_abort(guard);
}

int __wrap_pthread_once(pthread_once_t* once, void (*call)()) {
    // Also where `call` throws.
    struct count {
        count() noexcept { ++open_initialisers; }
        count(const count&) = delete;
        count& operator=(const count&) = delete;
        ~count() { --open_initialisers; }
    } const while_it_may_run;
    return __real_pthread_once(once, call);
}
