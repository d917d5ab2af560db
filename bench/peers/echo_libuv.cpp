// The question (load.cpp): what does one request cost an echo server?
// This is the answer of libuv at its best: uv_try_write from the read callback, so that an answer
// goes out at once and without a request; a write request is made only for what the socket did
// not take. One buffer serves all connections, because it is free again when the callback returns.
#include "listen.hpp"

#include <uv.h>

#include <array>
#include <cstddef>
#include <memory>

namespace {

void check(int result, const char* what) {
    if (result >= 0)
        return;
    std::fprintf(stderr, "%s: %s\n", what, uv_strerror(result));
    std::exit(1);
}

void close_connection(uv_stream_t* connection) {
    uv_handle_t* const handle = reinterpret_cast<uv_handle_t*>(connection);
    if (!uv_is_closing(handle))
        uv_close(handle, [](uv_handle_t* closed) { delete reinterpret_cast<uv_tcp_t*>(closed); });
}

/// What the socket did not take at once, until it does.
struct rest_of_answer {
    uv_write_t request;
    std::unique_ptr<char[]> data;
};

void write_later(uv_stream_t* connection, const char* data, std::size_t size) {
    auto* const rest = new rest_of_answer{{}, std::make_unique<char[]>(size)};
    std::copy(data, data + size, rest->data.get());
    rest->request.data = rest;
    const uv_buf_t buffer = uv_buf_init(rest->data.get(), static_cast<unsigned>(size));
    const auto written = [](uv_write_t* request, int status) {
        if (status < 0)
            close_connection(request->handle);
        delete static_cast<rest_of_answer*>(request->data);
    };
    if (uv_write(&rest->request, connection, &buffer, 1, written) < 0) {
        delete rest;
        close_connection(connection);
    }
}

void give_buffer(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
    static std::array<char, 64 * 1024> shared;
    *buffer = uv_buf_init(shared.data(), static_cast<unsigned>(shared.size()));
}

void answer(uv_stream_t* connection, ssize_t received, const uv_buf_t* buffer) {
    if (received < 0)
        return close_connection(connection);
    const uv_buf_t reply = uv_buf_init(buffer->base, static_cast<unsigned>(received));
    int sent = received > 0 ? uv_try_write(connection, &reply, 1) : 0;
    if (sent == UV_EAGAIN)
        sent = 0;
    if (sent < 0)
        close_connection(connection);
    else if (sent < received)
        write_later(connection, buffer->base + sent, static_cast<std::size_t>(received - sent));
}

void accept_one(uv_stream_t* listener, int status) {
    if (status < 0)
        return;
    auto* const connection = new uv_tcp_t;
    auto* const stream = reinterpret_cast<uv_stream_t*>(connection);
    check(uv_tcp_init(listener->loop, connection), "uv_tcp_init");
    if (uv_accept(listener, stream) < 0)
        return close_connection(stream);
    check(uv_tcp_nodelay(connection, 1), "uv_tcp_nodelay");
    check(uv_read_start(stream, give_buffer, answer), "uv_read_start");
}

}  // namespace

int main(int argc, char** argv) {
    uv_loop_t* const loop = uv_default_loop();
    uv_tcp_t listener;
    check(uv_tcp_init(loop, &listener), "uv_tcp_init");
    check(uv_tcp_open(&listener, bench::listen_on(argc, argv)), "uv_tcp_open");
    check(uv_listen(reinterpret_cast<uv_stream_t*>(&listener), SOMAXCONN, accept_one), "uv_listen");
    return uv_run(loop, UV_RUN_DEFAULT);
}
