// The portable reactor: poll(2) over the descriptors that somebody waits for. Read this one first.
//
// The list of descriptors is kept between calls; a descriptor is in it while operations are queued
// on it. Nothing of an attached descriptor is known to the system in between.
#include "runtime/base/limits.hpp"
#include "runtime/base/owning_fd.hpp"
#include "runtime/base/system.hpp"
#include "runtime/reactor/backends.hpp"
#include "runtime/reactor/readiness.hpp"

#include <cerrno>
#include <new>
#include <system_error>

namespace heddle::detail {
namespace {

class poll_reactor final : public readiness_reactor {
public:
    poll_reactor(completion complete, void* context)
        : readiness_reactor(complete, context),
          wake_(sys::eventfd()) {
        if (!wake_) {
            const int error = -wake_.get();
            throw std::system_error(error, std::system_category(),
                                    "heddle: eventfd for the poll reactor" + limit_note(error));
        }
        descriptors_.push_back({.fd = wake_.get(), .events = POLLIN, .revents = 0});
    }

    const char* name() const noexcept override { return "poll"; }

    void interrupt() noexcept override { sys::signal_eventfd(wake_.get()); }

    void poll(std::int64_t timeout_ns) noexcept override {
        int left = sys::poll(descriptors_.data(), descriptors_.size(), timeout_ns);
        if (left == -EINVAL) {
            left = -EMFILE;  // poll(2): more descriptors than RLIMIT_NOFILE, which was lowered
        }
        if (!waited(left, timeout_ns)) {
            return;
        }
        if (descriptors_[0].revents != 0) {
            std::uint64_t count = 0;
            sys::read(wake_.get(), &count, sizeof count);
            --left;
        }
        // Completing changes the list, so a batch is copied first. Where more than a batch is
        // ready, the next one begins behind it.
        struct {
            int fd;
            readiness what;
        } batch[poll_batch];
        int size = 0;
        const std::size_t others = descriptors_.size() - 1;
        for (std::size_t seen = 0; seen < others && left > 0 && size < poll_batch; ++seen) {
            first_ = first_ % others + 1;
            const pollfd& one = descriptors_[first_];
            if (one.revents != 0) {
                batch[size++] = {one.fd, static_cast<unsigned short>(one.revents)};
                --left;
            }
        }
        for (int i = 0; i < size; ++i) {
            report(batch[i].fd, no_registration, batch[i].what);
        }
    }

protected:
    int attach(int, descriptor_record&) noexcept override { return 0; }

    void forget(int, descriptor_record& record) noexcept override {
        if (record.place < 0) {
            return;
        }
        const auto place = static_cast<std::size_t>(record.place);
        record.place = -1;
        if (place != descriptors_.size() - 1) {
            descriptors_[place] = descriptors_.back();
            find(descriptors_[place].fd)->place = static_cast<std::int32_t>(place);
        }
        descriptors_.pop_back();
    }

    int watch(int fd, descriptor_record& record) noexcept override {
        const auto events = static_cast<short>(wanted(record));
        if (events == 0) {
            forget(fd, record);
            return 0;
        }
        if (record.place < 0) {
            try {
                descriptors_.push_back({.fd = fd, .events = 0, .revents = 0});
            } catch (const std::bad_alloc&) {
                return -ENOMEM;
            }
            record.place = static_cast<std::int32_t>(descriptors_.size() - 1);
        }
        descriptors_[static_cast<std::size_t>(record.place)].events = events;
        return 0;
    }

private:
    // Reports are never late here: each poll() asks for what is watched now.
    static constexpr std::uint32_t no_registration = 0;

    owning_fd wake_;
    std::vector<pollfd> descriptors_;  // the first is wake_
    std::size_t first_ = 0;            // where the last batch ended
};

}  // namespace

std::unique_ptr<reactor> make_poll_reactor(reactor::completion complete, void* context) {
    return std::make_unique<poll_reactor>(complete, context);
}

}  // namespace heddle::detail
