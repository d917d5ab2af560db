// The one door to the operating system: every system call of heddle goes through here.
//
// Each function is the system call of the same name with C++ types, except that it returns the
// negative error number instead of setting errno, and that EINTR never comes out: a call that a
// signal interrupted is made again. A fault injector or a simulator stands in the door by setting
// `intercept`. Safe from any thread, and from signal handlers where the call itself is.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace heddle::detail::sys {

/// Names the calls for whoever stands in the door.
enum class call : std::uint8_t {
    accept4,
    bind,
    close,
    connect,
    epoll_create1,
    epoll_ctl,
    epoll_pwait2,
    epoll_wait,
    eventfd,
    fcntl,
    futex,
    getpeername,
    getsockname,
    getsockopt,
    if_nametoindex,
    listen,
    madvise,
    mincore,
    mmap,
    mprotect,
    munmap,
    open,
    pipe2,
    ppoll,
    process_madvise,
    process_vm_readv,
    read,
    recv,
    send,
    setsockopt,
    shutdown,
    sigaltstack,
    socket,
    stat,
    write,
};

/// Asked before each call when set. Returns 0 to let it through, a negative error number to fail
/// it, or a positive count to let a transfer of at most that many bytes through. Returning
/// -EINTR shows that the call is then repeated. Set while no other thread is in heddle.
///
/// Not asked: what cannot fail with the arguments that heddle gives it (the wake of a futex, a nap,
/// signal masks and handlers, the clocks).
extern std::int64_t (*intercept)(call which, int fd);

/// The new descriptor is non-blocking and close-on-exec.
int accept4(int fd, sockaddr* address, socklen_t* length) noexcept;
int bind(int fd, const sockaddr* address, socklen_t length) noexcept;
/// The number is free afterwards, whatever the result; so it is too where the call is made to fail.
int close(int fd) noexcept;
int connect(int fd, const sockaddr* address, socklen_t length) noexcept;
int epoll_create() noexcept;
int epoll_ctl(int epoll, int operation, int fd, epoll_event event) noexcept;
/// Waits at most `timeout_ns` (negative: for ever), to the nanosecond where the kernel has
/// epoll_pwait2 (Linux 5.11), else rounded up to the millisecond. 0 also when a signal came.
int epoll_wait(int epoll, epoll_event* events, int capacity, std::int64_t timeout_ns) noexcept;
int eventfd() noexcept;  ///< non-blocking, close-on-exec
/// Makes an eventfd readable. Async-signal-safe: leaves errno as it was.
void signal_eventfd(int fd) noexcept;
int get_flags(int fd) noexcept;
int set_flags(int fd, int flags) noexcept;
int getpeername(int fd, sockaddr* address, socklen_t* length) noexcept;
int getsockname(int fd, sockaddr* address, socklen_t* length) noexcept;
int getsockopt(int fd, int level, int name, int& value) noexcept;
/// The number of a network interface.
int if_nametoindex(const char* name) noexcept;
int setsockopt(int fd, int level, int name, int value) noexcept;
int listen(int fd, int backlog) noexcept;
int pipe(int (&ends)[2], int flags) noexcept;
/// As ppoll, with `timeout_ns` negative for ever. 0 also when a signal came during a wait.
int poll(pollfd* descriptors, std::size_t count, std::int64_t timeout_ns) noexcept;
std::int64_t read(int fd, void* buffer, std::size_t length) noexcept;
std::int64_t recv(int fd, void* buffer, std::size_t length, int flags) noexcept;
std::int64_t send(int fd, const void* buffer, std::size_t length, int flags) noexcept;
int shutdown(int fd, int how) noexcept;
/// As sigaltstack; `wanted` may be null.
int sigaltstack(const stack_t* wanted, stack_t* current) noexcept;
int socket(int family, int type) noexcept;  ///< non-blocking, close-on-exec
/// How many links a file or folder has.
std::int64_t count_links(const char* path) noexcept;
/// The number that a file of /proc holds; 0 where it cannot be read.
std::uint64_t read_number(const char* path) noexcept;
/// As write, but a broken pipe is -EPIPE only: the thread receives no SIGPIPE.
std::int64_t write(int fd, const void* buffer, std::size_t length) noexcept;

/// Reserves readable and writable address space that costs memory only where it is touched.
/// Returns null and sets `error` to a negative error number where there is none.
void* map(std::size_t bytes, int& error) noexcept;
/// Maps a file for reading, `bytes` long; null where it cannot be had. unmap ends it.
const void* map_file(const char* path, std::size_t& bytes) noexcept;
/// Where the address space cannot be given back (a mapping that merged with its neighbours would
/// have to be split, and there are too many), the memory is.
void unmap(void* start, std::size_t bytes) noexcept;
int advise(void* start, std::size_t bytes, int advice) noexcept;
/// The same about several ranges, in one call where the kernel takes that about the caller itself
/// (process_madvise with PIDFD_SELF: Linux 6.15). Returns how many ranges, from the first on, have
/// been dealt with, and sets `error` to why the next has not.
std::size_t advise_all(const iovec* ranges, std::size_t count, int advice, int& error) noexcept;
int protect_none(void* start, std::size_t bytes) noexcept;
/// As mincore: `present` has a byte per page.
int in_core(void* start, std::size_t bytes, unsigned char* present) noexcept;
std::size_t page_bytes() noexcept;
/// Copies memory of this process that may be gone at any moment: -EFAULT where it is. At most
/// PIPE_BUF bytes. Async-signal-safe.
int read_memory(const void* from, void* to, std::size_t bytes) noexcept;

/// Sleeps while `word` holds `expected`, until `deadline_ns` on the steady clock (INT64_MAX: for
/// ever). Returns 0, -EAGAIN, -ETIMEDOUT or, when a signal came, 0.
int futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
               std::int64_t deadline_ns) noexcept;
/// Sleeps, without asking who stands in the door: a pause before a failed call is tried again.
void nap(std::int64_t ns) noexcept;
/// Wakes one sleeper. The word may be gone by then: the address is only a key.
void futex_wake(std::atomic<std::uint32_t>& word) noexcept;

}  // namespace heddle::detail::sys
