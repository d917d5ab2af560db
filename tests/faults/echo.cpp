#include "tests/faults/echo.hpp"

#include <heddle/heddle.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace heddle::test {

void first_error::note(const std::exception_ptr& exception, const char* who) noexcept {
    if (kind_ != kinds::none) {
        return;
    }
    who_ = who;
    const auto keep = [this](kinds kind, const char* text) {
        kind_ = kind;
        what_[std::string_view(text).copy(what_, sizeof what_ - 1)] = '\0';
    };
    try {
        std::rethrow_exception(exception);
    } catch (const std::system_error& error) {
        code_ = error.code();
        keep(kinds::system_error, error.what());
    } catch (const std::bad_alloc& error) {
        keep(kinds::bad_alloc, error.what());
    } catch (const std::invalid_argument& error) {
        keep(kinds::invalid_argument, error.what());
    } catch (const std::exception& error) {
        keep(kinds::other, error.what());
    } catch (...) {
        keep(kinds::other, "not a std::exception");
    }
}

namespace {

using namespace std::chrono_literals;

constexpr std::size_t connections = 3;
constexpr std::size_t payload_bytes = 48 * 1024;
constexpr int socket_buffer_bytes = 8 * 1024;  // less than the payload, so that writers wait

// A pipe of the program's own, not of heddle's.
class plain_pipe {
public:
    plain_pipe() {
        if (::pipe2(ends_, O_CLOEXEC) != 0) {
            throw std::logic_error("the test has no pipe");
        }
    }
    plain_pipe(const plain_pipe&) = delete;
    plain_pipe& operator=(const plain_pipe&) = delete;
    ~plain_pipe() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    int reading() const { return ends_[0]; }
    int writing() const { return ends_[1]; }

private:
    int ends_[2] = {-1, -1};
};

void shrink_buffers(int fd) {
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &socket_buffer_bytes, sizeof socket_buffer_bytes);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &socket_buffer_bytes, sizeof socket_buffer_bytes);
}

void require(bool holds, const char* fact) {
    if (!holds) {
        throw std::logic_error(fact);
    }
}

// Other errors than the passed deadline are thrown.
template <class F>
void require_timeout(F f) {
    std::error_code ec;
    f(ec);
    require(static_cast<bool>(ec), "a deadline did not hold");
    if (ec != std::errc::timed_out) {
        throw std::system_error(ec, "heddle did not say more");
    }
}

class echo_program {
public:
    void run() noexcept {
        running = this;
        try {
            heddle::run([this] { main(); },
                        {.stack_bytes = 64 * 1024, .on_detached_exception = on_detached});
        } catch (...) {
            error_.note(std::current_exception(), "run");
        }
        running = nullptr;
    }

    const first_error& error() const { return error_; }

private:
    void main() {
        listener_ = tcp_listener(address("127.0.0.1", 0), {.reuse_port = true});
        ::setsockopt(listener_.native_handle(), SOL_SOCKET, SO_RCVBUF, &socket_buffer_bytes,
                     sizeof socket_buffer_bytes);
        at_ = listener_.local_address();
        require(address::parse("[fe80::1%lo]:80").port() == 80, "an address was misread");
        payload_.assign(payload_bytes, '.');
        for (std::size_t i = 0; i < payload_.size(); ++i) {
            payload_[i] = static_cast<char>('!' + i * 31 % 93);
        }
        // Joined before it has started, and so run at once, if it gets a stack.
        require(fiber<int>({.stack_bytes = 48 * 1024}, [] { return 7; }).join() == 7,
                "a fiber gave another value");
        start("acceptor", &echo_program::accept_all);
        for (std::size_t i = 0; i < connections; ++i) {
            start("client", &echo_program::talk);
        }
        start("pipes", &echo_program::use_pipes);
        start("waits", &echo_program::wait_in_vain);
        for (fiber<>& one : members_) {
            look_after(one);
        }
        for (fiber<>& one : members_) {
            join(one, deadline::never());
        }
        listener_.close();
        look_around();
    }

    void start(const char* name, void (echo_program::*part)()) {
        // Two sizes of stack, so that there are two reservations.
        const std::size_t bytes = count_ % 2 == 0 ? 32 * 1024 : 0;
        members_[count_++] = fiber<>({.name = name, .stack_bytes = bytes}, [this, name, part] {
            guarded(name, [&] { (this->*part)(); });
        });
    }

    // Whoever fails says so and stops all others, who may wait for him.
    template <class F>
    void guarded(const char* who, F f) {
        try {
            f();
        } catch (const cancelled&) {
            // Somebody else has failed.
        } catch (...) {
            fail(std::current_exception(), who);
        }
    }

    void fail(const std::exception_ptr& exception, const char* who) noexcept {
        error_.note(exception, who);
        for (fiber<>& one : members_) {
            one.request_stop();
        }
        inner_.request_stop();
    }

    void join(fiber<>& one, deadline until) {
        try {
            if (one.joinable()) {
                one.join(until);
            }
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::timed_out) {
                fail(std::current_exception(), "join");
            }
        } catch (...) {
            fail(std::current_exception(), "join");
        }
    }

    // A fiber that gets no stack has ended when it has had its turn; others would wait for what it
    // was to do.
    void look_after(fiber<>& one) {
        this_fiber::yield();
        join(one, deadline(0ns));
    }

    static void on_detached(fiber_id, std::exception_ptr exception) {
        running->fail(exception, "server");
    }

    void accept_all() {
        for (std::size_t i = 0; i < connections; ++i) {
            spawn_detached({.name = "server"}, serve, listener_.accept());
        }
    }

    static void serve(tcp_stream peer) {
        shrink_buffers(peer.native_handle());
        peer.set_no_delay(true);
        char bytes[4096];
        while (const std::size_t count = peer.read(bytes)) {
            peer.write_all(std::string_view(bytes, count));
        }
        peer.shutdown_write();
    }

    void talk() {
        const bool by_name = talkers_++ == 1;
        tcp_stream server =
            by_name ? tcp_stream::connect("localhost", at_.port()) : tcp_stream::connect(at_, 10s);
        shrink_buffers(server.native_handle());
        server.set_no_delay(true);
        require(server.remote_address() == at_, "the peer is somebody else");
        char byte[1];
        require_timeout([&](auto& ec) { server.read(byte, deadline(0ns), ec); });
        if (by_name) {
            require_timeout([&](auto& ec) { server.read(byte, 100us, ec); });
            server.write_all(std::string_view("?"));
            server.read_exactly(byte, 10s);
            require(byte[0] == '?', "one byte came back as another");
            return;
        }
        fiber<> writer({.name = "writer"}, [&] {
            guarded("writer", [&] {
                server.write_all(payload_);
                server.shutdown_write();
            });
        });
        std::string echoed(payload_.size(), '\0');
        const auto receive = [&] {
            std::size_t seen = server.read(echoed);
            while (seen < echoed.size()) {
                const std::size_t count = server.read(std::span(echoed).subspan(seen));
                require(count > 0, "the stream ended early");
                seen += count;
            }
            require(server.read(byte) == 0, "the stream did not end");
        };
        look_after(writer);
        try {
            receive();
        } catch (...) {
            writer.request_stop();
            join(writer, deadline::never());
            throw;
        }
        join(writer, deadline::never());
        require(echoed == payload_, "other bytes came back");
    }

    void use_pipes() {
        const plain_pipe pipe;
        inner_ = fiber<>({.name = "pipe writer"}, [&] {
            guarded("pipe writer", [&] {
                heddle::write_all(pipe.writing(), std::string_view(payload_).substr(0, 3000));
            });
        });
        look_after(inner_);
        try {
            heddle::wait_readable(pipe.reading());
            char bytes[4096];
            for (std::size_t seen = 0; seen < 3000;) {
                seen += heddle::read(pipe.reading(), bytes);
            }
        } catch (...) {
            inner_.request_stop();
            join(inner_, deadline::never());
            throw;
        }
        join(inner_, deadline::never());
    }

    // A deadline and a cancellation of waits for what does not come.
    void wait_in_vain() {
        const plain_pipe pipe;
        char bytes[16];
        try {
            heddle::read(pipe.reading(), bytes, 50us);
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::timed_out) {
                throw;
            }
        }
        fiber<> waiting(
            [&] { guarded("waiting", [&] { heddle::wait_readable(pipe.reading()); }); });
        fiber<> accepting([&] {
            guarded("accepting", [&] {
                tcp_listener quiet(address("127.0.0.1", 0));
                quiet.accept();
            });
        });
        this_fiber::yield();
        for (fiber<>* const one : {&waiting, &accepting}) {
            one->request_stop();
            join(*one, deadline::never());
        }
    }

    void look_around() {
        std::FILE* const nowhere = std::fopen("/dev/null", "we");
        heddle::dump(nowhere);
        std::fclose(nowhere);
        require(get_statistics().stacks_in_use > 0, "nobody runs");
        trim();
    }

    static inline echo_program* running = nullptr;

    first_error error_;
    tcp_listener listener_;
    address at_;
    std::string payload_;
    std::array<fiber<>, connections + 3> members_;
    fiber<> inner_;
    std::size_t count_ = 0;
    std::size_t talkers_ = 0;
};

}  // namespace

first_error run_echo_program() noexcept {
    echo_program program;
    program.run();
    return program.error();
}

}  // namespace heddle::test
