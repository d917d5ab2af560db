// What the system itself sees of a context on Windows: its stack, its frames, and what nobody
// handles in it.
#include "flow.h"
#include "tests/support/child.hpp"

#include <doctest/doctest.h>

#if defined(_WIN32)

#include <windows.h>

#include <algorithm>
#include <cstdio>
#include <iterator>

using heddle::test::flow;

extern "C" void heddle_entry();
extern "C" EXCEPTION_DISPOSITION heddle_unhandled(EXCEPTION_RECORD* record, void* frame,
                                                  CONTEXT* context, void* dispatcher);

namespace {

struct limits {
    ULONG_PTR low = 0;
    ULONG_PTR high = 0;
    bool operator==(const limits&) const = default;
};

limits current_limits() {
    limits found;
    ::GetCurrentThreadStackLimits(&found.low, &found.high);
    return found;
}

// As a flow on this stack should see it: without the port's frame at the top.
limits limits_of(const heddle::test::stack& memory) {
    char* const base = memory.top() - heddle::detail::context_frame_bytes;
    return {reinterpret_cast<ULONG_PTR>(memory.bottom()), reinterpret_cast<ULONG_PTR>(base)};
}

const NT_TIB& thread_block() {
    return *reinterpret_cast<const NT_TIB*>(::NtCurrentTeb());
}

// The first instruction of the function that an address lies in, if it has unwind codes.
void* function_at(DWORD64 address) {
    DWORD64 image = 0;
    const auto* const found = ::RtlLookupFunctionEntry(address, &image, nullptr);
    return found == nullptr ? nullptr : reinterpret_cast<void*>(image + found->BeginAddress);
}

}  // namespace

TEST_CASE("the system knows a context's own stack inside it, and the thread's outside") {
    const limits outside = current_limits();
    limits inside;
    limits inside_again;
    limits committed;
    flow other([&](flow& self) {
        inside = current_limits();
        committed = {reinterpret_cast<ULONG_PTR>(thread_block().StackLimit),
                     reinterpret_cast<ULONG_PTR>(thread_block().StackBase)};
        self.suspend();
        inside_again = current_limits();
    });
    other.resume();
    CHECK(current_limits() == outside);
    other.resume();
    CHECK(current_limits() == outside);
    CHECK(inside == limits_of(other.memory()));
    CHECK(inside_again == inside);
    CHECK(committed == inside);
}

TEST_CASE("a fresh context is no Windows fiber, has no handlers and guarantees no stack") {
    const void* handlers = nullptr;
    const void* fiber_data = &handlers;
    ULONG guaranteed = 1;
    flow other([&](flow&) {
        handlers = thread_block().ExceptionList;
        fiber_data = thread_block().FiberData;
        guaranteed = 0;
        ::SetThreadStackGuarantee(&guaranteed);  // with 0 it asks
    });
    other.resume();
    constexpr auto end_of_list = ~std::uintptr_t{0};
    CHECK(reinterpret_cast<std::uintptr_t>(handlers) == end_of_list);
    CHECK(fiber_data == nullptr);
    CHECK(guaranteed == 0);
}

namespace {

// More locals than a page, so that the compiler probes the stack before it uses them.
[[gnu::noinline]] std::size_t fill_a_large_frame(char letter) {
    volatile char large[64 * 1024];
    for (volatile char& byte : large) {
        byte = letter;
    }
    return static_cast<std::size_t>(std::count(std::begin(large), std::end(large), letter));
}

}  // namespace

TEST_CASE("a function with a large frame runs in a context") {
    std::size_t found = 0;
    flow other([&](flow& self) {
        found = fill_a_large_frame('a');
        self.suspend();
        found += fill_a_large_frame('b');
    });
    other.resume();
    fill_a_large_frame('c');
    other.resume();
    CHECK(found == 2 * 64 * 1024);
}

TEST_CASE("the system's walk of a stack ends with the entry") {
    void* addresses[100] = {};
    USHORT count = 0;
    flow other([&](flow&) {
        count = ::RtlCaptureStackBackTrace(0, static_cast<ULONG>(std::size(addresses)), addresses,
                                           nullptr);
    });
    other.resume();
    REQUIRE(count > 1);
    CHECK(count < 20);
    CHECK(function_at(reinterpret_cast<DWORD64>(addresses[count - 1])) ==
          reinterpret_cast<void*>(heddle_entry));
}

namespace {

constexpr DWORD our_code = 0xe0123456;

// Whether a walk from here passes the entry's handler, and then goes on in the system's dispatcher,
// the caller of every handler.
bool handler_can_be_walked() {
    CONTEXT at;
    ::RtlCaptureContext(&at);
    bool passed = false;
    for (int depth = 0; depth < 50; ++depth) {
        DWORD64 image = 0;
        auto* const function = ::RtlLookupFunctionEntry(at.Rip, &image, nullptr);
        if (function == nullptr || passed) {
            return passed && image == reinterpret_cast<DWORD64>(::GetModuleHandleA("ntdll.dll"));
        }
        passed = image + function->BeginAddress == reinterpret_cast<DWORD64>(heddle_unhandled);
        void* data = nullptr;
        DWORD64 frame = 0;
        ::RtlVirtualUnwind(UNW_FLAG_NHANDLER, image, at.Rip, function, &at, &data, &frame, nullptr);
    }
    return false;
}

bool walked = false;
DWORD asked_about = 0;

// What a program installs to report its crashes; this one carries on.
LONG WINAPI carry_on(EXCEPTION_POINTERS* exception) {
    asked_about = exception->ExceptionRecord->ExceptionCode;
    walked = handler_can_be_walked();
    return EXCEPTION_CONTINUE_EXECUTION;
}

}  // namespace

TEST_CASE("the program's filter is asked about what no frame of a context handles") {
    auto* const before = ::SetUnhandledExceptionFilter(carry_on);
    bool went_on = false;
    flow other([&](flow&) {
        ::RaiseException(our_code, 0, 0, nullptr);
        went_on = true;
    });
    other.resume();
    ::SetUnhandledExceptionFilter(before);
    CHECK(asked_about == our_code);
    CHECK(went_on);
    CHECK(walked);
}

namespace {

LONG answer = 0;
EXCEPTION_POINTERS asked_with = {};

LONG WINAPI answer_as_told(EXCEPTION_POINTERS* exception) {
    asked_with = *exception;
    return answer;
}

}  // namespace

TEST_CASE("the entry's handler asks about what it is given, and goes on only if it is told to") {
    auto* const before = ::SetUnhandledExceptionFilter(answer_as_told);
    for (const LONG told : {EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_EXECUTE_HANDLER}) {
        EXCEPTION_RECORD record = {};
        CONTEXT context = {};
        answer = told;
        asked_with = {};
        const auto disposition = heddle_unhandled(&record, nullptr, &context, nullptr);
        const bool goes_on = told == EXCEPTION_CONTINUE_EXECUTION;
        CHECK(disposition == (goes_on ? ExceptionContinueExecution : ExceptionContinueSearch));
        CHECK(asked_with.ExceptionRecord == &record);
        CHECK(asked_with.ContextRecord == &context);
    }
    ::SetUnhandledExceptionFilter(before);
}

TEST_CASE("a walk that begins at the first instruction of the handler finds its caller") {
    const DWORD64 stack[] = {0x1234, 0, 0, 0, 0, 0, 0, 0};
    CONTEXT at = {};
    at.Rip = reinterpret_cast<DWORD64>(heddle_unhandled);
    at.Rsp = reinterpret_cast<DWORD64>(stack);
    DWORD64 image = 0;
    auto* const function = ::RtlLookupFunctionEntry(at.Rip, &image, nullptr);
    REQUIRE(function != nullptr);
    void* data = nullptr;
    DWORD64 frame = 0;
    ::RtlVirtualUnwind(UNW_FLAG_NHANDLER, image, at.Rip, function, &at, &data, &frame, nullptr);
    CHECK(at.Rip == stack[0]);
    CHECK(at.Rsp == reinterpret_cast<DWORD64>(stack + 1));
}

TEST_CASE("a fault that nobody handles ends the process with its code") {
    const auto child = heddle::test::run_child([] {
        flow other([](flow&) {
            std::fputs("before ", stdout);
            std::fflush(stdout);
            ::RaiseException(our_code, EXCEPTION_NONCONTINUABLE, 0, nullptr);
        });
        other.resume();
        std::fputs("after", stdout);
    });
    CHECK(child.exit_status == static_cast<int>(our_code));
    CHECK(child.output == "before ");
}

#endif
