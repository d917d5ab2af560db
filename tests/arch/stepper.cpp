// The traps behind stepper.h.
#include "stepper.h"

#ifdef HEDDLE_TEST_STEPPER

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <type_traits>
#include <vector>

#include <unwind.h>

extern "C" [[gnu::weak]] void heddle_entry();

namespace heddle::test {
namespace {

stepper::observer observer_now = nullptr;

/// The function that an instruction belongs to. The lookup takes one off what it is given.
void* function_at(std::uintptr_t address) {
    return _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(address + 1));
}

#ifdef HEDDLE_TEST_TRAP_FLAG

#ifdef __x86_64__
#define read_flags __builtin_ia32_readeflags_u64
#define write_flags __builtin_ia32_writeeflags_u64
#else
#define read_flags __builtin_ia32_readeflags_u32
#define write_flags __builtin_ia32_writeeflags_u32
#endif

void on_trap(int, siginfo_t*, void* interrupted) {
    const auto address =
        static_cast<std::uintptr_t>(cpu::program_counter(*static_cast<ucontext_t*>(interrupted)));
    void* const function = function_at(address);
    if (function == reinterpret_cast<void*>(heddle_switch) ||
        function == reinterpret_cast<void*>(heddle_entry)) {
        observer_now(address);
    }
}

void prepare() {}

#else

/// One instruction of the switch, and the trap in its place.
class trap {
public:
    explicit trap(unsigned char* place) : place_(place), bytes_(cpu::instruction_bytes(place)) {
        std::copy_n(place, bytes_, instruction_);
    }
    std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(place_); }
    std::uintptr_t next() const { return address() + bytes_; }
    void set() { write(cpu::trap, sizeof cpu::trap); }
    void lift() { write(instruction_, bytes_); }

private:
    void write(const unsigned char* code, std::size_t bytes) {
        std::copy_n(code, bytes, place_);
        __builtin___clear_cache(place_, place_ + bytes);
    }

    static constexpr std::size_t longest = 8;
    unsigned char* place_;
    std::size_t bytes_;
    unsigned char instruction_[longest] = {};
};

std::vector<trap> traps;
trap* lifted = nullptr;  // the one whose instruction runs

void on_trap(int, siginfo_t*, void* interrupted) {
    auto& program_counter = cpu::program_counter(*static_cast<ucontext_t*>(interrupted));
    const auto address = static_cast<std::uintptr_t>(program_counter) - cpu::stops_behind;
    const auto due = std::find_if(traps.begin(), traps.end(),
                                  [&](const trap& it) { return it.address() == address; });
    if (due == traps.end()) {
        std::abort();  // it is none of ours
    }
    if (lifted != nullptr) {
        lifted->set();
    }
    due->lift();
    lifted = &*due;
    observer_now(address);
    program_counter -= cpu::stops_behind;
}

void find_instructions(void (*function)()) {
    auto address = reinterpret_cast<std::uintptr_t>(function);
    while (function_at(address) == reinterpret_cast<void*>(function)) {
        address = traps.emplace_back(reinterpret_cast<unsigned char*>(address)).next();
    }
}

void allow_writing(std::uintptr_t address) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t first = address / page * page;
    // Two pages, because the last instruction may straddle them.
    if (::mprotect(reinterpret_cast<void*>(first), 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC) !=
        0) {
        std::abort();
    }
}

void prepare() {
    if (!traps.empty()) {
        return;
    }
    find_instructions(reinterpret_cast<void (*)()>(heddle_switch));
    find_instructions(heddle_entry);
    for (const trap& it : traps) {
        allow_writing(it.address());
    }
}

#endif

}  // namespace

stepper::stepper(observer observe) {
    observer_now = observe;
    prepare();
    struct sigaction action = {};
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, &previous_[0]);
    sigaction(SIGILL, &action, &previous_[1]);
}

stepper::~stepper() {
    sigaction(SIGTRAP, &previous_[0], nullptr);
    sigaction(SIGILL, &previous_[1], nullptr);
}

#ifdef HEDDLE_TEST_TRAP_FLAG

HEDDLE_TEST_UNINSTRUMENTED void stepper::begin() {
    write_flags(read_flags() | HEDDLE_TEST_TRAP_FLAG);
}

HEDDLE_TEST_UNINSTRUMENTED void stepper::end() {
    write_flags(read_flags() & ~decltype(read_flags()){HEDDLE_TEST_TRAP_FLAG});
}

#else

void stepper::begin() {
    for (trap& it : traps) {
        it.set();
    }
}

void stepper::end() {
    for (trap& it : traps) {
        it.lift();
    }
    lifted = nullptr;
}

#endif

}  // namespace heddle::test

#endif
