#include "runtime/base/limits.hpp"

#include "runtime/base/system.hpp"

#include <sys/resource.h>

#include <cerrno>
#include <cstdint>

namespace heddle::detail {

namespace {

// The value of a limit of the whole system. With no descriptor left it cannot be read.
std::string value_of(const char* path) {
    const std::uint64_t value = sys::read_number(path);
    return value == 0 ? "so many" : std::to_string(value);
}

std::string descriptors_of_process() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return std::to_string(limit.rlim_cur);
}

}  // namespace

std::string limit_note(int error) {
    switch (error) {
    case EMFILE:
        return " (this process may have " + descriptors_of_process() +
               " descriptors: RLIMIT_NOFILE, ulimit -n)";
    case ENFILE:
        return " (the system may have " + value_of("/proc/sys/fs/file-max") +
               " open files: sysctl fs.file-max)";
    case ENOMEM:
    case ENOBUFS:
        return " (the memory of the machine, of the control group, or of its sockets: sysctl "
               "net.ipv4.tcp_mem)";
    case ENOSPC:
        return " (a full device, or a user may have " +
               value_of("/proc/sys/fs/epoll/max_user_watches") +
               " descriptors watched: sysctl fs.epoll.max_user_watches)";
    case EADDRNOTAVAIL:
        return " (no such address here, or all local ports are taken: sysctl "
               "net.ipv4.ip_local_port_range)";
    default:
        return {};
    }
}

no_memory::no_memory(std::string_view text) noexcept {
    text_[text.copy(text_, sizeof text_ - 1)] = '\0';
}

}  // namespace heddle::detail
