// The door to the operating system.
#include "runtime/base/owning_fd.hpp"
#include "runtime/base/sanitizer.hpp"
#include "runtime/base/system.hpp"
#include "tests/base/door_keeper.hpp"
#include "tests/support/child.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::test {
namespace {

namespace sys = detail::sys;
using detail::owning_fd;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
using std::chrono::operator""ms;
using std::chrono::operator""us;

struct pipe_ends {
    owning_fd reader, writer;

    explicit pipe_ends(int flags = 0) {
        int ends[2] = {};
        REQUIRE(sys::pipe(ends, flags | O_CLOEXEC) == 0);
        reader = owning_fd(ends[0]);
        writer = owning_fd(ends[1]);
    }
};

// A signal that arrives over and over, and interrupts what it finds.
class storm {
public:
    storm() {
        arrived = 0;
        struct sigaction action {};
        action.sa_handler = [](int) { ++arrived; };
        REQUIRE(::sigaction(SIGVTALRM, &action, &old_action_) == 0);  // without SA_RESTART
        target_ = ::pthread_self();
        sender_ = std::thread([this] {
            while (!over_) {
                ::pthread_kill(target_, SIGVTALRM);
                std::this_thread::sleep_for(100us);
            }
        });
    }
    storm(const storm&) = delete;
    storm& operator=(const storm&) = delete;
    ~storm() {
        over_ = true;
        sender_.join();
        ::sigaction(SIGVTALRM, &old_action_, nullptr);
    }

    static inline std::atomic<int> arrived = 0;

private:
    struct sigaction old_action_ {};
    pthread_t target_{};
    std::atomic<bool> over_ = false;
    std::thread sender_;
};

bool pipe_signal_is_pending() {
    sigset_t pending;
    ::sigpending(&pending);
    return ::sigismember(&pending, SIGPIPE) == 1;
}

TEST_CASE("a call that fails says so by a negative error number") {
    char byte = 0;
    CHECK(sys::read(-1, &byte, 1) == -EBADF);
    CHECK(sys::write(-1, &byte, 1) == -EBADF);
    CHECK(sys::recv(-1, &byte, 1, 0) == -EBADF);
    CHECK(sys::close(-1) == -EBADF);
    CHECK(sys::get_flags(-1) == -EBADF);
    CHECK(sys::socket(AF_INET, 12345) < 0);
    const pipe_ends pipe(O_NONBLOCK);
    CHECK(sys::read(pipe.reader.get(), &byte, 1) == -EAGAIN);
    CHECK(sys::send(pipe.writer.get(), &byte, 1, 0) == -ENOTSOCK);
    int error = 1;
    CHECK(sys::map(SIZE_MAX / 16 * 15, error) == nullptr);
    // valgrind refuses such a size by itself.
    CHECK(error == (detail::under_valgrind() ? -EINVAL : -ENOMEM));
}

TEST_CASE("descriptors are made non-blocking and closed on exec") {
    const owning_fd listener(sys::socket(AF_INET, SOCK_STREAM));
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof here;
    auto* const address = reinterpret_cast<sockaddr*>(&here);
    REQUIRE(sys::bind(listener.get(), address, length) == 0);
    REQUIRE(sys::listen(listener.get(), 1) == 0);
    REQUIRE(sys::getsockname(listener.get(), address, &length) == 0);
    const owning_fd client(sys::socket(AF_INET, SOCK_STREAM));
    sys::connect(client.get(), address, length);
    pollfd ready{.fd = listener.get(), .events = POLLIN, .revents = 0};
    REQUIRE(sys::poll(&ready, 1, -1) == 1);
    const owning_fd server(sys::accept4(listener.get(), nullptr, nullptr));
    const owning_fd event(sys::eventfd());
    for (const owning_fd* one : {&listener, &client, &server, &event}) {
        REQUIRE(*one);
        CHECK((sys::get_flags(one->get()) & O_NONBLOCK) != 0);
        CHECK(::fcntl(one->get(), F_GETFD) == FD_CLOEXEC);
    }
    CHECK(::fcntl(owning_fd(sys::epoll_create()).get(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("who stands in the door sees every call, and may fail it") {
    const pipe_ends pipe;
    door_keeper keeper([&](sys::call which, int fd) -> std::int64_t {
        return which == sys::call::write && fd == pipe.writer.get() ? -ENOSPC : 0;
    });
    CHECK(sys::write(pipe.writer.get(), "x", 1) == -ENOSPC);
    CHECK(sys::get_flags(pipe.writer.get()) >= 0);
    CHECK(keeper.count(sys::call::write) == 1);
    CHECK(keeper.count(sys::call::fcntl) == 1);
    keeper.forget();
    CHECK(keeper.count(sys::call::write) == 0);
}

TEST_CASE("who stands in the door may shorten a transfer") {
    const pipe_ends pipe;
    char text[10] = {};
    {
        const door_keeper keeper(answer(sys::call::write, 3));
        CHECK(sys::write(pipe.writer.get(), "abcdef", 6) == 3);
        CHECK(sys::write(pipe.writer.get(), "ghi", 3) == 3);
    }
    const door_keeper keeper(answer(sys::call::read, 2));
    CHECK(sys::read(pipe.reader.get(), text, sizeof text) == 2);
    CHECK(sys::read(pipe.reader.get(), text + 2, 8) == 4);
    CHECK(std::strcmp(text, "abcghi") == 0);
}

TEST_CASE("a call that was interrupted is made again") {
    const pipe_ends pipe;
    const door_keeper keeper(answer(sys::call::write, -EINTR, 5));
    CHECK(sys::write(pipe.writer.get(), "x", 1) == 1);
    CHECK(keeper.count(sys::call::write) == 6);
}

TEST_CASE("a wait that was interrupted counts as one that found nothing") {
    const pipe_ends pipe;
    pollfd wanted{.fd = pipe.reader.get(), .events = POLLIN, .revents = 0};
    const owning_fd epoll(sys::epoll_create());
    epoll_event event{};
    const door_keeper keeper([](sys::call, int) -> std::int64_t { return -EINTR; });
    CHECK(sys::poll(&wanted, 1, -1) == 0);
    CHECK(sys::epoll_wait(epoll.get(), &event, 1, -1) == 0);
    std::atomic<std::uint32_t> word = 0;
    CHECK(sys::futex_wait(word, 0, INT64_MAX) == 0);
}

TEST_CASE("a question that waits for nothing is asked again when it was interrupted") {
    const pipe_ends pipe;
    CHECK(sys::write(pipe.writer.get(), "x", 1) == 1);
    pollfd wanted{.fd = pipe.reader.get(), .events = POLLIN, .revents = 0};
    const door_keeper keeper(answer(sys::call::ppoll, -EINTR, 3));
    CHECK(sys::poll(&wanted, 1, 0) == 1);
    CHECK(keeper.count(sys::call::ppoll) == 4);
}

TEST_CASE("a close that fails frees the number all the same, and is not made again") {
    const std::array<std::pair<int, int>, 2> answers = {{{EIO, -EIO}, {EINTR, 0}}};
    for (const auto& [error, result] : answers) {
        pipe_ends pipe;
        const int fd = pipe.reader.release();
        const door_keeper keeper(answer(sys::call::close, -error));
        CHECK(sys::close(fd) == result);
        CHECK(keeper.count(sys::call::close) == 1);
        CHECK(::fcntl(fd, F_GETFD) == -1);
    }
}

TEST_CASE("address space that cannot be given back gives its memory back") {
    int error = 0;
    const std::size_t page = sys::page_bytes();
    auto* const start = static_cast<char*>(sys::map(page, error));
    REQUIRE(start != nullptr);
    start[0] = 1;
    {
        const door_keeper keeper(answer(sys::call::munmap, -ENOMEM));
        sys::unmap(start, page);
    }
    CHECK(start[0] == 0);
    sys::unmap(start, page);
}

TEST_CASE("numbers of the system are read, or are 0") {
    CHECK(sys::read_number("/proc/sys/vm/max_map_count") >= 1000);
    CHECK(sys::read_number("/proc/there is no such file") == 0);
    CHECK(sys::read_number("/proc/self/status") == 0);
    CHECK(sys::count_links("/proc/self/task") >= 3);
    CHECK(sys::count_links("/proc/there is no such file") == -ENOENT);
    CHECK(sys::if_nametoindex("lo") > 0);
    CHECK(sys::if_nametoindex("no such thing") == -ENODEV);
}

TEST_CASE("signals do not disturb a read or a write that blocks") {
    const storm signals;
    const pipe_ends pipe;
    const std::size_t length = 1 << 18;  // more than a pipe holds
    std::thread reader([&] {
        // Begins to read only after the writer has been interrupted while it was blocked.
        while (storm::arrived < 5) {
            std::this_thread::sleep_for(1ms);
        }
        std::string all(length, '\0');
        std::size_t seen = 0;
        while (seen < length) {
            const std::int64_t count =
                sys::read(pipe.reader.get(), all.data() + seen, length - seen);
            if (count <= 0) {
                break;
            }
            seen += static_cast<std::size_t>(count);
        }
    });
    const std::string bytes(length, 'x');
    std::size_t written = 0;
    while (written < length) {
        const std::int64_t count =
            sys::write(pipe.writer.get(), bytes.data() + written, length - written);
        CHECK(count > 0);
        written += static_cast<std::size_t>(std::max<std::int64_t>(count, 1));
    }
    reader.join();
    CHECK(written == length);
}

TEST_CASE("a signal ends a wait early, without an error") {
    const storm signals;
    const pipe_ends pipe;
    pollfd wanted{.fd = pipe.reader.get(), .events = POLLIN, .revents = 0};
    CHECK(sys::poll(&wanted, 1, -1) == 0);
    const owning_fd epoll(sys::epoll_create());
    epoll_event event{};
    CHECK(sys::epoll_wait(epoll.get(), &event, 1, -1) == 0);
    CHECK(sys::epoll_wait(epoll.get(), &event, 1, 3'600'000'000'000) == 0);
    std::atomic<std::uint32_t> word = 0;
    CHECK(sys::futex_wait(word, 0, INT64_MAX) == 0);
}

TEST_CASE("a wait of more seconds than 32 bits can count lasts until a signal ends it") {
    const storm signals;
    const pipe_ends pipe;
    pollfd wanted{.fd = pipe.reader.get(), .events = POLLIN, .revents = 0};
    const owning_fd epoll(sys::epoll_create());
    epoll_event event{};
    std::atomic<std::uint32_t> word = 0;
    for (const std::int64_t seconds : {std::int64_t{1} << 31, std::int64_t{1} << 32}) {
        CAPTURE(seconds);
        const std::int64_t ns = seconds * 1'000'000'000;
        const int at_first = storm::arrived;
        CHECK(sys::poll(&wanted, 1, ns) == 0);
        const int after_poll = storm::arrived;
        CHECK(after_poll > at_first);
        CHECK(sys::epoll_wait(epoll.get(), &event, 1, ns) == 0);
        CHECK(storm::arrived > after_poll);
        CHECK(sys::futex_wait(word, 0, ns) == 0);
    }
}

TEST_CASE("writing to a broken pipe is an error and no signal") {
    const child_result child = run_child([] {
        ::signal(SIGPIPE, SIG_DFL);
        int ends[2] = {};
        sys::pipe(ends, 0);
        sys::close(ends[0]);
        const std::int64_t first = sys::write(ends[1], "x", 1);
        std::printf("%s, %s", first == -EPIPE ? "EPIPE" : "no error",
                    pipe_signal_is_pending() ? "pending" : "none pending");
    });
    CHECK(child.exit_status == 0);
    CHECK(child.output == "EPIPE, none pending");
}

TEST_CASE("a SIGPIPE that was pending before stays pending, and a blocked one stays blocked") {
    const child_result child = run_child([] {
        ::signal(SIGPIPE, SIG_DFL);
        sigset_t pipe_signal;
        sigset_t mask;
        ::sigemptyset(&pipe_signal);
        ::sigaddset(&pipe_signal, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
        int ends[2] = {};
        sys::pipe(ends, 0);
        sys::close(ends[0]);
        const bool failed = sys::write(ends[1], "x", 1) == -EPIPE;
        const bool quiet = !pipe_signal_is_pending();
        ::pthread_kill(::pthread_self(), SIGPIPE);
        const bool failed_again = sys::write(ends[1], "x", 1) == -EPIPE;
        const bool kept = pipe_signal_is_pending();
        ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        std::printf("%d %d %d %d %d", failed, quiet, failed_again, kept,
                    ::sigismember(&mask, SIGPIPE));
    });
    CHECK(child.exit_status == 0);
    CHECK(child.output == "1 1 1 1 1");
}

TEST_CASE("sending to a closed socket is an error and no signal") {
    const child_result child = run_child([] {
        ::signal(SIGPIPE, SIG_DFL);
        int ends[2] = {};
        ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
        sys::close(ends[0]);
        std::printf("%d", sys::send(ends[1], "x", 1, 0) == -EPIPE);
    });
    CHECK(child.exit_status == 0);
    CHECK(child.output == "1");
}

TEST_CASE("signalling an eventfd makes it readable and leaves errno alone") {
    const owning_fd event(sys::eventfd());
    errno = EDOM;
    sys::signal_eventfd(event.get());
    sys::signal_eventfd(event.get());
    std::uint64_t count = 0;
    CHECK(sys::read(event.get(), &count, sizeof count) == sizeof count);
    CHECK(count == 2);
    const std::uint64_t full = UINT64_MAX - 1;
    REQUIRE(sys::write(event.get(), &full, sizeof full) == sizeof full);
    errno = EDOM;
    sys::signal_eventfd(event.get());
    CHECK(errno == EDOM);
}

TEST_CASE("waiting for descriptors never ends early") {
    const owning_fd epoll(sys::epoll_create());
    epoll_event event{};
    for (const nanoseconds timeout : {nanoseconds(1), nanoseconds(300us), nanoseconds(2ms)}) {
        CAPTURE(timeout.count());
        auto begin = steady_clock::now();
        CHECK(sys::poll(nullptr, 0, timeout.count()) == 0);
        CHECK(steady_clock::now() - begin >= timeout);
        begin = steady_clock::now();
        CHECK(sys::epoll_wait(epoll.get(), &event, 1, timeout.count()) == 0);
        CHECK(steady_clock::now() - begin >= timeout);
    }
}

// In a child, because the door remembers that the call is absent.
void check_without_pwait2(std::int64_t verdict) {
    const child_result child = run_child([=] {
        const owning_fd epoll(sys::epoll_create());
        epoll_event event{};
        sys::epoll_wait(epoll.get(), &event, 1, 1);
        const door_keeper keeper([=](sys::call which, int) -> std::int64_t {
            return which == sys::call::epoll_pwait2 ? verdict : 0;
        });
        for (const nanoseconds timeout : {nanoseconds(1), nanoseconds(300us), nanoseconds(2ms)}) {
            const auto begin = steady_clock::now();
            const int count = sys::epoll_wait(epoll.get(), &event, 1, timeout.count());
            const bool early = steady_clock::now() - begin < timeout;
            std::printf("%d%s ", count, early ? " early" : "");
        }
        std::printf("%d+%d", keeper.count(sys::call::epoll_pwait2),
                    keeper.count(sys::call::epoll_wait));
    });
    // Where the system has none (valgrind 3.19, qemu 7.2), the door knows from the first wait.
    const bool there =
        ::syscall(SYS_epoll_pwait2, -1, nullptr, 0, nullptr, nullptr, 0) < 0 && errno != ENOSYS;
    CHECK(child.output == (there ? "0 0 0 1+3" : "0 0 0 0+3"));
}

TEST_CASE("where epoll_pwait2 is absent or forbidden, waiting still never ends early") {
    check_without_pwait2(-ENOSYS);
    check_without_pwait2(-EPERM);
}

std::int64_t now_ns() {
    return nanoseconds(steady_clock::now().time_since_epoch()).count();
}

TEST_CASE("a futex sleeps only while its word is as expected, and never wakes before its time") {
    std::atomic<std::uint32_t> word = 1;
    CHECK(sys::futex_wait(word, 0, INT64_MAX) == -EAGAIN);
    CHECK(sys::futex_wait(word, 1, 0) == -ETIMEDOUT);
    CHECK(sys::futex_wait(word, 1, -5) == -ETIMEDOUT);
    const std::int64_t deadline = now_ns() + 2'000'000;
    int result = 0;
    while ((result = sys::futex_wait(word, 1, deadline)) == 0) {
        // A signal or nothing in particular.
    }
    CHECK(result == -ETIMEDOUT);
    CHECK(now_ns() >= deadline);
}

TEST_CASE("waking a futex wakes a sleeper") {
    std::atomic<std::uint32_t> word = 0;
    std::thread sleeper([&] {
        while (word == 0) {
            sys::futex_wait(word, 0, INT64_MAX);
        }
    });
    word = 1;
    sys::futex_wake(word);
    sleeper.join();
    sys::futex_wake(word);  // nobody is there
}

TEST_CASE("mapped memory can be written, protected and given back") {
    int error = 1;
    const std::size_t page = sys::page_bytes();
    CHECK(page >= 4096);
    auto* const start = static_cast<char*>(sys::map(4 * page, error));
    REQUIRE(start != nullptr);
    CHECK(error == 0);
    CHECK(start[0] == 0);
    start[4 * page - 1] = 1;
    CHECK(sys::protect_none(start, page) == 0);
    CHECK(sys::advise(start + page + 1, page, MADV_NORMAL) == -EINVAL);
    const pipe_ends pipe;
    const bool may_ask = !detail::under_valgrind();  // which reports whatever writes from no memory
    CHECK((!may_ask || sys::write(pipe.writer.get(), start, 1) == -EFAULT));
    CHECK(sys::write(pipe.writer.get(), start + page, 1) == 1);
    sys::unmap(start, 4 * page);
    CHECK((!may_ask || sys::write(pipe.writer.get(), start + page, 1) == -EFAULT));
    const door_keeper keeper(answer(sys::call::mmap, -ENOMEM));
    CHECK(sys::map(page, error) == nullptr);
    CHECK(error == -ENOMEM);
}

TEST_CASE("memory is copied from where there is some, and not from where there is none") {
    for (const bool by_pipe : {false, true}) {
        if (by_pipe && detail::under_valgrind()) {
            continue;  // which reports whatever writes from no memory
        }
        CAPTURE(by_pipe);
        const door_keeper keeper([=](sys::call asked, int) -> std::int64_t {
            return by_pipe && asked == sys::call::process_vm_readv ? -ENOSYS : 0;
        });
        const std::size_t page = sys::page_bytes();
        int error = 0;
        auto* const start = static_cast<char*>(sys::map(2 * page, error));
        REQUIRE(start != nullptr);
        std::memcpy(start + page - 4, "text", 4);
        char copy[4] = {};
        CHECK(sys::read_memory(start + page - 4, copy, sizeof copy) == 0);
        CHECK(std::string(copy, sizeof copy) == "text");
        sys::protect_none(start + page, page);
        CHECK(sys::read_memory(start + page, copy, sizeof copy) == -EFAULT);
        CHECK(sys::read_memory(start + page - 2, copy, sizeof copy) == -EFAULT);
        CHECK(sys::read_memory(nullptr, copy, sizeof copy) == -EFAULT);
        sys::unmap(start, 2 * page);
    }
    const door_keeper keeper([=](sys::call asked, int) -> std::int64_t {
        return asked == sys::call::process_vm_readv ? -EPERM
               : asked == sys::call::pipe2          ? -EMFILE
                                                    : 0;
    });
    char copy[4];
    CHECK(sys::read_memory("text", copy, sizeof copy) == -EMFILE);
}

TEST_CASE("advice about several ranges reaches each, up to the first that it cannot be about") {
    const std::size_t page = sys::page_bytes();
    constexpr std::size_t pages = 12;
    for (const bool together : {true, false}) {
        CAPTURE(together);
        const door_keeper keeper([=](sys::call asked, int) -> std::int64_t {
            return asked == sys::call::process_madvise && !together ? -ENOMEM : 0;
        });
        int error = 0;
        auto* const start = static_cast<char*>(sys::map(pages * page, error));
        REQUIRE(start != nullptr);
        const auto advise = [&](std::initializer_list<std::size_t> places) {
            std::vector<iovec> ranges;
            for (const std::size_t place : places) {
                ranges.push_back({start + place * page, page});
            }
            std::memset(start, 1, pages * page);
            return sys::advise_all(ranges.data(), ranges.size(), MADV_DONTNEED, error);
        };
        const auto contents = [&] {
            std::string list;
            for (std::size_t i = 0; i < pages; ++i) {
                list += start[i * page] == 0 ? '0' : '1';
            }
            return list;
        };
        CHECK(advise({}) == 0);
        CHECK(advise({4}) == 1);
        CHECK(contents() == "111101111111");
        CHECK(advise({0, 2, 3, 9}) == 4);
        CHECK(contents() == "010011111011");
        CHECK(error == 0);
        // The third does not begin with a page.
        const iovec odd[] = {
            {start, page}, {start + 2 * page, page}, {start + 1, page}, {start + 4 * page, page}};
        std::memset(start, 1, pages * page);
        CHECK(sys::advise_all(odd, 4, MADV_DONTNEED, error) == 2);
        CHECK(error == -EINVAL);
        CHECK(contents() == "010111111111");
        sys::unmap(start, pages * page);
    }
}

}  // namespace
}  // namespace heddle::test
