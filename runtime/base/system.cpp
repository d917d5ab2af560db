#include "runtime/base/system.hpp"

#include "runtime/base/sanitizer.hpp"

#include <heddle/detail/atomics.hpp>

#include <fcntl.h>
#include <linux/futex.h>
#include <net/if.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits>

namespace heddle::detail {

namespace sys {

std::int64_t (*intercept)(call which, int fd) = nullptr;

namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t ns_per_ms = 1'000'000;

// Seconds may have 32 bits on 32-bit CPUs: what is longer ends after 68 years, and is begun again
// by whoever waits.
template <class T>
T whole_seconds(std::int64_t ns) noexcept {
    return static_cast<T>(std::min<std::int64_t>(ns / ns_per_s, std::numeric_limits<T>::max()));
}

timespec to_timespec(std::int64_t ns) noexcept {
    timespec time{};
    time.tv_sec = whole_seconds<std::time_t>(ns);
    time.tv_nsec = static_cast<long>(ns % ns_per_s);
    return time;
}

// Makes the call `f()` as often as signals interrupt it; -errno for failure.
template <class F>
std::int64_t checked(call which, int fd, F f) noexcept {
    for (;;) {
        if (intercept != nullptr) [[unlikely]] {
            const std::int64_t verdict = intercept(which, fd);
            if (verdict == -EINTR) {
                continue;
            }
            if (verdict < 0) {
                return verdict;
            }
        }
        const std::int64_t result = f();
        if (result >= 0) {
            return result;
        }
        if (errno != EINTR) {
            return -static_cast<std::int64_t>(errno);
        }
    }
}

// The same for calls that move bytes, which the interceptor may cut short.
template <class F>
std::int64_t transferred(call which, int fd, std::size_t length, F f) noexcept {
    for (;;) {
        std::size_t allowed = length;
        if (intercept != nullptr) [[unlikely]] {
            const std::int64_t verdict = intercept(which, fd);
            if (verdict == -EINTR) {
                continue;
            }
            if (verdict < 0) {
                return verdict;
            }
            if (verdict > 0) {
                allowed = std::min(length, static_cast<std::size_t>(verdict));
            }
        }
        const std::int64_t result = f(allowed);
        if (result >= 0) {
            return result;
        }
        if (errno != EINTR) {
            return -static_cast<std::int64_t>(errno);
        }
    }
}

// The same for waits, where an interruption is a reason to look around: it counts as no event.
template <class F>
int waited(call which, int fd, F f) noexcept {
    if (intercept != nullptr) [[unlikely]] {
        const std::int64_t verdict = intercept(which, fd);
        if (verdict < 0) {
            return verdict == -EINTR ? 0 : static_cast<int>(verdict);
        }
    }
    const auto result = f();
    return result >= 0 ? static_cast<int>(result) : errno == EINTR ? 0 : -errno;
}

}  // namespace

int accept4(int fd, sockaddr* address, socklen_t* length) noexcept {
    return static_cast<int>(checked(call::accept4, fd, [&] {
        return ::accept4(fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }));
}

int bind(int fd, const sockaddr* address, socklen_t length) noexcept {
    return static_cast<int>(checked(call::bind, fd, [&] { return ::bind(fd, address, length); }));
}

int close(int fd) noexcept {
    // Done in any case, and not repeated on EINTR: Linux has released the number by then
    // (close(2)).
    const std::int64_t verdict = intercept != nullptr ? intercept(call::close, fd) : 0;
    const int result = ::close(fd) == 0 ? 0 : -errno;
    const int reported = verdict < 0 ? static_cast<int>(verdict) : result;
    return reported == -EINTR ? 0 : reported;
}

int connect(int fd, const sockaddr* address, socklen_t length) noexcept {
    return static_cast<int>(
        checked(call::connect, fd, [&] { return ::connect(fd, address, length); }));
}

int epoll_create() noexcept {
    return static_cast<int>(
        checked(call::epoll_create1, -1, [&] { return ::epoll_create1(EPOLL_CLOEXEC); }));
}

int epoll_ctl(int epoll, int operation, int fd, epoll_event event) noexcept {
    return static_cast<int>(
        checked(call::epoll_ctl, fd, [&] { return ::epoll_ctl(epoll, operation, fd, &event); }));
}

int epoll_wait(int epoll, epoll_event* events, int capacity, std::int64_t timeout_ns) noexcept {
    static std::atomic<bool> has_pwait2 = true;
    if (timeout_ns > 0 && has_pwait2.load(std::memory_order_relaxed)) {
#ifdef SYS_epoll_pwait2
        // The kernel's own layout: two 64-bit fields on every CPU.
        struct {
            std::int64_t seconds, nanoseconds;
        } timeout = {timeout_ns / ns_per_s, timeout_ns % ns_per_s};
        const int result = waited(call::epoll_pwait2, epoll, [&] {
            return ::syscall(SYS_epoll_pwait2, epoll, events, capacity, &timeout, nullptr,
                             static_cast<std::size_t>(_NSIG / CHAR_BIT));
        });
        // Absent, or unknown to a sandbox (some answer EPERM, which the call itself never does).
        if (result != -ENOSYS && result != -EPERM) {
            return result;
        }
#endif
        has_pwait2.store(false, std::memory_order_relaxed);
    }
    const std::int64_t rounded_up = timeout_ns / ns_per_ms + (timeout_ns % ns_per_ms > 0 ? 1 : 0);
    const int timeout_ms =
        timeout_ns < 0 ? -1 : static_cast<int>(std::min<std::int64_t>(rounded_up, INT_MAX));
    return waited(call::epoll_wait, epoll,
                  [&] { return ::epoll_wait(epoll, events, capacity, timeout_ms); });
}

int eventfd() noexcept {
    return static_cast<int>(
        checked(call::eventfd, -1, [&] { return ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }));
}

void signal_eventfd(int fd) noexcept {
    const int saved = errno;
    const std::uint64_t one = 1;
    // EAGAIN says that the counter is full: it is readable already.
    checked(call::write, fd, [&] { return ::write(fd, &one, sizeof one); });
    errno = saved;
}

int get_flags(int fd) noexcept {
    return static_cast<int>(checked(call::fcntl, fd, [&] { return ::fcntl(fd, F_GETFL); }));
}

int set_flags(int fd, int flags) noexcept {
    return static_cast<int>(checked(call::fcntl, fd, [&] { return ::fcntl(fd, F_SETFL, flags); }));
}

int getpeername(int fd, sockaddr* address, socklen_t* length) noexcept {
    return static_cast<int>(
        checked(call::getpeername, fd, [&] { return ::getpeername(fd, address, length); }));
}

int getsockname(int fd, sockaddr* address, socklen_t* length) noexcept {
    return static_cast<int>(
        checked(call::getsockname, fd, [&] { return ::getsockname(fd, address, length); }));
}

int getsockopt(int fd, int level, int name, int& value) noexcept {
    socklen_t length = sizeof value;
    return static_cast<int>(checked(
        call::getsockopt, fd, [&] { return ::getsockopt(fd, level, name, &value, &length); }));
}

int setsockopt(int fd, int level, int name, int value) noexcept {
    return static_cast<int>(checked(
        call::setsockopt, fd, [&] { return ::setsockopt(fd, level, name, &value, sizeof value); }));
}

int if_nametoindex(const char* name) noexcept {
    // Not libc's: it tells of a missing interface where the socket that it needs is missing.
    const int fd = socket(AF_UNIX, SOCK_DGRAM);
    if (fd < 0) {
        return fd;
    }
    ifreq request{};
    std::strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    const std::int64_t result =
        checked(call::if_nametoindex, fd, [&] { return ::ioctl(fd, SIOCGIFINDEX, &request); });
    close(fd);
    return result < 0 ? static_cast<int>(result) : request.ifr_ifindex;
}

int listen(int fd, int backlog) noexcept {
    return static_cast<int>(checked(call::listen, fd, [&] { return ::listen(fd, backlog); }));
}

int pipe(int (&ends)[2], int flags) noexcept {
    return static_cast<int>(checked(call::pipe2, -1, [&] { return ::pipe2(ends, flags); }));
}

int poll(pollfd* descriptors, std::size_t count, std::int64_t timeout_ns) noexcept {
    const timespec timeout = to_timespec(std::max<std::int64_t>(timeout_ns, 0));
    const auto ask = [&] {
        return ::ppoll(descriptors, static_cast<nfds_t>(count), timeout_ns < 0 ? nullptr : &timeout,
                       nullptr);
    };
    // A question is asked again when a signal came; "nothing" would be taken for the answer.
    return timeout_ns == 0 ? static_cast<int>(checked(call::ppoll, -1, ask))
                           : waited(call::ppoll, -1, ask);
}

std::int64_t read(int fd, void* buffer, std::size_t length) noexcept {
    return transferred(call::read, fd, length,
                       [&](std::size_t allowed) { return ::read(fd, buffer, allowed); });
}

std::int64_t recv(int fd, void* buffer, std::size_t length, int flags) noexcept {
    return transferred(call::recv, fd, length,
                       [&](std::size_t allowed) { return ::recv(fd, buffer, allowed, flags); });
}

std::int64_t send(int fd, const void* buffer, std::size_t length, int flags) noexcept {
    return transferred(call::send, fd, length, [&](std::size_t allowed) {
        return ::send(fd, buffer, allowed, flags | MSG_NOSIGNAL);
    });
}

int shutdown(int fd, int how) noexcept {
    return static_cast<int>(checked(call::shutdown, fd, [&] { return ::shutdown(fd, how); }));
}

int sigaltstack(const stack_t* wanted, stack_t* current) noexcept {
    return static_cast<int>(
        checked(call::sigaltstack, -1, [&] { return ::sigaltstack(wanted, current); }));
}

int socket(int family, int type) noexcept {
    return static_cast<int>(checked(call::socket, -1, [&] {
        return ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }));
}

std::int64_t count_links(const char* path) noexcept {
    struct stat info = {};
    const std::int64_t result = checked(call::stat, -1, [&] { return ::stat(path, &info); });
    return result < 0 ? result : static_cast<std::int64_t>(info.st_nlink);
}

std::uint64_t read_number(const char* path) noexcept {
    const std::int64_t fd =
        checked(call::open, -1, [&] { return ::open(path, O_RDONLY | O_CLOEXEC); });
    if (fd < 0) {
        return 0;
    }
    char digits[32];
    const std::int64_t count = read(static_cast<int>(fd), digits, sizeof digits);
    close(static_cast<int>(fd));
    std::uint64_t number = 0;
    std::from_chars(digits, digits + std::max<std::int64_t>(count, 0), number);
    return number;
}

std::int64_t write(int fd, const void* buffer, std::size_t length) noexcept {
    // A write to a broken pipe sends SIGPIPE to this thread. It is held back for the duration, and
    // taken away again unless it had been pending before (then it is not ours to take).
    sigset_t pipe_signal;
    sigset_t old_mask;
    sigset_t pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&pending);
    const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &old_mask);
    const std::int64_t result = transferred(
        call::write, fd, length, [&](std::size_t allowed) { return ::write(fd, buffer, allowed); });
    if (result == -EPIPE && !was_pending) {
        const timespec at_once{};
        while (sigtimedwait(&pipe_signal, nullptr, &at_once) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &old_mask, nullptr);
    return result;
}

void* map(std::size_t bytes, int& error) noexcept {
    void* start = nullptr;
    const std::int64_t result = checked(call::mmap, -1, [&] {
        start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        return start == MAP_FAILED ? -1 : 0;
    });
    error = static_cast<int>(result);
    return result < 0 ? nullptr : start;
}

const void* map_file(const char* path, std::size_t& bytes) noexcept {
    const auto fd = static_cast<int>(
        checked(call::open, -1, [&] { return ::open(path, O_RDONLY | O_CLOEXEC); }));
    if (fd < 0) {
        return nullptr;
    }
    struct stat info = {};
    void* start = MAP_FAILED;
    if (checked(call::stat, fd, [&] { return ::fstat(fd, &info); }) == 0 && info.st_size > 0) {
        bytes = static_cast<std::size_t>(info.st_size);
        const std::int64_t failed = checked(call::mmap, fd, [&] {
            start = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
            return start == MAP_FAILED ? -1 : 0;
        });
        start = failed != 0 ? MAP_FAILED : start;
    }
    close(fd);
    return start == MAP_FAILED ? nullptr : start;
}

void unmap(void* start, std::size_t bytes) noexcept {
    if (checked(call::munmap, -1, [&] { return ::munmap(start, bytes); }) < 0) {
        advise(start, bytes, MADV_DONTNEED);
    }
}

int advise(void* start, std::size_t bytes, int advice) noexcept {
    return static_cast<int>(
        checked(call::madvise, -1, [&] { return ::madvise(start, bytes, advice); }));
}

namespace {

// Whether several ranges can be advised about together, as far as is known.
std::atomic<bool>& advises_together() noexcept {
    // valgrind 3.19 complains of a call that it does not know.
    static std::atomic<bool> works = !under_valgrind();
    return works;
}

// How many ranges, from the first on, were advised about together. Where that is none, `hopeless`
// is set if the reason may be that it can never be done.
std::size_t advise_together([[maybe_unused]] const iovec* ranges,
                            [[maybe_unused]] std::size_t count, [[maybe_unused]] int advice,
                            [[maybe_unused]] bool& hopeless) noexcept {
#ifdef SYS_process_madvise
    if (count < 2 || !advises_together().load(std::memory_order_relaxed)) {
        return 0;
    }
    // include/uapi/linux/pidfd.h. No descriptor: a fork would have one of its parent.
    constexpr int pidfd_self = -10001;
    std::int64_t left = checked(call::process_madvise, -1, [&] {
        return ::syscall(SYS_process_madvise, pidfd_self, ranges,
                         std::min(count, std::size_t{UIO_MAXIOV}), advice, 0U);
    });
    // Absent, ignorant of PIDFD_SELF or of this advice for oneself, or refused by a sandbox.
    hopeless = left == -ENOSYS || left == -EBADF || left == -EPERM || left == -EINVAL;
    std::size_t done = 0;
    for (; left > 0 && static_cast<std::uint64_t>(left) >= ranges[done].iov_len; ++done) {
        left -= static_cast<std::int64_t>(ranges[done].iov_len);
    }
    return done;
#else
    return 0;
#endif
}

}  // namespace

std::size_t advise_all(const iovec* ranges, std::size_t count, int advice, int& error) noexcept {
    for (std::size_t done = 0; done < count;) {
        bool hopeless = false;
        const std::size_t together = advise_together(ranges + done, count - done, advice, hopeless);
        done += together;
        if (together == 0) {
            error = advise(ranges[done].iov_base, ranges[done].iov_len, advice);
            if (error != 0) {
                return done;  // so perhaps the range was to blame
            }
            if (hopeless) {
                advises_together().store(false, std::memory_order_relaxed);
            }
            ++done;
        }
    }
    return count;
}

int protect_none(void* start, std::size_t bytes) noexcept {
    return static_cast<int>(
        checked(call::mprotect, -1, [&] { return ::mprotect(start, bytes, PROT_NONE); }));
}

int in_core(void* start, std::size_t bytes, unsigned char* present) noexcept {
    return static_cast<int>(
        checked(call::mincore, -1, [&] { return ::mincore(start, bytes, present); }));
}

std::size_t page_bytes() noexcept {
    static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return bytes;
}

namespace {

// By way of a pipe, which the kernel refuses to fill from where there is no memory.
int read_memory_by_pipe(const void* from, void* to, std::size_t bytes) noexcept {
    int ends[2];
    if (const int error = pipe(ends, O_CLOEXEC); error < 0) {
        return error;
    }
    std::int64_t count =
        checked(call::write, ends[1], [&] { return ::write(ends[1], from, bytes); });
    if (count > 0) {
        count = checked(call::read, ends[0], [&] { return ::read(ends[0], to, bytes); });
    }
    close(ends[0]);
    close(ends[1]);
    return count < 0                                   ? static_cast<int>(count)
           : static_cast<std::uint64_t>(count) < bytes ? -EFAULT
                                                       : 0;
}

}  // namespace

int read_memory(const void* from, void* to, std::size_t bytes) noexcept {
    const iovec ours{to, bytes};
    const iovec theirs{const_cast<void*>(from), bytes};
    const std::int64_t count = checked(call::process_vm_readv, -1, [&] {
        return ::syscall(SYS_process_vm_readv, ::getpid(), &ours, 1UL, &theirs, 1UL, 0UL);
    });
    if (count < 0 && count != -EFAULT) {
        // Absent (from qemu's emulation of a CPU, say), or refused by a sandbox.
        return read_memory_by_pipe(from, to, bytes);
    }
    return count == static_cast<std::int64_t>(bytes) ? 0 : -EFAULT;
}

int futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
               std::int64_t deadline_ns) noexcept {
    // The kernel's layout for this call, whatever the C library takes for a time.
    const struct {
        long seconds, nanoseconds;
    } deadline = {whole_seconds<long>(std::max<std::int64_t>(deadline_ns, 0)),
                  static_cast<long>(std::max<std::int64_t>(deadline_ns, 0) % ns_per_s)};
    return waited(call::futex, -1, [&] {
        return ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, expected,
                         deadline_ns == INT64_MAX ? nullptr : &deadline, nullptr,
                         FUTEX_BITSET_MATCH_ANY);
    });
}

void nap(std::int64_t ns) noexcept {
    const timespec time = to_timespec(ns);
    ::nanosleep(&time, nullptr);
}

void futex_wake(std::atomic<std::uint32_t>& word) noexcept {
    ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace sys
}  // namespace heddle::detail
