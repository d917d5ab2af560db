#include "tests/io/calls.hpp"

#include "tests/support/in_fiber.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <array>
#include <memory>

namespace heddle::test {
namespace {

// Fits into every buffer that was emptied, and is more than one step where a test makes it so.
constexpr std::size_t payload_bytes = 1000;

// The scenes of calls that read a stream. `F` is called with the stream, a buffer of the call's
// own, since a reactor may fill it until the call has ended, and the further arguments of the call.
template <class F>
waiting_call reading_a_stream(const char* name, F f) {
    struct scene {
        connection ends = connect_pair();
    };
    auto s = std::make_shared<scene>();
    return {.name = name,
            .throwing =
                [s, f](deadline until) {
                    std::array<char, payload_bytes> buffer;
                    f(s->ends.here, buffer, until);
                },
            .reporting =
                [s, f](deadline until, std::error_code& ec) {
                    std::array<char, payload_bytes> buffer;
                    f(s->ends.here, buffer, until, ec);
                },
            .make_ready =
                [s] {
                    put(s->ends.there.get(), pattern(payload_bytes));
                    await_readable(s->ends.here.native_handle());
                },
            .close = [s] { s->ends.here.close(); }};
}

// The system finds room for a few more bytes in a full socket now and then, when it probes whether
// the peer reads. Such a write succeeds too early and is made again.
template <class F>
waiting_call writing_a_stream(const char* name, F f) {
    struct scene {
        connection ends = connect_pair();
        std::string bytes = pattern(payload_bytes);
        bool ready = false;
        scene() {
            shrink_buffers(ends.here.native_handle());
            fill(ends.here.native_handle());
        }
    };
    auto s = std::make_shared<scene>();
    return {.name = name,
            .throwing =
                [s, f](deadline until) {
                    do {
                        f(s->ends.here, s->bytes, until);
                    } while (!s->ready);
                },
            .reporting =
                [s, f](deadline until, std::error_code& ec) {
                    do {
                        f(s->ends.here, s->bytes, until, ec);
                    } while (!s->ready && !ec);
                },
            .make_ready =
                [s] {
                    s->ready = true;
                    drain(s->ends.there.get(), s->ends.here.native_handle());
                },
            .close = [s] { s->ends.here.close(); }};
}

template <class F>
waiting_call reading_a_pipe(const char* name, int flags, F f) {
    struct scene {
        pipe_ends ends;
    };
    auto s = std::make_shared<scene>(scene{.ends = make_pipe(flags)});
    return {.name = name,
            .throwing =
                [s, f](deadline until) {
                    std::array<std::byte, payload_bytes> buffer;
                    f(s->ends.reading.get(), buffer, until);
                },
            .reporting =
                [s, f](deadline until, std::error_code& ec) {
                    std::array<std::byte, payload_bytes> buffer;
                    f(s->ends.reading.get(), buffer, until, ec);
                },
            .make_ready = [s] { put(s->ends.writing.get(), pattern(payload_bytes)); },
            .close = {}};
}

template <class F>
waiting_call writing_a_pipe(const char* name, int flags, F f) {
    struct scene {
        pipe_ends ends;
        std::string bytes = pattern(payload_bytes);
    };
    auto s = std::make_shared<scene>(scene{.ends = make_pipe(flags)});
    fill(s->ends.writing.get());
    return {
        .name = name,
        .throwing = [s, f](deadline until) { f(s->ends.writing.get(), s->bytes, until); },
        .reporting = [s, f](deadline until,
                            std::error_code& ec) { f(s->ends.writing.get(), s->bytes, until, ec); },
        .make_ready = [s] { drain(s->ends.reading.get(), s->ends.writing.get()); },
        .close = {}};
}

waiting_call accepting() {
    struct scene {
        tcp_listener listener{any_port()};
        owning_fd peer;
    };
    auto s = std::make_shared<scene>();
    return {
        .name = "tcp_listener::accept",
        .throwing = [s](deadline until) { s->listener.accept(until); },
        .reporting = [s](deadline until, std::error_code& ec) { s->listener.accept(until, ec); },
        .make_ready =
            [s] {
                s->peer = connect_plainly(s->listener.local_address());
                await_readable(s->listener.native_handle());
            },
        .close = [s] { s->listener.close(); }};
}

// The calls under test, each with the arguments that a scene hands on.
constexpr auto read_stream = [](tcp_stream& stream, auto& buffer, auto&&... rest) {
    stream.read(buffer, rest...);
};
constexpr auto read_stream_exactly = [](tcp_stream& stream, auto& buffer, auto&&... rest) {
    stream.read_exactly(buffer, rest...);
};
constexpr auto write_stream = [](tcp_stream& stream, auto& bytes, auto&&... rest) {
    stream.write(bytes, rest...);
};
constexpr auto write_stream_all = [](tcp_stream& stream, auto& bytes, auto&&... rest) {
    stream.write_all(bytes, rest...);
};
constexpr auto wait_to_read = [](int fd, auto&, auto&&... rest) { wait_readable(fd, rest...); };
constexpr auto wait_to_write = [](int fd, auto&, auto&&... rest) { wait_writable(fd, rest...); };
constexpr auto read_fd = [](int fd, auto& buffer, auto&&... rest) { read(fd, buffer, rest...); };
constexpr auto write_fd = [](int fd, auto& bytes, auto&&... rest) { write(fd, bytes, rest...); };
constexpr auto write_fd_all = [](int fd, auto& bytes, auto&&... rest) {
    write_all(fd, bytes, rest...);
};

const std::function<waiting_call()> scenes[] = {
    [] { return reading_a_stream("tcp_stream::read", read_stream); },
    [] { return reading_a_stream("tcp_stream::read_exactly", read_stream_exactly); },
    [] { return writing_a_stream("tcp_stream::write", write_stream); },
    [] { return writing_a_stream("tcp_stream::write_all", write_stream_all); },
    [] { return accepting(); },
    [] { return reading_a_pipe("wait_readable", 0, wait_to_read); },
    [] { return writing_a_pipe("wait_writable", 0, wait_to_write); },
    [] { return reading_a_pipe("read, blocking pipe", 0, read_fd); },
    [] { return reading_a_pipe("read, non-blocking pipe", O_NONBLOCK, read_fd); },
    [] { return writing_a_pipe("write, blocking pipe", 0, write_fd); },
    [] { return writing_a_pipe("write, non-blocking pipe", O_NONBLOCK, write_fd); },
    [] { return writing_a_pipe("write_all, blocking pipe", 0, write_fd_all); },
    [] { return writing_a_pipe("write_all, non-blocking pipe", O_NONBLOCK, write_fd_all); },
};

}  // namespace

outcome waiting_call::operator()(form how, deadline until) const {
    if (how == form::throwing) {
        return outcome_of([&] { throwing(until); });
    }
    std::error_code ec = std::make_error_code(std::errc::io_error);
    return outcome_of([&] {
        reporting(until, ec);
        if (ec) {
            throw std::system_error(ec);
        }
    });
}

void for_each_waiting_call(const std::function<void(const waiting_call&, form)>& test) {
    for (const auto& make_scene : scenes) {
        for (const form how : {form::throwing, form::reporting}) {
            in_fiber([&] {
                const waiting_call call = make_scene();
                const std::string name =
                    std::string(call.name) + (how == form::throwing ? "" : " with error_code");
                CAPTURE(name);
                test(call, how);
            });
        }
    }
}

}  // namespace heddle::test
