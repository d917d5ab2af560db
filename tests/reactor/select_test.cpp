// Which reactor one gets for a name.
#include "runtime/reactor/reactor.hpp"

#include "tests/base/door_keeper.hpp"
#include "tests/reactor/harness.hpp"

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace heddle::test {
namespace {

using detail::make_reactor;
using detail::sys::call;

void ignore(void*, operation&) {}

TEST_CASE("a reactor is made by its name") {
    for (const char* const name : {"poll", "epoll"}) {
        CHECK(make_reactor(name, ignore, nullptr)->name() == std::string_view(name));
    }
    CHECK(make_reactor("automatic", ignore, nullptr)->name() == std::string_view("epoll"));
    CHECK(detail::available_reactors() == "epoll, poll");
}

TEST_CASE("linking the late back-end makes it the reactor called test") {
    CHECK(make_reactor("test", ignore, nullptr)->name() == std::string_view("test"));
    const auto announced = std::exchange(detail::make_test_reactor, nullptr);
    CHECK_THROWS_AS(make_reactor("test", ignore, nullptr), std::invalid_argument);
    detail::make_test_reactor = announced;
}

TEST_CASE("a name that no reactor has is refused, and the message lists those there are") {
    for (const char* const name : {"", "Epoll", "kqueue"}) {
        try {
            make_reactor(name, ignore, nullptr);
            FAIL("was made");
        } catch (const std::invalid_argument& error) {
            CHECK(std::string(error.what()) == "heddle: no reactor is called \"" +
                                                   std::string(name) +
                                                   "\" here; available: epoll, poll");
        }
    }
}

TEST_CASE("where the best reactor is forbidden, the automatic choice is the next best") {
    const door_keeper keeper(
        [](call which, int) -> std::int64_t { return which == call::epoll_create1 ? -EPERM : 0; });
    CHECK(make_reactor("automatic", ignore, nullptr)->name() == std::string_view("poll"));
    CHECK_THROWS_AS(make_reactor("epoll", ignore, nullptr), std::system_error);
}

TEST_CASE("where no reactor can be made, the error says why") {
    const std::size_t before = open_descriptors();
    {
        const door_keeper keeper(
            [](call which, int) -> std::int64_t { return which == call::eventfd ? -EMFILE : 0; });
        try {
            make_reactor("automatic", ignore, nullptr);
            FAIL("was made");
        } catch (const std::system_error& error) {
            CHECK(error.code() == std::errc::too_many_files_open);
        }
    }
    CHECK(open_descriptors() == before);
}

}  // namespace
}  // namespace heddle::test
