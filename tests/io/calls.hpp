// Every call that waits, in a state where it would wait, so that one test can try them all.
#pragma once

#include "tests/io/sockets.hpp"

#include <functional>

namespace heddle::test {

/// Which form of a call is tried.
enum class form { throwing, reporting };

/// One call, on objects of its own that make it wait.
struct waiting_call {
    const char* name = "";
    std::function<void(deadline)> throwing;
    std::function<void(deadline, std::error_code&)> reporting;
    /// Lets the next call succeed.
    std::function<void()> make_ready;
    /// Closes the object that the call is made on; empty where it is not heddle's to close.
    std::function<void()> close;

    outcome operator()(form how, deadline until = deadline::never()) const;
};

/// Calls `test` with each of them and in each form, inside a fiber. connect() is not among them:
/// only the system can make it wait.
void for_each_waiting_call(const std::function<void(const waiting_call&, form)>& test);

}  // namespace heddle::test
