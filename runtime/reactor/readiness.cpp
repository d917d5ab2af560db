#include "runtime/reactor/readiness.hpp"

#include "runtime/base/system.hpp"

#include <algorithm>
#include <cerrno>
#include <new>

namespace heddle::detail {

namespace {

// After one of these a short count proves nothing: data and the end of the stream can come in one
// report, and waiting for another would be for ever. (Urgent data likewise cuts reads short.)
constexpr readiness doubtful = POLLRDHUP | POLLHUP | POLLERR | POLLPRI;

constexpr readiness wakes_readers = POLLIN | POLLRDHUP | POLLHUP | POLLERR | POLLPRI;
constexpr readiness wakes_writers = POLLOUT | POLLHUP | POLLERR;

bool is_wait(operation_kind kind) noexcept {
    return kind == operation_kind::wait_readable || kind == operation_kind::wait_writable;
}

}  // namespace

descriptor_record* readiness_reactor::find(int fd) noexcept {
    const auto index = static_cast<std::size_t>(fd) / page_records;
    if (fd < 0 || index >= pages_.size() || pages_[index] == nullptr) {
        return nullptr;
    }
    return &(*pages_[index])[static_cast<std::size_t>(fd) % page_records];
}

int readiness_reactor::find_or_make(int fd, descriptor_record*& record) noexcept {
    record = find(fd);
    if (record != nullptr) {
        return 0;
    }
    // No memory for numbers that nobody has: the table is as long as the greatest of them.
    if (const int flags = sys::get_flags(fd); flags < 0) {
        return flags;
    }
    const auto index = static_cast<std::size_t>(fd) / page_records;
    try {
        if (index >= pages_.size()) {
            pages_.resize(index + 1);
        }
        pages_[index] = std::make_unique<page>();
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
    record = find(fd);
    return 0;
}

readiness readiness_reactor::wanted(descriptor_record& record) noexcept {
    return (record.readers.empty() ? 0U : readiness{POLLIN} | POLLRDHUP) |
           (record.writers.empty() ? 0U : readiness{POLLOUT});
}

bool readiness_reactor::submit(operation& what, bool may_wait) noexcept {
    descriptor_record* record = nullptr;
    int error = find_or_make(what.handle.fd, record);
    if (error == 0) {
        error = recognise(what, *record);
    }
    if (error != 0) {
        what.result = error;
        return true;
    }
    const bool reading = reads(what.kind);
    // An attached descriptor is not asked again before something can have changed. A raw wait is
    // left to the first report, because its caller has just seen EAGAIN as a rule.
    const bool promising =
        record->attached != attachment::none ? record->may(reading) : !is_wait(what.kind);
    if ((promising || !may_wait) && record->queue(reading).empty()) {
        what.result = attempt(what, *record);
        if (what.result != -EAGAIN) {
            return true;
        }
    }
    if (!may_wait) {
        what.result = -EAGAIN;
        return true;
    }
    return !enqueue(what, *record);
}

// Decides whether the handle's id is one to work with: 0 or -EBADF. Makes a new one known.
int readiness_reactor::recognise(const operation& what, descriptor_record& record) noexcept {
    const std::uint64_t id = what.handle.id;
    if (id == 0 || (id == record.id && record.attached != attachment::none)) {
        return 0;
    }
    if (id <= record.id) {
        return -EBADF;
    }
    // Whoever had the number before has closed it, heard or unheard.
    end_attachment(what.handle.fd, record);
    record.id = id;
    record.attached = attachment::known;
    record.short_receive_drains = what.traits.short_receive_drains;
    return 0;
}

// Has an operation wait its turn; false, with the result set, if it has ended instead.
bool readiness_reactor::enqueue(operation& what, descriptor_record& record) noexcept {
    const int fd = what.handle.fd;
    record.queue(reads(what.kind)).push_back(what);
    own(what);
    int error = 0;
    if (what.handle.id != 0 && record.attached == attachment::known) {
        error = attach(fd, record);
        record.attached = error == 0 ? attachment::registered : attachment::known;
    }
    if (error == 0) {
        error = watch(fd, record);
    }
    if (error == 0) {
        return true;
    }
    intrusive_list<operation>::remove(what);
    disown(what);
    // epoll_ctl(2): EPERM is for what cannot be waited for, such as a regular file. poll(2) calls
    // these always ready.
    what.result = error != -EPERM ? error : is_wait(what.kind) ? 0 : try_operation(what);
    refused(record, error);
    return false;
}

std::int64_t readiness_reactor::attempt(operation& what, descriptor_record& record) noexcept {
    const std::int64_t result = try_operation(what);
    if (result == -EAGAIN) {
        record.may(reads(what.kind)) = false;
    } else if (what.kind == operation_kind::receive && result > 0 &&
               static_cast<std::size_t>(result) < what.length && record.short_receive_drains) {
        record.may_read = false;
    }
    return result;
}

void readiness_reactor::cancel(operation& what) noexcept {
    if (!what.pending) {
        return;
    }
    intrusive_list<operation>::remove(what);
    watch_again(what.handle.fd, *find(what.handle.fd));
    finish(what, -ECANCELED);
}

void readiness_reactor::detach(descriptor_handle handle) noexcept {
    descriptor_record* const record = find(handle.fd);
    if (record == nullptr || handle.id < record->id ||
        (handle.id == record->id && record->attached == attachment::none)) {
        return;
    }
    record->id = handle.id;
    end_attachment(handle.fd, *record);
}

void readiness_reactor::end_attachment(int fd, descriptor_record& record) noexcept {
    forget(fd, record);
    record.attached = attachment::none;
    record.may_read = record.may_write = true;
    record.short_receive_drains = false;
    end_all(record, -ECANCELED);
}

void readiness_reactor::end_all(descriptor_record& record, std::int64_t result) noexcept {
    for (auto* queue : {&record.readers, &record.writers}) {
        queue->for_each([&](operation& what) {
            intrusive_list<operation>::remove(what);
            finish(what, result);
        });
    }
}

bool readiness_reactor::waited(int result, std::int64_t timeout_ns) noexcept {
    // Together the pauses are as long as a hiccup of the network; a wait that has failed throughout
    // will go on failing.
    constexpr int failures_max = 32;
    constexpr std::int64_t pause_ns = 1'000'000;
    if (result >= 0) {
        failures_ = 0;
        return result > 0;
    }
    if (++failures_ >= failures_max) {
        failures_ = 0;
        end_everything(result);
    } else if (timeout_ns != 0) {
        sys::nap(timeout_ns < 0 ? pause_ns : std::min(timeout_ns, pause_ns));
    }
    return false;
}

void readiness_reactor::end_everything(int error) noexcept {
    for (std::size_t number = 0; number < pages_.size() * page_records; ++number) {
        const int fd = static_cast<int>(number);
        descriptor_record* const record = find(fd);
        if (record != nullptr && !(record->readers.empty() && record->writers.empty())) {
            end_all(*record, error);
            watch_again(fd, *record);
        }
    }
}

void readiness_reactor::watch_again(int fd, descriptor_record& record) noexcept {
    if (const int error = watch(fd, record); error < 0) {
        refused(record, error);
    }
}

// Ends what waits on a number of which the system will report nothing.
void readiness_reactor::refused(descriptor_record& record, int error) noexcept {
    if (error == -EPERM) {
        serve(record, true);
        serve(record, false);
    }
    end_all(record, error);
}

void readiness_reactor::report(int fd, std::uint32_t registration, readiness what) noexcept {
    descriptor_record* const record = find(fd);
    if (record == nullptr || record->registration != registration) {
        return;
    }
    if ((what & POLLNVAL) != 0) {
        end_all(*record, -EBADF);
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
    watch_again(fd, *record);
}

// Tries what is queued for a direction of which readiness was reported.
void readiness_reactor::serve(descriptor_record& record, bool reading) noexcept {
    record.may(reading) = true;
    // What was registered for raw waits alone is as they want it: the report is the answer, until
    // a transfer has changed what it said. An edge may be older than what others did since.
    bool report_holds = record.attached != attachment::registered;
    auto& queue = record.queue(reading);
    while (!queue.empty() && record.may(reading)) {
        operation& first = queue.front();
        const bool answered = report_holds && is_wait(first.kind);
        report_holds = answered;
        const std::int64_t result = answered ? 0 : attempt(first, record);
        if (result == -EAGAIN) {
            break;
        }
        intrusive_list<operation>::remove(first);
        finish(first, result);
    }
}

}  // namespace heddle::detail
