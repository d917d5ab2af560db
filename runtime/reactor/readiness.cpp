#include "runtime/reactor/readiness.hpp"

#include "runtime/base/system.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <new>

namespace heddle::detail {

namespace {

// After one of these a short count proves nothing: data and the end of the stream can come in one
// report, and waiting for another would be for ever. (Urgent data likewise cuts reads short.)
constexpr readiness doubtful = POLLRDHUP | POLLHUP | POLLERR | POLLPRI;

constexpr readiness wakes_readers = POLLIN | POLLRDHUP | POLLHUP | POLLERR | POLLPRI;
constexpr readiness wakes_writers = POLLOUT | POLLHUP | POLLERR;

// Asks the system now, without waiting.
std::int64_t check_readiness(int fd, bool reading) noexcept {
    const auto events = static_cast<short>(reading ? POLLIN : POLLOUT);
    pollfd question{.fd = fd, .events = events, .revents = 0};
    const int count = sys::poll(&question, 1, 0);
    if (count < 0) {
        return count;
    }
    if ((question.revents & POLLNVAL) != 0) {
        return -EBADF;
    }
    return question.revents != 0 ? 0 : -EAGAIN;
}

// A raw descriptor may be in blocking mode. Sockets can be asked not to block call by call. For
// the rest a blocking one is read only when ready, and written in pieces that a ready pipe takes
// without blocking (pipe(7): at least PIPE_BUF bytes).
std::int64_t transfer_raw(const operation& what) noexcept {
    const int fd = what.handle.fd;
    const bool reading = what.kind == operation_kind::read;
    const std::int64_t as_socket = reading
                                       ? sys::recv(fd, what.buffer, what.length, MSG_DONTWAIT)
                                       : sys::send(fd, what.buffer, what.length, MSG_DONTWAIT);
    if (as_socket != -ENOTSOCK) {
        return as_socket;
    }
    const int flags = sys::get_flags(fd);
    if (flags < 0) {
        return flags;
    }
    std::size_t length = what.length;
    if ((flags & O_NONBLOCK) == 0) {
        const std::int64_t ready = check_readiness(fd, reading);
        if (ready < 0) {
            return ready;
        }
        length = std::min<std::size_t>(length, reading ? length : PIPE_BUF);
    }
    return reading ? sys::read(fd, what.buffer, length) : sys::write(fd, what.buffer, length);
}

std::int64_t try_connect(operation& what) noexcept {
    if (!what.connecting) {
        const int result =
            sys::connect(what.handle.fd, what.address, static_cast<socklen_t>(what.length));
        if (result != -EINPROGRESS) {
            return result;
        }
        what.connecting = true;
        return -EAGAIN;
    }
    const std::int64_t ready = check_readiness(what.handle.fd, false);
    if (ready < 0) {
        return ready;
    }
    int error = 0;
    const int result = sys::getsockopt(what.handle.fd, SOL_SOCKET, SO_ERROR, error);
    return result < 0 ? result : -error;
}

std::int64_t try_once(operation& what) noexcept {
    const int fd = what.handle.fd;
    switch (what.kind) {
    case operation_kind::wait_readable:
    case operation_kind::wait_writable:
        return check_readiness(fd, reads(what.kind));
    case operation_kind::accept:
        return sys::accept4(fd, nullptr, nullptr);
    case operation_kind::connect:
        return try_connect(what);
    case operation_kind::receive:
        return sys::recv(fd, what.buffer, what.length, MSG_DONTWAIT);
    case operation_kind::send:
        return sys::send(fd, what.buffer, what.length, MSG_DONTWAIT);
    case operation_kind::read:
    case operation_kind::write:
        return transfer_raw(what);
    }
    return -EINVAL;
}

}  // namespace

descriptor_record* readiness_reactor::find(int fd) noexcept {
    const auto index = static_cast<std::size_t>(fd) / page_records;
    if (index >= pages_.size() || pages_[index] == nullptr) {
        try {
            if (index >= pages_.size()) {
                pages_.resize(index + 1);
            }
            pages_[index] = std::make_unique<page>();
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
    }
    return &(*pages_[index])[static_cast<std::size_t>(fd) % page_records];
}

readiness readiness_reactor::wanted(descriptor_record& record) noexcept {
    return (record.readers.empty() ? 0U : readiness{POLLIN} | POLLRDHUP) |
           (record.writers.empty() ? 0U : readiness{POLLOUT});
}

std::int64_t readiness_reactor::attempt(operation& what, descriptor_record& record) noexcept {
    const std::int64_t result = try_once(what);
    const bool reading = reads(what.kind);
    if (result == -EAGAIN) {
        record.may(reading) = false;
    } else if (what.kind == operation_kind::receive && result > 0 &&
               static_cast<std::size_t>(result) < what.length && record.short_receive_drains) {
        record.may_read = false;
    }
    return result;
}

bool readiness_reactor::submit(operation& what, bool may_wait) noexcept {
    const int fd = what.handle.fd;
    if (fd < 0) {
        what.result = -EBADF;
        return true;
    }
    descriptor_record* const record = find(fd);
    if (record == nullptr) {
        what.result = -ENOMEM;
        return true;
    }
    const bool reading = reads(what.kind);
    if (what.handle.id != 0 && what.handle.id < record->id) {
        what.result = -EBADF;  // ids grow: the number belongs to a younger descriptor
        return true;
    }
    if (what.handle.id != record->id && what.handle.id != 0) {
        // First use here. Whoever had the number before has closed it, heard or unheard.
        fail_all(*record, -ECANCELED);
        forget(fd, *record);
        record->id = what.handle.id;
        record->short_receive_drains = what.traits.short_receive_drains;
        record->may_read = record->may_write = true;
        record->attached = false;
    }
    auto& queue = record->queue(reading);
    const bool owned = record->id != 0 && record->attached;
    const bool is_wait = what.kind == operation_kind::wait_readable ||
                         what.kind == operation_kind::wait_writable;
    // A raw wait is not tried: its caller has just seen EAGAIN as a rule. Everything else is,
    // unless others are before it or nothing can have changed since the last attempt.
    const bool worth_trying = owned || what.handle.id != 0 ? record->may(reading) : !is_wait;
    if (!may_wait || (queue.empty() && worth_trying)) {
        what.result = attempt(what, *record);
        if (what.result != -EAGAIN || !may_wait) {
            return true;
        }
    }
    if (what.handle.id != 0 && !record->attached) {
        if (const int error = attach(fd, *record); error < 0) {
            what.result = error;
            return true;
        }
        record->attached = true;
    }
    queue.push_back(what);
    own(what);
    if (const int error = watch(fd, *record); error < 0) {
        intrusive_list<operation>::remove(what);
        disown(what);
        what.result = error == -EPERM ? (is_wait ? 0 : try_once(what)) : error;
        return true;
    }
    return false;
}

void readiness_reactor::cancel(operation& what) noexcept {
    if (!what.pending) {
        return;
    }
    intrusive_list<operation>::remove(what);
    descriptor_record& record = *find(what.handle.fd);
    watch(what.handle.fd, record);
    finish(what, -ECANCELED);
}

void readiness_reactor::detach(descriptor_handle handle) noexcept {
    if (handle.fd < 0) {
        return;
    }
    descriptor_record* const record = find(handle.fd);
    if (record == nullptr || record->id != handle.id) {
        return;
    }
    forget(handle.fd, *record);
    record->id = 0;
    record->attached = false;
    record->may_read = record->may_write = true;
    fail_all(*record, -ECANCELED);
}

void readiness_reactor::fail_all(descriptor_record& record, std::int64_t result) noexcept {
    for (auto* queue : {&record.readers, &record.writers}) {
        queue->for_each([&](operation& what) {
            intrusive_list<operation>::remove(what);
            finish(what, result);
        });
    }
}

bool readiness_reactor::report(int fd, std::uint32_t registration, readiness what) noexcept {
    descriptor_record* const record = find(fd);
    if (record == nullptr || record->registration != registration) {
        return false;
    }
    if ((what & POLLNVAL) != 0) {
        fail_all(*record, -EBADF);
        return true;
    }
    if ((what & doubtful) != 0) {
        record->short_receive_drains = false;
    }
    if ((what & wakes_readers) != 0) {
        serve(*record, true);
    }
    if ((what & wakes_writers) != 0) {
        serve(*record, false);
    }
    return true;
}

void readiness_reactor::serve(descriptor_record& record, bool reading) noexcept {
    record.may(reading) = true;
    auto& queue = record.queue(reading);
    while (!queue.empty() && record.may(reading)) {
        operation& first = queue.front();
        const bool reported = first.handle.id == 0 && !record.attached &&
                              (first.kind == operation_kind::wait_readable ||
                               first.kind == operation_kind::wait_writable);
        const std::int64_t result = reported ? 0 : attempt(first, record);
        if (result == -EAGAIN) {
            break;
        }
        intrusive_list<operation>::remove(first);
        finish(first, result);
    }
}

}  // namespace heddle::detail
