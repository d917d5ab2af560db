// doctest's main, compiled once for all test programs, and a listener that gives every test case a
// time limit and writes the test log.
//
// doctest's own signal handlers are left out: the runtime's handler for stack overflow must find
// what a user's program has, and a crash must leave the crashing stack in the core. The test log
// tells tests/run which case it was.
#define DOCTEST_CONFIG_IMPLEMENT
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS
#include <doctest/doctest.h>

#include "tests/support/report.hpp"
#include "tests/support/time_limit.hpp"

#include <cstdio>
#include <string>

#ifdef _WIN32
#include <windows.h>
#endif

namespace {

using heddle::test::log_event;

class reporter final : public doctest::IReporter {
public:
    explicit reporter(const doctest::ContextOptions&) {}

    void test_case_start(const doctest::TestCaseData& test) override {
        log_event("begin", test.m_name);
        heddle::test::start_time_limit(test.m_name, test.m_file.c_str(), test.m_line);
    }

    void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
        heddle::test::stop_time_limit();
        const char* outcome = stats.testCaseSuccess ? "passed\t" : "failed\t";
        log_event("end", outcome + std::to_string(stats.seconds));
    }

    void test_case_skipped(const doctest::TestCaseData& test) override {
        // Left out by a filter, or by the decorator that disables a test: the latter is reported.
        if (test.m_skip) {
            ++disabled_;
            log_event("begin", test.m_name);
            log_event("skip", "disabled by doctest::skip()");
            log_event("end", "passed\t0");
        }
    }

    void test_run_end(const doctest::TestRunStats& stats) override {
        log_event("done", std::to_string(stats.numTestCasesPassingFilters + disabled_) + '\t' +
                              std::to_string(stats.numTestCasesFailed));
    }

    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_exception(const doctest::TestCaseException&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData&) override {}
    void log_message(const doctest::MessageData&) override {}

private:
    unsigned disabled_ = 0;  ///< test cases that their own decorator disables
};

REGISTER_LISTENER("heddle", 1, reporter);

#ifdef _WIN32
LPTOP_LEVEL_EXCEPTION_FILTER runtimes_filter = nullptr;

// A crash ends the process: no dialogue, no debugger. The filter of the C++ runtime is asked first,
// because it is who leads an exception that nobody catches to std::terminate.
LONG WINAPI end_at_once(EXCEPTION_POINTERS* exception) {
    const LONG answer =
        runtimes_filter == nullptr ? EXCEPTION_CONTINUE_SEARCH : runtimes_filter(exception);
    return answer == EXCEPTION_CONTINUE_SEARCH ? EXCEPTION_EXECUTE_HANDLER : answer;
}
#endif

}  // namespace

int main(int argc, char** argv) {
    // What a test printed before it crashed is wanted most.
#ifdef _WIN32
    runtimes_filter = ::SetUnhandledExceptionFilter(end_at_once);
    std::setvbuf(stdout, nullptr, _IONBF, 0);  // there is no buffering by lines
    std::setvbuf(stderr, nullptr, _IONBF, 0);
#else
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
#endif
    return doctest::Context(argc, argv).run();
}
