// In checked builds: the initialisers that a flow is inside of, in which no fiber may give way.
//
// The initialiser of a function's static variable, and the function of std::call_once, hold a lock
// of the whole thread's. A fiber that gives way there leaves it locked: the next one that comes by
// waits for it in the system, and with it the thread, on which the first would have to go on.
// The linker directs the calls that take and release such locks here (runtime/meson.build).
#pragma once

namespace heddle::detail {

/// How many the flow that runs on the thread is inside of, one within the other. No fiber takes any
/// along when it gives way, so the thread's number will do. Defined apart from what counts, which a
/// program that is linked without those directions does not have: there it stays 0.
extern constinit thread_local int open_initialisers;

constexpr const char* initialiser_waits =
    "a fiber gave way inside the initialiser of a function's static variable, or inside "
    "std::call_once: whoever comes there next blocks the thread, and so this fiber, for ever; "
    "heddle::once and heddle::call_once are for what waits";

}  // namespace heddle::detail
