// The reactor's contract: how heddle learns what the operating system has done.
//
// A worker has one reactor, used by its own thread alone (interrupt() excepted). Work is handed to
// it as operations. There are two families, which share one life:
//
//   Readiness: wait_readable and wait_writable end when the descriptor can be read or written,
//   as poll(2) would say it: also at end of stream, hang-up or error. They transfer nothing, and
//   another reader may be quicker afterwards.
//
//   Transfers: accept, connect, receive, send, read and write end when the deed is done. Back-ends
//   over readiness (poll, epoll) try, wait and try again (readiness.hpp); back-ends over
//   completion (io_uring, completion ports) hand the operation to the kernel.
//
// The life of an operation:
//
//   idle ── submit() says true ──► idle       it is done, `result` holds the outcome
//   idle ── submit() says false ─► pending    the reactor owns the operation and its buffer
//   pending ─────────────────────► idle       `result` is set, then complete_() is called, once
//
// While it is pending, neither the operation nor its buffer may move, die or be read: the kernel
// may be writing to it. It stops being pending only by completing. cancel() asks for that to
// happen soon: the completion may come from inside cancel(), or from a later poll(), and what was
// transferred meanwhile wins over the cancel. detach() is a cancel of everything on a descriptor,
// after which nothing of that descriptor completes any more and its number may be closed.
// complete_() is called from poll(), cancel() and detach(), and for the operations of others from
// submit(); it must not call the reactor in turn. A reactor dies when nothing is pending.
//
// Descriptors come in two kinds. Those of heddle's own types are attached, and non-blocking: a
// descriptor_handle names them by number and by an id, so that a number which the system hands out
// anew is not taken for the old descriptor. Ids grow, and one that has been detached is over: an
// operation that still names it, or one older than the number's youngest, ends with -EBADF. A
// back-end may keep a registration for as long as they are attached. A raw descriptor (id 0)
// belongs to somebody who may close it at any time without telling: whatever a back-end registers
// for it is gone once the operations on it have ended. (Those that are pending when it is closed
// may never hear of it.) Raw descriptors may be blocking, except for connect; transfers on them
// are then tried only after a readiness report, and a write is cut to what a pipe takes without
// blocking.
//
// Operations in one direction of one descriptor complete in the order of their submission, but for
// those that are cancelled.
//
// A wait for events that the system refuses is tried again; while it goes on failing, all that is
// pending ends with its error: ENOTRECOVERABLE where the reactor's own descriptor is gone.
//
// Fairness: poll() completes at most poll_batch events before it returns, so that a storm of them
// does not keep runnable fibers waiting; the worker calls poll() at bounded intervals, so that
// runnable fibers do not keep a completed operation waiting.
//
// Rejected: a callback per direction of each descriptor (two registrations, and no place for
// operations that the kernel carries out); handing readiness to the fiber to try again itself (an
// accept edge then wakes every acceptor, and a completion back-end needs another path).
#pragma once

#include "runtime/base/assert.hpp"
#include "runtime/base/list.hpp"

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace heddle::detail {

struct fiber_block;

/// An attached descriptor, or a raw one where `id` is zero. Of two attached descriptors with the
/// same number the younger has the greater id.
struct descriptor_handle {
    int fd = -1;
    std::uint64_t id = 0;
};

/// What is true of an attached descriptor besides its number.
struct descriptor_traits {
    /// A receive that returns fewer bytes than asked for has emptied the descriptor. True of TCP
    /// streams until a hang-up, an error or urgent data is reported, and of nothing else.
    bool short_receive_drains = false;
};

enum class operation_kind : std::uint8_t {
    wait_readable,  ///< result: 0
    wait_writable,  ///< result: 0
    accept,         ///< result: a new descriptor, non-blocking and close-on-exec
    connect,        ///< result: 0. `address` and `length` name the peer
    receive,        ///< recv(2). result: bytes, 0 at end of stream
    send,           ///< send(2) without SIGPIPE. result: bytes
    read,           ///< read(2). result: bytes, 0 at end of file
    write,          ///< write(2) without SIGPIPE. result: bytes
};

/// Whether an operation waits for a descriptor to become readable (else writable).
constexpr bool reads(operation_kind kind) noexcept {
    return kind == operation_kind::wait_readable || kind == operation_kind::accept ||
           kind == operation_kind::receive || kind == operation_kind::read;
}

/// One thing asked of the reactor. Lives in the frame of the fiber that waits for it.
struct operation : list_node {
    operation_kind kind = operation_kind::wait_readable;
    /// Set by the reactor while it owns the operation.
    bool pending = false;
    /// Between a connect that the kernel began and the report of its end.
    bool connecting = false;
    descriptor_handle handle;
    descriptor_traits traits;
    void* buffer = nullptr;  ///< of a transfer; const for send and write
    std::size_t length = 0;  ///< of the buffer or of the address
    const sockaddr* address = nullptr;
    /// The outcome: what the kind says, or a negative error number. -ECANCELED after cancel() and
    /// detach().
    std::int64_t result = 0;
    /// Whom the completion wakes; the reactor only hands them back.
    fiber_block* waiter = nullptr;
    std::uint64_t ticket = 0;
    /// Why the completion was asked to be a cancel; of the submitter's use only.
    int cancel_reason = 0;
};

/// Events that one poll() completes at most.
constexpr int poll_batch = 256;

class reactor {
public:
    /// `complete` is called with `context` for every pending operation that ends.
    using completion = void (*)(void* context, operation& ended);

    reactor(completion complete, void* context) noexcept : complete_(complete), context_(context) {}
    reactor(const reactor&) = delete;
    reactor& operator=(const reactor&) = delete;
    virtual ~reactor() {
        HEDDLE_ASSERT(pending_ == 0, "a reactor dies that owns operations", "pending", pending_);
    }

    /// "poll", "epoll": as in HEDDLE_REACTOR.
    virtual const char* name() const noexcept = 0;

    /// Starts an operation. True: it has ended, complete_() is not called for it. False: it is
    /// pending. With `may_wait` false it is never left pending: it is tried unless others wait
    /// before it, and -EAGAIN says that it would have to wait. An attached descriptor becomes known
    /// by its first operation.
    virtual bool submit(operation& what, bool may_wait) noexcept = 0;

    /// Asks for the end of an operation. Does nothing if it is not pending.
    virtual void cancel(operation& what) noexcept = 0;

    /// Ends everything on the number of an attached descriptor, raw operations too, and forgets it.
    /// Must precede its close. Does nothing for an id that is over.
    virtual void detach(descriptor_handle handle) noexcept = 0;

    /// Completes what has happened; waits for it at most `timeout_ns`, negative for ever, if
    /// nothing has. Returns early for interrupt(), for signals, and for no reason.
    virtual void poll(std::int64_t timeout_ns) noexcept = 0;

    /// Makes a poll() that waits, or the next one, return. Any thread, and signal handlers.
    virtual void interrupt() noexcept = 0;

    /// Operations that are pending; without any, poll() has nothing to find.
    std::size_t pending() const noexcept { return pending_; }

protected:
    /// Marks a submitted operation as owned by the reactor.
    void own(operation& what) noexcept {
        what.pending = true;
        ++pending_;
    }

    /// Gives an owned operation back to its submitter, who is told otherwise.
    void disown(operation& what) noexcept {
        what.pending = false;
        --pending_;
    }

    /// Ends an owned operation and hands it back.
    void finish(operation& what, std::int64_t result) noexcept {
        disown(what);
        what.result = result;
        complete_(context_, what);
    }

private:
    completion complete_;
    void* context_;
    std::size_t pending_ = 0;
};

/// Makes the reactor called `name` ("poll", "epoll"), or for "automatic" the best one that works
/// here.
/// Errors: std::invalid_argument for a name that does not exist here, listing those that do;
/// std::system_error where the system refuses a descriptor.
std::unique_ptr<reactor> make_reactor(std::string_view name, reactor::completion complete,
                                      void* context);

/// The names that make_reactor accepts on this system, best first, separated by ", ".
std::string available_reactors();

/// Set by tests: makes the reactor called "test".
extern std::unique_ptr<reactor> (*make_test_reactor)(reactor::completion complete, void* context);

/// Tries `what` once, without a reactor and without waiting, and returns what operation::result is
/// to say; -EAGAIN if it would have to wait. Any thread.
std::int64_t try_operation(operation& what) noexcept;

}  // namespace heddle::detail
