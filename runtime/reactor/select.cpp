#include "runtime/reactor/reactor.hpp"

#include "runtime/reactor/backends.hpp"

#include <stdexcept>
#include <system_error>

namespace heddle::detail {

std::unique_ptr<reactor> (*make_test_reactor)(reactor::completion complete,
                                              void* context) = nullptr;

namespace {

struct backend {
    std::string_view name;
    std::unique_ptr<reactor> (*make)(reactor::completion complete, void* context);
};

// Best first.
constexpr backend backends[] = {{"epoll", make_epoll_reactor}, {"poll", make_poll_reactor}};

}  // namespace

std::string available_reactors() {
    std::string names;
    for (const backend& one : backends) {
        names += names.empty() ? "" : ", ";
        names += one.name;
    }
    return names;
}

std::unique_ptr<reactor> make_reactor(std::string_view name, reactor::completion complete,
                                      void* context) {
    if (name == "test" && make_test_reactor != nullptr) {
        return make_test_reactor(complete, context);
    }
    for (const backend& one : backends) {
        if (name == one.name) {
            return one.make(complete, context);
        }
    }
    if (name != "automatic") {
        throw std::invalid_argument("heddle: no reactor is called \"" + std::string(name) +
                                    "\" here; available: " + available_reactors());
    }
    // The portable one works everywhere; a better one may be forbidden (a sandbox that refuses
    // its system calls).
    for (const backend& one : backends) {
        try {
            return one.make(complete, context);
        } catch (const std::system_error&) {
            if (&one == std::end(backends) - 1) {
                throw;
            }
        }
    }
    throw std::logic_error("heddle: built without any reactor");
}

}  // namespace heddle::detail
