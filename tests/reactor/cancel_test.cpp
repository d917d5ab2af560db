// How operations end when they are not left alone: order, cancel, detach.
#include "tests/reactor/harness.hpp"

#include "runtime/base/random.hpp"
#include "runtime/base/system.hpp"
#include "tests/support/report.hpp"

#include <sys/ioctl.h>

#include <algorithm>
#include <deque>

namespace heddle::test {
namespace {

namespace sys = detail::sys;

template <class Operations>
std::vector<operation*> addresses(Operations& all) {
    std::vector<operation*> result;
    for (operation& one : all) {
        result.push_back(&one);
    }
    return result;
}

TEST_CASE_TEMPLATE("operations in one direction end in the order of their submission", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool by_id : {true, false}) {
        const pair ends = make_tcp_pair();
        const descriptor_handle handle = by_id ? attached(ends.a.get()) : raw(ends.a.get());
        std::deque<request> receives;
        for (int i = 0; i < 10; ++i) {
            receives.emplace_back(operation_kind::receive, handle, 2,
                                  descriptor_traits{.short_receive_drains = true});
            CHECK_FALSE(under_test.submit(receives.back()));
        }
        // In two parts, the first of which ends in the middle of an operation's buffer.
        give(ends.b.get(), "aabbccd");
        for (std::size_t i = 0; i < 4; ++i) {
            under_test.finish(receives[i]);
        }
        CHECK(receives[3].text() == "d");
        give(ends.b.get(), "eeffgghhiijj");
        for (request& one : receives) {
            under_test.finish(one);
        }
        CHECK(receives[4].text() == "ee");
        CHECK(receives[9].text() == "jj");
        CHECK(under_test.completed == addresses(receives));
        under_test.completed.clear();
        under_test.events().detach(handle);
    }
}

TEST_CASE_TEMPLATE("what is written by several operations arrives in their order", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    std::size_t before = fill(ends.a.get());
    const descriptor_handle handle = attached(ends.a.get());
    std::deque<request> sends;
    for (const std::string_view word : {"one ", "two ", "three ", "four"}) {
        sends.emplace_back(operation_kind::send, handle, word);
        CHECK_FALSE(under_test.submit(sends.back()));
    }
    while (before > 0) {
        await(ends.b.get(), POLLIN);
        before -= take(ends.b.get(), before).size();
    }
    for (request& one : sends) {
        CHECK(under_test.finish(one) == static_cast<std::int64_t>(one.length));
    }
    CHECK(under_test.completed == addresses(sends));
    await_bytes(ends.b.get(), 18);
    CHECK(take(ends.b.get()) == "one two three four");
}

TEST_CASE_TEMPLATE("a try that may not wait does not overtake those who wait", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle handle = attached(ends.a.get());
    request first(operation_kind::receive, handle, 100);
    request second(operation_kind::receive, handle, 100);
    CHECK_FALSE(under_test.submit(first));
    give(ends.b.get(), "for the first");
    await_bytes(ends.a.get(), 13);
    CHECK(under_test.submit(second, false));
    CHECK(second.result == -EAGAIN);
    CHECK(under_test.finish(first) == 13);
    CHECK(under_test.submit(second, false));
    CHECK(second.result == -EAGAIN);
}

TEST_CASE_TEMPLATE("a cancelled operation ends soon, once, and says so", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const listener here;
    const pair tcp = make_tcp_pair();
    const pair empty = make_pipe();
    const pair full = make_pipe();
    fill(tcp.a.get());
    fill(full.b.get());
    const descriptor_handle socket = attached(tcp.a.get());
    std::deque<request> all;
    all.emplace_back(operation_kind::accept, attached(here.fd.get()));
    all.emplace_back(operation_kind::receive, socket, 100);
    all.emplace_back(operation_kind::send, socket, "x");
    all.emplace_back(operation_kind::wait_readable, socket);
    all.emplace_back(operation_kind::wait_writable, socket);
    all.emplace_back(operation_kind::read, raw(empty.a.get()), 100);
    all.emplace_back(operation_kind::write, raw(full.b.get()), "x");
    all.emplace_back(operation_kind::wait_readable, raw(empty.a.get()));
    all.emplace_back(operation_kind::wait_writable, raw(full.b.get()));
    std::size_t pending = 0;
    for (request& one : all) {
        CHECK_FALSE(under_test.submit(one));
        CHECK(under_test.events().pending() == ++pending);
    }
    under_test.settle();
    for (request& one : all) {
        under_test.events().cancel(one);
        under_test.events().cancel(one);
        CHECK(under_test.finish(one) == -ECANCELED);
        CHECK(under_test.events().pending() == --pending);
        under_test.events().cancel(one);
    }
    under_test.settle();
    CHECK(under_test.completed == addresses(all));
}

TEST_CASE_TEMPLATE("cancelling what has ended changes nothing", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    request receive(operation_kind::receive, attached(ends.a.get()), 100);
    under_test.events().cancel(receive);  // nor what has never begun
    give(ends.b.get(), "x");
    CHECK(under_test.perform(receive) == 1);
    under_test.events().cancel(receive);
    CHECK(receive.result == 1);
    CHECK(under_test.completed.size() <= 1);
    CHECK_FALSE(under_test.submit(receive));
    CHECK(receive.pending);
    under_test.events().cancel(receive);
    CHECK(under_test.finish(receive) == -ECANCELED);
}

TEST_CASE_TEMPLATE("a cancel leaves the others in both directions alone", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool by_id : {false, true}) {
        const pair ends = make_socket_pair();
        fill(ends.a.get());
        const descriptor_handle handle = by_id ? attached(ends.a.get()) : raw(ends.a.get());
        request reads[3] = {{operation_kind::read, handle, 5},
                            {operation_kind::read, handle, 5},
                            {operation_kind::read, handle, 5}};
        request writes[2] = {{operation_kind::write, handle, "x"},
                             {operation_kind::write, handle, "y"}};
        for (request* one : {&reads[0], &writes[0], &reads[1], &writes[1], &reads[2]}) {
            CHECK_FALSE(under_test.submit(*one));
        }
        under_test.events().cancel(reads[0]);
        under_test.events().cancel(writes[0]);
        CHECK(under_test.finish(reads[0]) == -ECANCELED);
        CHECK(under_test.finish(writes[0]) == -ECANCELED);
        give(ends.b.get(), "firstthird");
        CHECK(under_test.finish(reads[1]) == 5);
        CHECK(under_test.finish(reads[2]) == 5);
        CHECK(reads[1].text() == "first");
        CHECK(reads[2].text() == "third");
        CHECK(writes[1].pending);
        while (!take(ends.b.get()).empty()) {
        }
        CHECK(under_test.finish(writes[1]) == 1);
        under_test.events().detach(handle);
    }
}

TEST_CASE_TEMPLATE(
    "a cancelled transfer has either happened and says how much, or has not happened", Backend,
    HEDDLE_BACKENDS) {
    detail::random_sequence random(seed());
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle handle = attached(ends.a.get());
    std::string sent;
    std::string received;
    for (int round = 0; round < 200; ++round) {
        request receive(operation_kind::receive, handle, 100, {.short_receive_drains = true});
        CHECK_FALSE(under_test.submit(receive));
        const std::string word(1 + random.below(20), static_cast<char>('a' + round % 26));
        const auto poll_some = [&] {
            for (std::uint64_t i = random.below(6); i > 0; --i) {
                under_test.events().poll(0);
            }
        };
        poll_some();
        give(ends.b.get(), word);
        sent += word;
        poll_some();
        under_test.events().cancel(receive);
        const std::int64_t result = under_test.finish(receive);
        if (result == -ECANCELED) {
            CHECK((receive.text().empty()));
            request rest(operation_kind::receive, handle, 100, {.short_receive_drains = true});
            CHECK(under_test.perform(rest) == static_cast<std::int64_t>(word.size()));
            received += rest.text();
        } else {
            CHECK(result == static_cast<std::int64_t>(word.size()));
            received += receive.text();
        }
    }
    CHECK((received == sent));
}

TEST_CASE_TEMPLATE("detaching ends everything on the descriptor, and nothing afterwards", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    pair ends = make_tcp_pair();
    fill(ends.a.get());
    const descriptor_handle handle = attached(ends.a.get());
    const pair other = make_tcp_pair();
    request elsewhere(operation_kind::receive, attached(other.a.get()), 100);
    CHECK_FALSE(under_test.submit(elsewhere));
    std::deque<request> all;
    all.emplace_back(operation_kind::receive, handle, 100);
    all.emplace_back(operation_kind::receive, handle, 100);
    all.emplace_back(operation_kind::wait_readable, raw(handle.fd));
    all.emplace_back(operation_kind::send, handle, "x");
    all.emplace_back(operation_kind::wait_writable, handle);
    for (request& one : all) {
        CHECK_FALSE(under_test.submit(one));
    }
    under_test.settle();
    CHECK(under_test.completed.empty());
    under_test.events().detach(handle);
    CHECK(under_test.events().pending() == 1);
    for (request& one : all) {
        CHECK_FALSE(one.pending);
        CHECK(one.result == -ECANCELED);
    }
    CHECK(under_test.completed.size() == all.size());
    under_test.events().detach(handle);  // and once more, which does nothing
    give(ends.b.get(), "too late");
    await_bytes(ends.a.get(), 8);
    ends.a.reset();
    under_test.settle();
    CHECK(under_test.completed.size() == all.size());
    give(other.b.get(), "x");
    CHECK(under_test.finish(elsewhere) == 1);
}

TEST_CASE_TEMPLATE("detaching a descriptor that was never waited for costs nothing", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_socket_pair();
    const descriptor_handle unused = attached(ends.a.get());
    under_test.events().detach(unused);
    const descriptor_handle used = attached(ends.b.get());
    request send(operation_kind::send, used, "x");
    CHECK(under_test.perform(send) == 1);
    under_test.events().detach(used);
    under_test.events().detach({-1, 0});
    under_test.events().detach({1 << 20, 1});
    CHECK(under_test.completed.size() <= 1);
}

TEST_CASE_TEMPLATE("an operation can be used again once it has ended", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    request receive(operation_kind::receive, attached(ends.a.get()), 100);
    for (int round = 0; round < 5; ++round) {
        CHECK_FALSE(under_test.submit(receive));
        give(ends.b.get(), "again");
        CHECK(under_test.finish(receive) == 5);
        CHECK(receive.text() == "again");
    }
    CHECK(under_test.completed.size() == 5);
}

}  // namespace
}  // namespace heddle::test
