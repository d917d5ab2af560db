// "Try, wait, try": the operations over a system that only reports readiness.
//
// For each descriptor number there is a record with two queues of pending operations, one per
// direction, and for each direction whether the last attempt left reason to try again (`may_read`,
// `may_write`). A new operation is tried at once if it may, else it joins its queue; a report of
// readiness tries the queue in order until it is empty or the system says EAGAIN.
#pragma once

#include "runtime/reactor/reactor.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace heddle::detail {

/// What a report says, in the bits of poll(2): POLLIN, POLLOUT, POLLHUP, POLLERR, POLLRDHUP,
/// POLLPRI, and POLLNVAL for a number that is not open. epoll has the same (checked in epoll.cpp).
using readiness = std::uint32_t;

/// What a record knows of the attached descriptor with its number.
enum class attachment : std::uint8_t {
    none,        ///< there is none, or it was detached. To known: the first operation of a new id
    known,       ///< nothing is registered for good. To registered: the first operation that waits
    registered,  ///< the back-end has it for good. From here and from known, to none: detach()
};

/// The reactor's knowledge of one descriptor number.
struct descriptor_record {
    intrusive_list<operation> readers, writers;
    std::uint64_t id = 0;            ///< of the youngest attached descriptor that had the number
    std::uint32_t registration = 0;  ///< grows when one ends, so that late reports are recognised
    std::int32_t place = -1;         ///< of the back-end's use; -1 while nothing is registered
    attachment attached = attachment::none;  ///< the state of `id`
    bool may_read = true;                    ///< the next read may succeed: do try
    bool may_write = true;
    bool short_receive_drains = false;

    intrusive_list<operation>& queue(bool reading) noexcept { return reading ? readers : writers; }
    bool& may(bool reading) noexcept { return reading ? may_read : may_write; }
};

class readiness_reactor : public reactor {
public:
    using reactor::reactor;

    bool submit(operation& what, bool may_wait) noexcept final;
    void cancel(operation& what) noexcept final;
    void detach(descriptor_handle handle) noexcept final;

protected:
    /// Registers an attached descriptor for good, in place of what may be registered for its
    /// number. 0 or a negative error number.
    virtual int attach(int fd, descriptor_record& record) noexcept = 0;
    /// Forgets a registration, whatever its kind, if there is one.
    virtual void forget(int fd, descriptor_record& record) noexcept = 0;
    /// Called when the set of queued operations may have changed what must be watched:
    /// `record` wants reports on the directions whose queues are not empty. 0 or a negative error
    /// number; nothing is registered then.
    virtual int watch(int fd, descriptor_record& record) noexcept = 0;

    /// To be called with a report; ignores one that belongs to a registration that has ended.
    void report(int fd, std::uint32_t registration, readiness what) noexcept;

    /// To be called with the result of the wait in poll(). One that fails is tried again: nothing
    /// is lost by a shortage that passes. When it fails again and again, whoever waits hears why.
    /// Returns whether there may be something to report.
    bool waited(int result, std::int64_t timeout_ns) noexcept;

    /// What the operations in a record's queues wait for.
    static readiness wanted(descriptor_record& record) noexcept;

    /// The record of a number; null if it was never used.
    descriptor_record* find(int fd) noexcept;

private:
    int find_or_make(int fd, descriptor_record*& record) noexcept;
    int recognise(const operation& what, descriptor_record& record) noexcept;
    bool enqueue(operation& what, descriptor_record& record) noexcept;
    std::int64_t attempt(operation& what, descriptor_record& record) noexcept;
    void serve(descriptor_record& record, bool reading) noexcept;
    void watch_again(int fd, descriptor_record& record) noexcept;
    void refused(descriptor_record& record, int error) noexcept;
    void end_attachment(int fd, descriptor_record& record) noexcept;
    void end_all(descriptor_record& record, std::int64_t result) noexcept;
    void end_everything(int error) noexcept;

    // Records stay where they are once made: a page per 256 descriptor numbers.
    static constexpr std::size_t page_records = 256;
    using page = std::array<descriptor_record, page_records>;
    std::vector<std::unique_ptr<page>> pages_;

    int failures_ = 0;  // waits that have failed since one succeeded
};

}  // namespace heddle::detail
