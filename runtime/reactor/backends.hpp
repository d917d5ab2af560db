// The makers of the back-ends, one per file of this folder; select.cpp chooses among them.
#pragma once

#include "runtime/reactor/reactor.hpp"

#include <memory>

namespace heddle::detail {

// Errors of each: std::system_error where the system refuses a descriptor; std::bad_alloc.
std::unique_ptr<reactor> make_poll_reactor(reactor::completion complete, void* context);
std::unique_ptr<reactor> make_epoll_reactor(reactor::completion complete, void* context);

}  // namespace heddle::detail
