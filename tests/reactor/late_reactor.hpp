// A back-end for tests that does whatever the contract allows and no comfortable back-end does.
//
// It behaves like a system that carries operations out by itself (io_uring, completion ports):
// operations end late, after a random number of polls, and in any order across descriptors; while
// it owns a buffer it keeps writing into it, also when the data is there already and only the news
// is held back; a cancel never takes effect at once, and may lose against the transfer. It ends the
// program when somebody else writes to a buffer that it owns; lending it the same memory twice is
// such a case.
//
// Linking late_reactor_dep makes it the reactor called "test": HEDDLE_REACTOR=test runs a whole
// program on it.
#pragma once

#include "runtime/base/owning_fd.hpp"
#include "runtime/base/random.hpp"
#include "runtime/reactor/reactor.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace heddle::test {

class late_reactor final : public detail::reactor {
public:
    /// How much of a buffer is kept dirty: enough to be noticed.
    static constexpr std::size_t stain_bytes = 64;

    /// Errors: std::system_error where the system refuses a descriptor.
    late_reactor(completion complete, void* context, std::uint64_t seed);

    const char* name() const noexcept override { return "test"; }
    bool submit(detail::operation& what, bool may_wait) noexcept override;
    void cancel(detail::operation& what) noexcept override;
    void detach(detail::descriptor_handle handle) noexcept override;
    void poll(std::int64_t timeout_ns) noexcept override;
    void interrupt() noexcept override;

private:
    using stain = std::array<std::byte, stain_bytes>;

    // An operation under way. First it waits, until it has been carried out or given up; then it
    // has ended, and the news are held back.
    struct job {
        detail::operation* what = nullptr;
        std::uint64_t delay = 0;  // polls until it is begun, given up, or its end is told
        bool begun = false;       // tried once: from then on it waits for readiness
        bool cancelled = false;   // to be given up
        bool ended = false;       // `outcome` is known
        std::int64_t outcome = 0;
        std::uint64_t checksum = 0;  // of a buffer or address that the reactor may only read
        stain truth{};               // what the beginning of a receiving buffer is to hold
        stain dirt{};                // what was written there instead
    };

    // The operations in one direction of one descriptor, in the order of submission.
    struct lane {
        std::deque<job> jobs;
        bool ready = false;  // as the last poll found it
    };
    using lane_key = std::pair<int, bool>;  // descriptor number, and whether it is for reading

    // Of a descriptor number: its youngest attached descriptor, and whether that is over.
    struct identity {
        std::uint64_t id = 0;
        bool over = false;
    };

    bool recognise(const detail::operation& what) noexcept;
    void wait(std::int64_t timeout_ns) noexcept;
    void advance(lane& of) noexcept;
    void carry_out(job& one) noexcept;
    int tell_due(lane& of, int most) noexcept;
    void tell(job& one, std::int64_t result) noexcept;
    void end_all(int fd) noexcept;
    void stain_buffer(job& one) noexcept;
    static bool has_plans(const lane& of) noexcept;
    static void check_buffer(const job& one) noexcept;
    static void clean_buffer(job& one) noexcept;

    detail::owning_fd wake_;
    detail::random_sequence random_;
    std::map<lane_key, lane> lanes_;
    std::map<int, identity> identities_;
};

/// A late_reactor with a seed of its own: drawn from test::seed(), which prints it, at the first
/// call; each later call has the next number.
std::unique_ptr<detail::reactor> make_late_reactor(detail::reactor::completion complete,
                                                   void* context);

}  // namespace heddle::test
