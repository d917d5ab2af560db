// One number, several descriptors one after the other: nobody may get what belongs to another.
#include "tests/reactor/harness.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>

namespace heddle::test {
namespace {

using std::chrono::steady_clock;
using std::chrono::operator""us;

// Makes `fresh` have the number of `old`, which is closed by that.
void take_number(owning_fd& old, owning_fd& fresh) {
    REQUIRE(::dup3(fresh.get(), old.get(), O_CLOEXEC) == old.get());
    fresh = std::move(old);
}

TEST_CASE_TEMPLATE("who waits for a descriptor that is closed never gets what its successor reads",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    pair old = make_tcp_pair();
    pair fresh = make_tcp_pair();
    const descriptor_handle first = attached(old.a.get());
    request stranded(operation_kind::receive, first, 100);
    CHECK_FALSE(under_test.submit(stranded));
    give(old.b.get(), "late");
    await_bytes(old.a.get(), 4);
    under_test.events().detach(first);
    CHECK(stranded.result == -ECANCELED);
    take_number(old.a, fresh.a);
    const descriptor_handle second = attached(fresh.a.get());
    CHECK(second.fd == first.fd);
    request receive(operation_kind::receive, second, 100);
    CHECK_FALSE(under_test.submit(receive));
    under_test.settle();
    CHECK(receive.pending);
    // The old handle is not good for anything any more.
    request again(operation_kind::receive, first, 100);
    CHECK(under_test.submit(again));
    CHECK(again.result == -EBADF);
    under_test.events().detach(first);
    CHECK(receive.pending);
    give(fresh.b.get(), "mine");
    CHECK(under_test.finish(receive) == 4);
    CHECK(receive.text() == "mine");
}

TEST_CASE_TEMPLATE("a handle that is over names nothing, even before the number has a successor",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    pair old = make_tcp_pair();
    pair fresh = make_tcp_pair();
    const descriptor_handle first = attached(old.a.get());
    const descriptor_handle second = attached(old.a.get());
    request use(operation_kind::send, first, "x");
    CHECK(under_test.perform(use) == 1);
    under_test.events().detach(first);
    under_test.events().detach(second);  // was never used
    take_number(old.a, fresh.a);
    give(fresh.b.get(), "for somebody else");
    await_bytes(fresh.a.get(), 17);
    for (const descriptor_handle handle : {first, second}) {
        for (const bool may_wait : {false, true}) {
            request receive(operation_kind::receive, handle, 100);
            CHECK(under_test.submit(receive, may_wait));
            CHECK(receive.result == -EBADF);
        }
    }
    request raw_read(operation_kind::read, raw(fresh.a.get()), 100);
    CHECK(under_test.perform(raw_read) == 17);
}

TEST_CASE_TEMPLATE("the successor of a descriptor that was closed without a word works", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    pair old = make_tcp_pair();
    pair fresh = make_tcp_pair();
    const descriptor_handle first = attached(old.a.get());
    request stranded(operation_kind::receive, first, 100);
    request stranded_raw(operation_kind::wait_readable, raw(first.fd));
    CHECK_FALSE(under_test.submit(stranded));
    CHECK_FALSE(under_test.submit(stranded_raw));
    take_number(old.a, fresh.a);
    const descriptor_handle second = attached(fresh.a.get());
    request receive(operation_kind::receive, second, 100);
    CHECK_FALSE(under_test.submit(receive));
    CHECK(under_test.finish(stranded) == -ECANCELED);
    CHECK(under_test.finish(stranded_raw) == -ECANCELED);
    give(fresh.b.get(), "works");
    CHECK(under_test.finish(receive) == 5);
    request older(operation_kind::receive, first, 100);
    CHECK(under_test.submit(older));
    CHECK(older.result == -EBADF);
}

TEST_CASE_TEMPLATE("a raw number can be waited for after its owner closed it and opened another",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    pair old = make_pipe();
    for (int round = 0; round < 3; ++round) {
        const descriptor_handle handle = raw(old.a.get());
        request wait(operation_kind::wait_readable, handle);
        CHECK_FALSE(under_test.submit(wait));
        give(old.b.get(), "x");
        CHECK(under_test.finish(wait) == 0);
        pair fresh = make_pipe();
        take_number(old.a, fresh.a);
        old = std::move(fresh);
        CHECK(old.a.get() == handle.fd);
    }
}

TEST_CASE_TEMPLATE("a raw number that is closed under a wait can be waited for by its new owner",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    // With a duplicate, the old description stays open, and so does what the system knows of it.
    for (const bool duplicated : {false, true}) {
        pair old = make_pipe();
        pair fresh = make_pipe();
        const descriptor_handle handle = raw(old.a.get());
        const owning_fd duplicate(duplicated ? ::fcntl(old.a.get(), F_DUPFD_CLOEXEC, 0) : -1);
        request stranded(operation_kind::wait_readable, handle);
        CHECK_FALSE(under_test.submit(stranded));
        take_number(old.a, fresh.a);
        request wait(operation_kind::wait_readable, handle);
        CHECK_FALSE(under_test.submit(wait));
        if (duplicated) {
            give(old.b.get(), "nobody waits for this any more");
            under_test.settle();
            CHECK(wait.pending);
            const auto begin = steady_clock::now();
            under_test.events().poll(200'000);
            CHECK(steady_clock::now() - begin >= 200us);  // and does not keep the poller busy
        }
        give(fresh.b.get(), "x");
        CHECK(under_test.finish(wait) == 0);
        under_test.events().cancel(stranded);
        under_test.finish(stranded);
    }
}

TEST_CASE_TEMPLATE("what is reported for a raw number that was closed under a wait is nobody's",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    pair old = make_pipe();
    pair fresh = make_pipe();
    const descriptor_handle handle = raw(old.a.get());
    const owning_fd duplicate(::fcntl(old.a.get(), F_DUPFD_CLOEXEC, 0));
    request stranded(operation_kind::wait_readable, handle);
    CHECK_FALSE(under_test.submit(stranded));
    take_number(old.a, fresh.a);
    under_test.events().cancel(stranded);
    CHECK(under_test.finish(stranded) == -ECANCELED);
    request wait(operation_kind::wait_readable, handle);
    CHECK_FALSE(under_test.submit(wait));
    give(old.b.get(), "nobody waits for this any more");
    under_test.settle();
    CHECK(wait.pending);
    give(fresh.b.get(), "x");
    CHECK(under_test.finish(wait) == 0);
}

TEST_CASE_TEMPLATE("a raw descriptor that comes back under the number it had is waited for",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    pair ends = make_pipe();
    const descriptor_handle handle = raw(ends.a.get());
    owning_fd duplicate(::fcntl(ends.a.get(), F_DUPFD_CLOEXEC, 0));
    request wait(operation_kind::wait_readable, handle);
    CHECK_FALSE(under_test.submit(wait));
    ends.a.reset();
    under_test.events().cancel(wait);
    under_test.finish(wait);
    REQUIRE(::dup3(duplicate.get(), handle.fd, O_CLOEXEC) == handle.fd);
    ends.a = owning_fd(handle.fd);
    CHECK_FALSE(under_test.submit(wait));
    give(ends.b.get(), "x");
    CHECK(under_test.finish(wait) == 0);
}

TEST_CASE_TEMPLATE("nothing is left registered for a raw descriptor when its operations have ended",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    pair old = make_pipe();
    const owning_fd duplicate(::fcntl(old.a.get(), F_DUPFD_CLOEXEC, 0));
    request wait(operation_kind::wait_readable, raw(old.a.get()));
    request cancelled(operation_kind::wait_readable, raw(old.a.get()));
    CHECK_FALSE(under_test.submit(wait));
    CHECK_FALSE(under_test.submit(cancelled));
    under_test.events().cancel(cancelled);
    CHECK(under_test.finish(cancelled) == -ECANCELED);
    give(old.b.get(), "x");
    CHECK(under_test.finish(wait) == 0);
    CHECK_FALSE(under_test.submit(cancelled));
    under_test.events().cancel(cancelled);
    under_test.finish(cancelled);
    // Were anything left, the duplicate would keep it alive under the number of another.
    pair fresh = make_pipe();
    take_number(old.a, fresh.a);
    const descriptor_handle handle = attached(fresh.a.get());
    request read(operation_kind::read, handle, 100);
    CHECK_FALSE(under_test.submit(read));
    give(old.b.get(), "y");
    under_test.settle();
    CHECK(read.pending);
    give(fresh.b.get(), "own");
    CHECK(under_test.finish(read) == 3);
}

TEST_CASE_TEMPLATE("a raw wait works on a number that is attached, before it and behind it",
                   Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    for (const bool raw_first : {false, true}) {
        pair ends = make_tcp_pair();
        const descriptor_handle handle = attached(ends.a.get());
        request wait(operation_kind::wait_readable, raw(handle.fd));
        request receive(operation_kind::receive, handle, 100);
        request send(operation_kind::send, handle, "known by this");
        CHECK(under_test.perform(send) == 13);
        CHECK_FALSE(under_test.submit(raw_first ? wait : receive));
        CHECK_FALSE(under_test.submit(raw_first ? receive : wait));
        under_test.settle();
        CHECK(under_test.events().pending() == 2);
        give(ends.b.get(), "one");
        CHECK(under_test.finish(receive) == 3);
        if (!raw_first) {
            under_test.settle();
            CHECK(wait.pending);  // the data had gone before its turn came
            give(ends.b.get(), "two");
        }
        CHECK(under_test.finish(wait) == 0);
        under_test.events().detach(handle);
    }
}

TEST_CASE_TEMPLATE("a raw wait does not disturb an attached descriptor that is waited for", Backend,
                   HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    const pair ends = make_tcp_pair();
    const descriptor_handle handle = attached(ends.a.get());
    for (int round = 0; round < 3; ++round) {
        request receive(operation_kind::receive, handle, 100, {.short_receive_drains = true});
        CHECK_FALSE(under_test.submit(receive));
        request wait(operation_kind::wait_writable, raw(handle.fd));
        CHECK(under_test.perform(wait) == 0);
        request given_up(operation_kind::wait_readable, raw(handle.fd));
        CHECK_FALSE(under_test.submit(given_up));
        under_test.events().cancel(given_up);
        CHECK(under_test.finish(given_up) == -ECANCELED);
        give(ends.b.get(), "still there");
        CHECK(under_test.finish(receive) == 11);
    }
}

TEST_CASE_TEMPLATE("an operation on a number that is not open says so", Backend, HEDDLE_BACKENDS) {
    harness under_test(Backend::make);
    pair gone = make_pipe();
    const int number = gone.a.get();
    request used(operation_kind::read, raw(number), 1);
    CHECK(under_test.submit(used, false));  // some numbers are known to the reactor, others not
    gone.a.reset();
    for (const int fd : {-1, number, 1 << 30}) {
        for (const operation_kind kind :
             {operation_kind::wait_readable, operation_kind::wait_writable, operation_kind::accept,
              operation_kind::receive, operation_kind::send, operation_kind::read,
              operation_kind::write}) {
            for (const bool may_wait : {false, true}) {
                for (const descriptor_handle handle : {raw(fd), attached(fd)}) {
                    request lost(kind, handle, 1);
                    if (!under_test.submit(lost, may_wait)) {
                        under_test.finish(lost);
                    }
                    CHECK(lost.result == -EBADF);
                }
            }
        }
    }
}

}  // namespace
}  // namespace heddle::test
