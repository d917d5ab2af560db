// Which reactor a worker gets.
#pragma once

#include "runtime/reactor/reactor.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace heddle::detail {

/// Makes the reactor called `name` ("poll", "epoll"), or for "automatic" the best one that works
/// here.
/// Errors: std::invalid_argument for a name that does not exist here, listing those that do;
/// std::system_error where the system refuses a descriptor.
std::unique_ptr<reactor> make_reactor(std::string_view name, reactor::completion complete,
                                      void* context);

/// The names that make_reactor accepts on this system, best first, separated by ", ".
std::string available_reactors();

/// Set by tests: makes the reactor called "test".
extern std::unique_ptr<reactor> (*make_test_reactor)(reactor::completion complete, void* context);

}  // namespace heddle::detail
