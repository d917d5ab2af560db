// The reactor over epoll(7).
//
// An attached descriptor is registered once, edge-triggered for both directions, so that waiting
// costs no system call: an edge that finds nobody waiting is remembered in `may_read` and
// `may_write`. A raw descriptor is armed for one report (EPOLLONESHOT) and removed after it.
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
        : readiness_reactor(complete, context), epoll_(sys::epoll_create()),
          wake_(sys::eventfd()) {
        if (!epoll_ || !wake_) {
            throw std::system_error(-(epoll_ ? wake_ : epoll_).get(), std::system_category(),
                                    "heddle: descriptors for the epoll reactor");
        }
        const int error = sys::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(),
                                         {.events = EPOLLIN, .data = {.u64 = wake_data}});
        if (error < 0) {
            throw std::system_error(-error, std::system_category(), "heddle: epoll_ctl");
        }
    }

    const char* name() const noexcept override { return "epoll"; }

    void interrupt() noexcept override {
        const std::uint64_t one = 1;
        sys::write(wake_.get(), &one, sizeof one);
    }

    void poll(std::int64_t timeout_ns) noexcept override {
        epoll_event events[poll_batch];
        const int count = sys::epoll_wait(epoll_.get(), events, poll_batch, timeout_ns);
        for (int i = 0; i < count; ++i) {
            const std::uint64_t data = events[i].data.u64;
            if (data == wake_data) {
                std::uint64_t wakes = 0;
                sys::read(wake_.get(), &wakes, sizeof wakes);
                continue;
            }
            const int fd = static_cast<int>(data & 0xffffffff);
            if (!report(fd, static_cast<std::uint32_t>(data >> 32), events[i].events)) {
                continue;
            }
            descriptor_record& record = *find(fd);
            if (!record.attached) {
                watch(fd, record);
            }
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
        if (record.attached) {
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
    static constexpr std::uint64_t wake_data = ~std::uint64_t{0};

    // Registers or changes. `place` says what we believe to be registered, but the owner of a raw
    // descriptor may have closed it, and the number may be another descriptor by now.
    int set(int fd, descriptor_record& record, std::uint32_t events) noexcept {
        const epoll_event event = {
            .events = events,
            .data = {.u64 = std::uint64_t{record.registration} << 32 |
                            static_cast<std::uint32_t>(fd)}};
        const bool believed = record.place >= 0;
        int result =
            sys::epoll_ctl(epoll_.get(), believed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, event);
        if (result == -ENOENT || result == -EEXIST) {
            result =
                sys::epoll_ctl(epoll_.get(), believed ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, event);
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
