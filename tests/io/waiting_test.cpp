// Every call that waits, in every way that a wait can begin and end.
#include "tests/io/calls.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using namespace heddle::test;

namespace {

// What a cancelled fiber gets to see: the error_code forms have no exception for it.
outcome cancelled_in(form how) {
    return how == form::throwing ? outcome::cancelled : outcome::operation_canceled;
}

// A fiber that makes the call and says how it ended.
heddle::fiber<outcome> start(const waiting_call& call, form how,
                             heddle::deadline until = heddle::deadline::never()) {
    return heddle::spawn([&call, how, until] { return call(how, until); });
}

}  // namespace

TEST_CASE("a call that can be served at once does not wait") {
    for_each_waiting_call([](const waiting_call& call, form how) {
        call.make_ready();
        CHECK(call(how) == outcome::done);
    });
}

TEST_CASE("a call that cannot be served waits until it can") {
    for_each_waiting_call([](const waiting_call& call, form how) {
        bool ended = false;
        heddle::fiber caller([&] {
            const outcome end = call(how);
            ended = true;
            return end;
        });
        let_others_run();
        CHECK_FALSE(ended);
        call.make_ready();
        CHECK(caller.join() == outcome::done);
    });
}

TEST_CASE("a deadline in the past still tries once") {
    for_each_waiting_call([](const waiting_call& call, form how) {
        CHECK(call(how, in_the_past()) == outcome::timed_out);
        call.make_ready();
        CHECK(call(how, in_the_past()) == outcome::done);
    });
}

TEST_CASE("a deadline that fires ends the call and leaves the object usable") {
    for_each_waiting_call([](const waiting_call& call, form how) {
        const heddle::deadline soon = 1ms;
        CHECK(call(how, soon) == outcome::timed_out);
        CHECK(soon.has_passed());
        call.make_ready();
        CHECK(call(how, 1h) == outcome::done);
    });
}

TEST_CASE("a fiber that was asked to stop before makes no attempt") {
    for_each_waiting_call([](const waiting_call& call, form how) {
        call.make_ready();
        heddle::fiber<outcome> caller = start(call, how);
        caller.request_stop();
        CHECK(caller.join() == cancelled_in(how));
        CHECK(call(how) == outcome::done);
    });
}

TEST_CASE("a fiber that was asked to stop is cancelled even under a passed deadline") {
    for_each_waiting_call([](const waiting_call& call, form how) {
        heddle::fiber<outcome> caller = start(call, how, in_the_past());
        caller.request_stop();
        CHECK(caller.join() == cancelled_in(how));
    });
}

TEST_CASE("a fiber that is asked to stop while it waits leaves the object usable") {
    for_each_waiting_call([](const waiting_call& call, form how) {
        heddle::fiber<outcome> caller = start(call, how, 1h);
        let_others_run();
        caller.request_stop();
        CHECK(caller.join() == cancelled_in(how));
        call.make_ready();
        CHECK(call(how) == outcome::done);
    });
}

TEST_CASE("cancellation is sticky: every further call is cancelled, too") {
    for_each_waiting_call([](const waiting_call& call, form how) {
        call.make_ready();
        heddle::fiber caller([&] {
            for (int attempt = 0; attempt < 3; ++attempt) {
                if (call(how) != cancelled_in(how)) {
                    return false;
                }
            }
            return true;
        });
        caller.request_stop();
        CHECK(caller.join());
    });
}

TEST_CASE("closing an object ends the calls on it and makes later ones an error") {
    for_each_waiting_call([](const waiting_call& call, form how) {
        if (!call.close) {
            return;
        }
        heddle::fiber<outcome> first = start(call, how);
        heddle::fiber<outcome> second = start(call, how, 1h);
        let_others_run();
        call.close();
        CHECK(first.join() == outcome::operation_canceled);
        CHECK(second.join() == outcome::operation_canceled);
        CHECK(call(how) == outcome::bad_descriptor);
        CHECK(call(how, in_the_past()) == outcome::bad_descriptor);
        call.close();
    });
}

TEST_CASE("nothing is lost where a stop request meets the end of a wait") {
    for_each_waiting_call([](const waiting_call& call, form how) {
        heddle::fiber<outcome> caller = start(call, how);
        let_others_run();
        call.make_ready();
        // The system has what is waited for, and the reactor may have seen it or not.
        caller.request_stop();
        const outcome end = caller.join();
        CHECK((end == outcome::done || end == cancelled_in(how)));
        if (end != outcome::done) {
            CHECK(call(how) == outcome::done);
        }
    });
}
