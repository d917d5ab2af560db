// The late back-end keeps its promises: late, out of order, dirty, and strict with its user.
#include "tests/reactor/harness.hpp"

#include "runtime/base/random.hpp"
#include "tests/support/child.hpp"
#include "tests/support/report.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <deque>

namespace heddle::test {
namespace {

maker with_seed(std::uint64_t chosen) {
    static std::uint64_t current = 0;
    current = chosen;
    return [](detail::reactor::completion complete,
              void* context) -> std::unique_ptr<detail::reactor> {
        return std::make_unique<late_reactor>(complete, context, current);
    };
}

TEST_CASE("the late back-end completes late, and out of order across descriptors") {
    detail::random_sequence random(seed());
    int late = 0;
    int reordered = 0;
    for (int round = 0; round < 50; ++round) {
        harness under_test(with_seed(random.next()));
        std::vector<pair> pipes;
        std::deque<request> reads;
        for (int i = 0; i < 4; ++i) {
            pipes.push_back(make_pipe());
            give(pipes.back().b.get(), "x");
            reads.emplace_back(operation_kind::read, raw(pipes.back().a.get()), 10);
            CHECK_FALSE(under_test.submit(reads.back()));
        }
        under_test.events().poll(0);
        late += under_test.events().pending() > 0 ? 1 : 0;
        while (under_test.events().pending() > 0) {
            under_test.events().poll(-1);
        }
        reordered +=
            std::is_sorted(under_test.completed.begin(), under_test.completed.end()) ? 0 : 1;
    }
    CHECK(late > 25);
    CHECK(reordered > 25);
}

TEST_CASE("the late back-end may have filled a buffer long before it says so, and dirties it "
          "until then") {
    detail::random_sequence random(seed());
    int filled_early = 0;
    for (int round = 0; round < 50; ++round) {
        harness under_test(with_seed(random.next()));
        const pair ends = make_pipe();
        request read(operation_kind::read, raw(ends.a.get()), 16);
        const std::string_view buffer(static_cast<const char*>(read.buffer), 16);
        give(ends.b.get(), "the real data");
        CHECK_FALSE(under_test.submit(read));
        CHECK(buffer != std::string(16, '?'));
        while (read.pending) {
            CHECK(buffer.substr(0, 13) != "the real data");
            under_test.events().poll(0);
            pollfd left{.fd = ends.a.get(), .events = POLLIN, .revents = 0};
            filled_early += read.pending && ::poll(&left, 1, 0) == 0 ? 1 : 0;
        }
        CHECK(buffer == "the real data???");  // what is behind the data is as it was
    }
    CHECK(filled_early > 10);
}

TEST_CASE("the late back-end cancels later, and what was transferred meanwhile wins") {
    detail::random_sequence random(seed());
    int cancelled = 0;
    int won = 0;
    for (int round = 0; round < 100; ++round) {
        harness under_test(with_seed(random.next()));
        const pair ends = make_pipe();
        request read(operation_kind::read, raw(ends.a.get()), 100);
        CHECK_FALSE(under_test.submit(read));
        give(ends.b.get(), "x");
        under_test.events().cancel(read);
        CHECK(read.pending);
        if (under_test.finish(read) == 1) {
            ++won;
        } else {
            ++cancelled;
            CHECK(read.result == -ECANCELED);
            CHECK(take(ends.a.get()) == "x");
        }
    }
    CHECK(cancelled > 10);
    CHECK(won > 10);
}

TEST_CASE("the late back-end lets a transfer win over a detach too") {
    detail::random_sequence random(seed());
    int won = 0;
    for (int round = 0; round < 100; ++round) {
        harness under_test(with_seed(random.next()));
        const pair ends = make_pipe();
        request read(operation_kind::read, attached(ends.a.get()), 100);
        CHECK_FALSE(under_test.submit(read));
        give(ends.b.get(), "x");
        under_test.events().poll(0);
        under_test.events().detach(read.handle);
        CHECK_FALSE(read.pending);
        const std::string left = take(ends.a.get());
        CHECK(std::string(read.text()) + left == "x");
        CHECK(read.result == (left.empty() ? 1 : -ECANCELED));
        won += left.empty() ? 1 : 0;
    }
    CHECK(won > 10);
}

TEST_CASE("the late back-end sleeps when there is nothing to do but wait") {
    harness under_test(make_late_reactor);
    const pair ends = make_pipe();
    request reads[2] = {{operation_kind::read, raw(ends.a.get()), 10},
                        {operation_kind::read, raw(ends.a.get()), 10}};
    CHECK_FALSE(under_test.submit(reads[0]));
    CHECK_FALSE(under_test.submit(reads[1]));
    under_test.settle();
    const auto begin = std::chrono::steady_clock::now();
    under_test.events().poll(1'000'000);
    CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(1));
    for (request& one : reads) {
        under_test.events().cancel(one);
        under_test.finish(one);
    }
}

void touch_while_owned(operation_kind kind) {
    const auto events = make_late_reactor([](void*, operation&) {}, nullptr);
    const pair ends = make_socket_pair();
    request owned(kind, raw(ends.a.get()), 10);
    events->submit(owned, true);
    static_cast<char*>(owned.buffer)[3] ^= 1;
    while (owned.pending) {
        events->poll(0);
    }
}

TEST_CASE("the late back-end ends a program that touches a buffer it does not own") {
    const child_result receiving = run_child([] { touch_while_owned(operation_kind::receive); });
    CHECK(receiving.signal == SIGABRT);
    CHECK(receiving.output.find("a buffer was written to while the reactor owned it") !=
          std::string::npos);
    const child_result sending = run_child([] { touch_while_owned(operation_kind::send); });
    CHECK(sending.signal == SIGABRT);
    CHECK(sending.output.find("a buffer or address changed while the reactor owned it") !=
          std::string::npos);
}

}  // namespace
}  // namespace heddle::test
