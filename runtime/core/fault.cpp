#include "runtime/core/fault.hpp"

#include "runtime/base/modules.hpp"
#include "runtime/base/sanitizer.hpp"
#include "runtime/base/system.hpp"
#include "runtime/base/text.hpp"
#include "runtime/core/dump.hpp"
#include "runtime/core/worker.hpp"

#include <sys/auxv.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <utility>

namespace heddle::detail {

namespace {

// One signal, what was there before us, and how many of us want it.
struct shared_handler {
    int number;
    void (*handler)(int, siginfo_t*, void*);
    unsigned users = 0;
    struct sigaction previous = {};

    void acquire() noexcept {
        if (users++ > 0) {
            return;
        }
        struct sigaction ours = {};
        ours.sa_sigaction = handler;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
        sigemptyset(&ours.sa_mask);
        sigaction(number, &ours, &previous);
    }

    void release() noexcept {
        if (--users > 0) {
            return;
        }
        struct sigaction current = {};
        sigaction(number, nullptr, &current);
        if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == handler) {
            sigaction(number, &previous, nullptr);
        }
    }
};

// What the walk over the overrun stack needs to know and to count.
struct walk {
    std::uintptr_t low, high;
    int frames_left;
};

// Where on its stack a frame lies.
std::uintptr_t place_of(_Unwind_Context* frame) {
#ifdef __ARM_EABI_UNWINDER__
    constexpr int stack_pointer = 13;  // the CFA is not known before the frame has been unwound
    return _Unwind_GetGR(frame, stack_pointer);
#else
    return static_cast<std::uintptr_t>(_Unwind_GetCFA(frame));
#endif
}

// Prints a frame that lies on the fiber's stack; frames of the handler lie elsewhere.
_Unwind_Reason_Code print_frame(_Unwind_Context* context, void* argument) {
    auto& state = *static_cast<walk*>(argument);
    const std::uintptr_t frame = place_of(context);
    if (frame < state.low || frame > state.high) {
        return _URC_NO_REASON;
    }
    text_line line;
    line << "heddle:   ";
    add_code_address(line, reinterpret_cast<const void*>(_Unwind_GetIP(context)));
    line.write_to(STDERR_FILENO);
    return --state.frames_left > 0 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

// Says that the running fiber has overrun its stack, if `address` lies in its guard.
bool report_overflow(const void* address) noexcept {
    worker* const here = current_worker;
    if (here == nullptr || !here->in_fiber()) {
        return false;
    }
    const fiber_block& fiber = here->current();
    if (fiber.header == nullptr) {
        return false;
    }
    const stack_class& stacks = here->stacks()[fiber.cold->stack_class];
    const auto low = reinterpret_cast<std::uintptr_t>(stacks.bottom(stack_top_of(fiber)));
    const auto fault = reinterpret_cast<std::uintptr_t>(address);
    if (fault >= low || fault < low - stacks.guard_bytes()) {
        return false;
    }
    text_line line;
    line << "heddle: stack overflow: the fiber has used up its " << stacks.bytes()
         << " bytes of stack (options::stack_bytes, fiber_options::stack_bytes)";
    line.write_to(STDERR_FILENO);
    describe_current_fiber(STDERR_FILENO);
    line << "heddle: innermost frames:";
    line.write_to(STDERR_FILENO);
    constexpr int frames_max = 16;
    walk state{low - stacks.guard_bytes(), low + stacks.bytes(), frames_max};
    _Unwind_Backtrace(print_frame, &state);
    return true;
}

void on_fault(int number, siginfo_t* info, void* context);
void on_quit(int number, siginfo_t* info, void* context);

shared_handler fault_handler{SIGSEGV, on_fault};
shared_handler quit_handler{SIGQUIT, on_quit};
std::mutex handlers_lock;

void on_fault(int number, siginfo_t* info, void* context) {
    const bool real_fault = info->si_code > 0;  // else somebody sent the signal
    if (real_fault && report_overflow(info->si_addr)) {
        // Back to the instruction, which faults again and leaves its frame in the core.
        signal(number, SIG_DFL);
        return;
    }
    const struct sigaction& previous = fault_handler.previous;
    if ((previous.sa_flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
    } else if (real_fault || previous.sa_handler == SIG_DFL) {
        signal(number, SIG_DFL);
        if (!real_fault) {
            raise(number);
        }
    }
}

void on_quit(int, siginfo_t*, void*) {
    const int saved_errno = errno;
    dump_to(STDERR_FILENO);
    errno = saved_errno;
}

}  // namespace

fault_reports::fault_reports(bool stack_overflow, bool sigquit) noexcept
    : overflow_(stack_overflow),
      sigquit_(sigquit) {
    note_modules();
    const std::lock_guard guard(handlers_lock);
    if (overflow_) {
        give_alternate_stack();
        fault_handler.acquire();
    }
    if (sigquit_) {
        quit_handler.acquire();
    }
}

fault_reports::~fault_reports() {
    const std::lock_guard guard(handlers_lock);
    if (sigquit_) {
        quit_handler.release();
    }
    if (overflow_) {
        fault_handler.release();
    }
    if (mapped_ == nullptr) {
        return;
    }
    // A stack that signals may still use has to stay; the next run() finds it.
    stack_t current = {};
    int error = sys::sigaltstack(nullptr, &current);
    if (error == 0 && current.ss_sp == mapped_) {
        stack_t none = {};
        none.ss_flags = SS_DISABLE;
        error = sys::sigaltstack(&none, nullptr);
    }
    if (error == 0) {
        sys::unmap(mapped_, mapped_bytes_);
    }
}

void fault_reports::give_alternate_stack() noexcept {
    // The kernel's frame (up to 12 KiB with AMX), the walk, and the text.
    constexpr std::size_t ours = 32 * 1024;
    constexpr std::size_t frame_min = 4 * 1024;
    const std::size_t needed = ours + std::max<std::size_t>(getauxval(AT_MINSIGSTKSZ), frame_min);
    stack_t current = {};
    if (sys::sigaltstack(nullptr, &current) < 0 ||
        ((current.ss_flags & SS_DISABLE) == 0 && current.ss_size >= needed)) {
        return;
    }
    int error = 0;
    mapped_bytes_ = needed;
    mapped_ = sys::map(mapped_bytes_, error);
    if (mapped_ == nullptr) {
        return;  // no report then: the fault itself still ends the process
    }
    stack_t wanted = {};
    wanted.ss_sp = mapped_;
    wanted.ss_size = mapped_bytes_;
    if (sys::sigaltstack(&wanted, nullptr) < 0) {
        sys::unmap(std::exchange(mapped_, nullptr), mapped_bytes_);
    }
}

}  // namespace heddle::detail
