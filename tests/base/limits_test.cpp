// What errors say of limits.
#include "runtime/base/limits.hpp"
#include "runtime/base/system.hpp"
#include "tests/base/door_keeper.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>

#include <cerrno>
#include <string>

namespace heddle::test {
namespace {

using detail::limit_note;

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
}

TEST_CASE("an error that comes from a limit names it, its value and what sets it") {
    rlimit descriptors{};
    ::getrlimit(RLIMIT_NOFILE, &descriptors);
    CHECK(limit_note(EMFILE) == " (this process may have " + std::to_string(descriptors.rlim_cur) +
                                    " descriptors: RLIMIT_NOFILE, ulimit -n)");
    const auto value = [](const char* path) {
        return ' ' + std::to_string(detail::sys::read_number(path)) + ' ';
    };
    CHECK(contains(limit_note(ENFILE), "fs.file-max"));
    CHECK(contains(limit_note(ENFILE), value("/proc/sys/fs/file-max")));
    CHECK(contains(limit_note(ENOSPC), "fs.epoll.max_user_watches"));
    CHECK(contains(limit_note(ENOSPC), value("/proc/sys/fs/epoll/max_user_watches")));
    for (const int error : {ENOMEM, ENOBUFS}) {
        CHECK(contains(limit_note(error), "net.ipv4.tcp_mem"));
    }
    CHECK(contains(limit_note(EADDRNOTAVAIL), "net.ipv4.ip_local_port_range"));
}

TEST_CASE("a limit whose value cannot be read is named all the same") {
    const door_keeper keeper(answer(detail::sys::call::open, -ENFILE));
    CHECK(limit_note(ENFILE) == " (the system may have so many open files: sysctl fs.file-max)");
}

TEST_CASE("an error that has nothing to do with a limit says nothing of one") {
    CHECK(limit_note(ECONNRESET).empty());
    CHECK(limit_note(0).empty());
}

TEST_CASE("a lack of memory says what for, as far as there is room") {
    CHECK(std::string(detail::no_memory("for cloth").what()) == "for cloth");
    CHECK(std::string(detail::no_memory(std::string(1000, 'x')).what()) == std::string(255, 'x'));
}

}  // namespace
}  // namespace heddle::test
