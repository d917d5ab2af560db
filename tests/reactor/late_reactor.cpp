#include "tests/reactor/late_reactor.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/system.hpp"
#include "runtime/reactor/reactor.hpp"
#include "tests/support/report.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <system_error>

namespace heddle::test {

namespace sys = detail::sys;
using detail::operation;
using detail::operation_kind;

namespace {

// How long an operation may be left alone, in polls, before it is begun and after it has ended.
constexpr std::uint64_t delay_limit = 4;

bool receives(operation_kind kind) {
    return kind == operation_kind::receive || kind == operation_kind::read;
}

bool sends(operation_kind kind) {
    return kind == operation_kind::send || kind == operation_kind::write;
}

// How much of what the reactor may only read is watched for changes, at each poll.
constexpr std::size_t watched_bytes = 4096;

// FNV-1a over what the reactor may only read: the bytes to send, or the peer's address.
std::uint64_t checksum_of(const operation& what) {
    const auto* bytes = static_cast<const unsigned char*>(what.buffer);
    if (what.kind == operation_kind::connect) {
        bytes = reinterpret_cast<const unsigned char*>(what.address);
    } else if (!sends(what.kind)) {
        return 0;
    }
    std::uint64_t sum = 0xcbf29ce484222325;
    for (std::size_t i = 0; i < std::min(what.length, watched_bytes); ++i) {
        sum = (sum ^ bytes[i]) * 0x100000001b3;
    }
    return sum;
}

using stain = std::array<std::byte, late_reactor::stain_bytes>;

// How much of an operation's buffer is written to while it is owned.
std::size_t stained_length(const operation& what) {
    return receives(what.kind) ? std::min(what.length, late_reactor::stain_bytes) : 0;
}

void copy_out(const operation& what, stain& into) {
    std::copy_n(static_cast<const std::byte*>(what.buffer), stained_length(what), into.begin());
}

}  // namespace

late_reactor::late_reactor(completion complete, void* context, std::uint64_t seed)
    : reactor(complete, context),
      wake_(sys::eventfd()),
      random_(seed) {
    if (!wake_) {
        throw std::system_error(-wake_.get(), std::system_category(), "eventfd");
    }
}

bool late_reactor::submit(operation& what, bool may_wait) noexcept {
    if (sys::get_flags(what.handle.fd) < 0 || !recognise(what)) {
        what.result = -EBADF;
        return true;
    }
    std::deque<job>& jobs = lanes_[{what.handle.fd, reads(what.kind)}].jobs;
    if (!may_wait) {
        what.result = jobs.empty() ? detail::try_operation(what) : -EAGAIN;
        return true;
    }
    own(what);
    job& added = jobs.emplace_back();
    added.what = &what;
    added.delay = random_.below(delay_limit);
    added.checksum = checksum_of(what);
    copy_out(what, added.truth);
    stain_buffer(added);
    return false;
}

// Whether the handle's id is one to work with. A new one ends whatever had the number before.
bool late_reactor::recognise(const operation& what) noexcept {
    const std::uint64_t id = what.handle.id;
    identity& known = identities_[what.handle.fd];
    if (id == 0 || (id == known.id && !known.over)) {
        return true;
    }
    if (id <= known.id) {
        return false;
    }
    known = {id, false};
    end_all(what.handle.fd);
    return true;
}

void late_reactor::cancel(operation& what) noexcept {
    if (!what.pending) {
        return;
    }
    auto& jobs = lanes_[{what.handle.fd, reads(what.kind)}].jobs;
    const auto found =
        std::find_if(jobs.begin(), jobs.end(), [&](const job& one) { return one.what == &what; });
    HEDDLE_ASSERT(found != jobs.end(), "an operation is cancelled that its reactor does not own");
    if (!found->ended && !found->cancelled) {
        found->cancelled = true;
        found->delay = 1 + random_.below(delay_limit);
    }
}

void late_reactor::detach(detail::descriptor_handle handle) noexcept {
    identity& known = identities_[handle.fd];
    if (handle.id < known.id || (handle.id == known.id && known.over)) {
        return;
    }
    known = {handle.id, true};
    end_all(handle.fd);
}

void late_reactor::interrupt() noexcept {
    sys::signal_eventfd(wake_.get());
}

void late_reactor::poll(std::int64_t timeout_ns) noexcept {
    const bool busy = std::any_of(lanes_.begin(), lanes_.end(),
                                  [](const auto& entry) { return has_plans(entry.second); });
    wait(busy ? 0 : timeout_ns);
    std::vector<lane*> order;
    for (auto& entry : lanes_) {
        advance(entry.second);
        order.push_back(&entry.second);
    }
    // Shuffled, so that nothing can rely on an order across descriptors, and nobody starves.
    for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[random_.below(i)]);
    }
    int left = detail::poll_batch;
    for (lane* const one : order) {
        left -= tell_due(*one, left);
    }
    std::erase_if(lanes_, [](const auto& entry) { return entry.second.jobs.empty(); });
}

// Whether something will be done after a number of polls, whatever the system says.
bool late_reactor::has_plans(const lane& of) noexcept {
    bool first = true;
    for (const job& one : of.jobs) {
        if (one.ended || one.cancelled || one.delay > 0 || (first && !one.begun)) {
            return true;
        }
        first = false;
    }
    return false;
}

// Waits for the lanes whose first operation has been tried in vain.
void late_reactor::wait(std::int64_t timeout_ns) noexcept {
    std::vector<pollfd> questions{{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    std::vector<lane*> asked;
    for (auto& [key, one] : lanes_) {
        one.ready = false;
        const bool waits = std::any_of(one.jobs.begin(), one.jobs.end(),
                                       [](const job& any) { return any.begun && !any.ended; });
        if (waits) {
            questions.push_back({.fd = key.first,
                                 .events = static_cast<short>(key.second ? POLLIN : POLLOUT),
                                 .revents = 0});
            asked.push_back(&one);
        }
    }
    if (sys::poll(questions.data(), questions.size(), timeout_ns) <= 0) {
        return;
    }
    if (questions[0].revents != 0) {
        std::uint64_t count = 0;
        sys::read(wake_.get(), &count, sizeof count);
    }
    for (std::size_t i = 0; i < asked.size(); ++i) {
        asked[i]->ready = questions[i + 1].revents != 0;
    }
}

// One poll's worth of progress. Operations are carried out in order: only the first of those that
// have not ended may be tried.
void late_reactor::advance(lane& of) noexcept {
    bool first = true;
    for (job& one : of.jobs) {
        check_buffer(one);
        one.delay -= one.delay > 0 ? 1 : 0;
        const bool worth_trying =
            one.cancelled ? random_.below(2) == 0 : one.delay == 0 && (of.ready || !one.begun);
        if (!one.ended && first && worth_trying) {
            carry_out(one);
        }
        if (!one.ended && one.cancelled && one.delay == 0) {
            one.ended = true;
            one.outcome = -ECANCELED;
        }
        stain_buffer(one);
        first = first && one.ended;
    }
}

void late_reactor::carry_out(job& one) noexcept {
    clean_buffer(one);
    const std::int64_t result = detail::try_operation(*one.what);
    copy_out(*one.what, one.truth);
    one.begun = true;
    if (result != -EAGAIN) {
        one.ended = true;
        one.outcome = result;
        one.delay = random_.below(delay_limit);
    }
}

// Completes what has ended and been held back long enough, at most `most` operations: in order, but
// for those that were cancelled.
int late_reactor::tell_due(lane& of, int most) noexcept {
    int completed = 0;
    bool in_order = true;
    for (auto one = of.jobs.begin(); one != of.jobs.end() && completed < most;) {
        const bool due = one->ended && one->delay == 0;
        if (due && (in_order || one->outcome == -ECANCELED)) {
            job done = *one;
            one = of.jobs.erase(one);
            tell(done, done.outcome);
            ++completed;
        } else {
            in_order = false;
            ++one;
        }
    }
    return completed;
}

void late_reactor::tell(job& one, std::int64_t result) noexcept {
    check_buffer(one);
    clean_buffer(one);
    finish(*one.what, result);
}

// Ends everything on a number at once. What has been carried out keeps its outcome.
void late_reactor::end_all(int fd) noexcept {
    for (const bool reading : {true, false}) {
        if (auto node = lanes_.extract({fd, reading}); !node.empty()) {
            for (job& one : node.mapped().jobs) {
                tell(one, one.ended ? one.outcome : -ECANCELED);
            }
        }
    }
}

void late_reactor::stain_buffer(job& one) noexcept {
    const std::size_t length = stained_length(*one.what);
    auto* const buffer = static_cast<std::byte*>(one.what->buffer);
    for (std::size_t i = 0; i < length; ++i) {
        buffer[i] = one.dirt[i] = static_cast<std::byte>(random_.next());
    }
}

void late_reactor::clean_buffer(job& one) noexcept {
    std::copy_n(one.truth.begin(), stained_length(*one.what),
                static_cast<std::byte*>(one.what->buffer));
}

void late_reactor::check_buffer(const job& one) noexcept {
    HEDDLE_ASSERT(checksum_of(*one.what) == one.checksum,
                  "a buffer or address changed while the reactor owned it");
    HEDDLE_ASSERT(
        std::equal(one.dirt.begin(),
                   one.dirt.begin() + static_cast<std::ptrdiff_t>(stained_length(*one.what)),
                   static_cast<const std::byte*>(one.what->buffer)),
        "a buffer was written to while the reactor owned it");
}

std::unique_ptr<detail::reactor> make_late_reactor(detail::reactor::completion complete,
                                                   void* context) {
    static std::atomic<std::uint64_t> next_seed = seed();
    return std::make_unique<late_reactor>(complete, context, next_seed++);
}

namespace {

// Runs before main in every program that links this file.
[[maybe_unused]] const bool announced = [] {
    detail::make_test_reactor = make_late_reactor;
    return true;
}();

}  // namespace

}  // namespace heddle::test
