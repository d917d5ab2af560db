#include "tests/faults/kinds.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace heddle::test {
namespace {

using detail::sys::call;

// epoll that cannot be had is replaced by poll, unless the user insists.
reaction of_making_reactor() {
    const char* const wished = std::getenv("HEDDLE_REACTOR");
    const bool insists = wished != nullptr && std::string_view(wished) != "automatic";
    return insists ? reaction::reported : reaction::either;
}

// From the manual pages, section 2, of man-pages 6.03, each under the name of the call. Left out:
//   EAGAIN of accept, recv, send, read and write, EINPROGRESS of connect, and EAGAIN and ETIMEDOUT
//     of futex: answers, not faults. Where they are no lie they are given all the time.
//   Errors that only other forms of the call have (bind of a path, fcntl other than F_GETFL, mmap
//     of a file).
//   EINTR, which is not an error here but a way of calling: see the sweep's `interrupted`.
//   Short counts of recv on a stream: the system's word that it is empty, which the reactor may
//     rely on (descriptor_traits). What is received is short enough where sends are.
// recv has ECONNRESET and ETIMEDOUT from tcp(7), setsockopt ENOMEM and ENOBUFS from socket(7).
// if_nametoindex has those of ioctl(2) and of netdevice(7). open is made for the text of an error
// alone: see limits_test.cpp. stat is made where everybody is asleep for good, which an echo
// program is not, and
// process_vm_readv for lists of fibers that wait for one another.
std::vector<call_kind> make_kinds() {
    using enum reaction;
    return {
        {call::accept4,
         "accept4",
         {EBADF, ECONNABORTED, EFAULT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOTSOCK,
          EOPNOTSUPP, EPERM, EPROTO},
         either,
         "connections that their peers gave up are passed over",
         {EMFILE, ENFILE, ENOBUFS, ENOMEM},
         false,
         {ECONNABORTED, EPROTO}},
        {call::bind, "bind", {EACCES, EADDRINUSE, EADDRNOTAVAIL, EBADF, EFAULT, EINVAL, ENOTSOCK}},
        {call::close,
         "close",
         {EBADF, EIO, ENOSPC, EDQUOT},
         either,
         "the number is free all the same, and a socket has nothing to lose"},
        {call::connect,
         "connect",
         {EACCES, EPERM, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EALREADY, EBADF,
          ECONNREFUSED, EFAULT, EISCONN, ENETUNREACH, ENOTSOCK, EPROTOTYPE, ETIMEDOUT},
         reported,
         "",
         {EADDRNOTAVAIL}},
        {call::epoll_create1,
         "epoll_create1",
         {EINVAL, EMFILE, ENFILE, ENOMEM},
         of_making_reactor(),
         "the reactor over poll does without",
         {EMFILE, ENFILE, ENOMEM}},
        {call::epoll_ctl,
         "epoll_ctl",
         {EBADF, EEXIST, EINVAL, ELOOP, ENOENT, ENOMEM, ENOSPC, EPERM},
         either,
         "what is not registered need not be removed, and is added where it cannot be changed",
         {ENOMEM, ENOSPC},
         false,
         {},
         of_making_reactor()},
        {call::epoll_pwait2,
         "epoll_pwait2",
         {EBADF, EFAULT, EINVAL},
         either,
         "a wait that fails once is tried again",
         {EBADF}},
        {call::epoll_wait,
         "epoll_wait",
         {EBADF, EFAULT, EINVAL},
         either,
         "a wait that fails once is tried again",
         {EBADF}},
        {call::eventfd,
         "eventfd",
         {EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM},
         of_making_reactor(),
         "the reactor over poll tries once more",
         {EMFILE, ENFILE, ENOMEM}},
        {call::fcntl, "fcntl", {EBADF}},
        {call::getpeername, "getpeername", {EBADF, EFAULT, EINVAL, ENOBUFS, ENOTCONN, ENOTSOCK}},
        {call::getsockname, "getsockname", {EBADF, EFAULT, EINVAL, ENOBUFS, ENOTSOCK}},
        {call::getsockopt, "getsockopt", {EBADF, EFAULT, EINVAL, ENOPROTOOPT, ENOTSOCK}},
        {call::if_nametoindex, "if_nametoindex", {EBADF, EFAULT, EINVAL, ENODEV, ENOTTY}},
        {call::listen, "listen", {EADDRINUSE, EBADF, ENOTSOCK, EOPNOTSUPP}},
        {call::madvise,
         "madvise",
         {EACCES, EAGAIN, EBADF, EINVAL, EIO, ENOMEM, EPERM},
         either,
         "guards can be made by mprotect, the other advice is only advice",
         {ENOMEM}},
        {call::mincore,
         "mincore",
         {EAGAIN, EFAULT, EINVAL, ENOMEM},
         either,
         "a figure of the statistics comes out smaller",
         {ENOMEM}},
        {call::mmap,
         "mmap",
         {EAGAIN, EINVAL, ENOMEM, EPERM},
         either,
         "smaller reservations are tried, and the alternate stack is done without",
         {EAGAIN, ENOMEM}},
        {call::mprotect, "mprotect", {EACCES, EINVAL, ENOMEM}, reported, "", {ENOMEM}},
        {call::munmap,
         "munmap",
         {EINVAL, ENOMEM},
         either,
         "the memory is given back, if not the address space",
         {ENOMEM}},
        {call::pipe2,
         "pipe2",
         {EFAULT, EINVAL, EMFILE, ENFILE},
         either,
         "guards are made by mprotect until it is known that there are lighter ones",
         {EMFILE, ENFILE}},
        {call::ppoll,
         "ppoll",
         {EFAULT, EINVAL, ENOMEM},
         either,
         "a wait that fails once is tried again",
         {EINVAL, ENOMEM}},
        {call::process_madvise,
         "process_madvise",
         {EBADF, EFAULT, EINVAL, ENOMEM, EPERM, ESRCH},
         either,
         "what cannot be advised about together is so one by one"},
        {call::read,
         "read",
         {EBADF, EFAULT, EINVAL, EIO, EISDIR},
         either,
         "the counter of an eventfd is read again",
         {},
         true},
        {call::recv,
         "recv",
         {EBADF, ECONNREFUSED, ECONNRESET, EFAULT, EINVAL, ENOMEM, ENOTCONN, ENOTSOCK, ETIMEDOUT},
         either,
         "ENOTSOCK is how a raw descriptor says what it is, ETIMEDOUT what a deadline says",
         {ENOMEM},
         false,
         {ENOTSOCK, ETIMEDOUT}},
        {call::send,
         "send",
         {EACCES, EALREADY, EBADF, ECONNRESET, EDESTADDRREQ, EFAULT, EINVAL, EISCONN, EMSGSIZE,
          ENOBUFS, ENOMEM, ENOTCONN, ENOTSOCK, EOPNOTSUPP, EPIPE},
         either,
         "ENOTSOCK is how a raw descriptor says what it is",
         {ENOBUFS, ENOMEM},
         true,
         {ENOTSOCK}},
        {call::setsockopt,
         "setsockopt",
         {EBADF, EFAULT, EINVAL, ENOBUFS, ENOMEM, ENOPROTOOPT, ENOTSOCK}},
        {call::shutdown, "shutdown", {EBADF, EINVAL, ENOTCONN, ENOTSOCK}},
        {call::sigaltstack,
         "sigaltstack",
         {EFAULT, EINVAL, ENOMEM, EPERM},
         either,
         "without an alternate stack an overflow is not reported"},
        {call::socket,
         "socket",
         {EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT},
         reported,
         "",
         {EMFILE, ENFILE, ENOBUFS, ENOMEM}},
        {call::write,
         "write",
         {EBADF, EDESTADDRREQ, EDQUOT, EFAULT, EFBIG, EINVAL, EIO, ENOSPC, EPERM, EPIPE},
         either,
         "nobody can be told that a dump was not printed; a probe is made again",
         {EIO, ENOSPC},
         true},
    };
}

bool is_of_stacks(call which) {
    return which == call::mmap || which == call::mprotect || which == call::madvise ||
           which == call::process_madvise || which == call::pipe2;
}

}  // namespace

const std::vector<call_kind>& call_kinds() {
    static const std::vector<call_kind> kinds = make_kinds();
    return kinds;
}

bool may_become(const call_kind& kind, int error, int reported) {
    if (reported == error) {
        return true;
    }
    if (is_of_stacks(kind.which)) {
        return reported == ENOMEM;  // fiber::join: not_enough_memory, whatever the reason
    }
    switch (kind.which) {
    case call::connect:
        return error == EAGAIN && reported == ECONNREFUSED;  // what other systems say
    case call::epoll_wait:
    case call::epoll_pwait2:
        // Nobody's descriptor but the reactor's is bad.
        return (error == EBADF || error == EINVAL) && reported == ENOTRECOVERABLE;
    case call::ppoll:
        return error == EINVAL && reported == EMFILE;  // which is the limit behind it
    case call::recv:
    case call::send:
        return error == EBADF && reported == ECANCELED;  // between two steps: closed meanwhile
    case call::epoll_ctl:
        // The second try, by MOD for ADD, meets the truth; what cannot be waited for is tried.
        return (error == EEXIST && reported == ENOENT) || (error == EPERM && reported == EAGAIN);
    default:
        return false;
    }
}

std::string limit_named_by(int reported) {
    switch (reported) {
    case EMFILE:
        return "RLIMIT_NOFILE";
    case ENFILE:
        return "fs.file-max";
    case ENOSPC:
        return "fs.epoll.max_user_watches";
    case ENOBUFS:
        return "net.ipv4.tcp_mem";
    case EADDRNOTAVAIL:
        return "net.ipv4.ip_local_port_range";
    default:
        return {};
    }
}

std::string name_of_error(int error) {
    return '"' + std::string(std::strerror(error)) + '"';
}

}  // namespace heddle::test
