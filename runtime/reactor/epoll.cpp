// The reactor over epoll(7).
//
// An attached descriptor is registered once, edge-triggered for both directions, so that waiting
// costs no system call: an edge that finds nobody waiting is remembered in `may_read` and
// `may_write`. A raw descriptor is armed for one report (EPOLLONESHOT) and removed after it.
#include "runtime/base/limits.hpp"
#include "runtime/base/owning_fd.hpp"
#include "runtime/base/system.hpp"
#include "runtime/reactor/backends.hpp"
#include "runtime/reactor/readiness.hpp"

#include <cerrno>
#include <system_error>

namespace heddle::detail {
namespace {

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR &&
              EPOLLHUP == POLLHUP && EPOLLPRI == POLLPRI && EPOLLRDHUP == POLLRDHUP);

class epoll_reactor final : public readiness_reactor {
public:
    epoll_reactor(completion complete, void* context)
        : readiness_reactor(complete, context),
          epoll_(sys::epoll_create()),
          wake_(sys::eventfd()) {
        if (!epoll_ || !wake_) {
            const int error = -(epoll_ ? wake_ : epoll_).get();
            throw std::system_error(error, std::system_category(),
                                    "heddle: descriptors for the epoll reactor" +
                                        limit_note(error));
        }
        // Edge-triggered, each interrupt() is reported once, and nobody has to read the counter.
        const int error =
            sys::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(),
                           {.events = EPOLLIN | EPOLLET, .data = {.u64 = data_of(-1, 0)}});
        if (error < 0) {
            throw std::system_error(-error, std::system_category(),
                                    "heddle: epoll_ctl" + limit_note(-error));
        }
    }

    const char* name() const noexcept override { return "epoll"; }

    void interrupt() noexcept override { sys::signal_eventfd(wake_.get()); }

    void poll(std::int64_t timeout_ns) noexcept override {
        epoll_event events[poll_batch];
        int count = sys::epoll_wait(epoll_.get(), events, poll_batch, timeout_ns);
        if (count == -EBADF || count == -EINVAL) {
            // Somebody has closed our descriptor; those of the waiters are as good as before.
            count = -ENOTRECOVERABLE;
        }
        if (!waited(count, timeout_ns)) {
            return;
        }
        for (int i = 0; i < count; ++i) {
            const std::uint64_t data = events[i].data.u64;
            report(static_cast<int>(data & 0xffffffff), static_cast<std::uint32_t>(data >> 32),
                   events[i].events);
        }
    }

protected:
    int attach(int fd, descriptor_record& record) noexcept override {
        return set(fd, record, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET);
    }

    void forget(int fd, descriptor_record& record) noexcept override {
        if (record.place >= 0) {
            // An error says that the owner closed the descriptor, which removed it already.
            sys::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, {});
            record.place = -1;
        }
        ++record.registration;
    }

    int watch(int fd, descriptor_record& record) noexcept override {
        if (record.attached == attachment::registered) {
            return 0;
        }
        const readiness events = wanted(record);
        if (events == 0) {
            forget(fd, record);
            return 0;
        }
        return set(fd, record, events | EPOLLONESHOT);
    }

private:
    // What an event carries: the number, and which of its registrations. No report is taken for
    // the number -1.
    static std::uint64_t data_of(int fd, std::uint32_t registration) noexcept {
        return std::uint64_t{registration} << 32 | static_cast<std::uint32_t>(fd);
    }

    int control(int operation, int fd, const descriptor_record& record,
                std::uint32_t events) noexcept {
        return sys::epoll_ctl(
            epoll_.get(), operation, fd,
            {.events = events, .data = {.u64 = data_of(fd, record.registration)}});
    }

    // Registers or changes. `place` says what we believe to be registered, but the owner of a raw
    // descriptor may have closed it, and the number may be another descriptor by now.
    int set(int fd, descriptor_record& record, std::uint32_t events) noexcept {
        int result = control(record.place >= 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, record, events);
        if (result == -ENOENT) {
            ++record.registration;  // the old one lives on if the descriptor has a duplicate
            result = control(EPOLL_CTL_ADD, fd, record, events);
        } else if (result == -EEXIST) {
            result = control(EPOLL_CTL_MOD, fd, record, events);
        }
        record.place = result < 0 ? -1 : 0;
        return result;
    }

    owning_fd epoll_;
    owning_fd wake_;
};

}  // namespace

std::unique_ptr<reactor> make_epoll_reactor(reactor::completion complete, void* context) {
    return std::make_unique<epoll_reactor>(complete, context);
}

}  // namespace heddle::detail
