// The question (load.cpp): what does one request cost an echo server?
// This is the answer of Asio with callbacks, at its best: told that there is one thread, so that
// it takes no locks. Each read is tried before it is waited for, which costs a system call where
// the next request is not there yet. Waiting first (async_wait) would cost one more always, since
// Asio then arms the descriptor anew.
#include "listen.hpp"

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <utility>

namespace {

using asio::ip::tcp;

/// One connection. Every handler holds a share in it, so it lives as long as one is pending.
class session : public std::enable_shared_from_this<session> {
public:
    explicit session(tcp::socket socket) : socket_(std::move(socket)) {}

    void read() {
        socket_.async_read_some(
            asio::buffer(buffer_),
            [self = shared_from_this()](const asio::error_code& error, std::size_t size) {
                if (!error)
                    self->write(size);
            });
    }

private:
    void write(std::size_t size) {
        asio::async_write(socket_, asio::buffer(buffer_, size),
                          [self = shared_from_this()](const asio::error_code& error, std::size_t) {
                              if (!error)
                                  self->read();
                          });
    }

    tcp::socket socket_;
    std::array<char, 16 * 1024> buffer_;
};

void accept_next(tcp::acceptor& acceptor) {
    acceptor.async_accept([&acceptor](const asio::error_code& error, tcp::socket socket) {
        if (!error) {
            socket.set_option(tcp::no_delay(true));
            std::make_shared<session>(std::move(socket))->read();
        }
        accept_next(acceptor);
    });
}

}  // namespace

int main(int argc, char** argv) {
    asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
    tcp::acceptor acceptor(context, tcp::v4(), bench::listen_on(argc, argv));
    accept_next(acceptor);
    context.run();
}
