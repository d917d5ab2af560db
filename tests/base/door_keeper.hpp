// Stands in the door of system calls: counts them, and decides what becomes of each.
#pragma once

#include "runtime/base/assert.hpp"
#include "runtime/base/system.hpp"

#include <array>
#include <functional>
#include <utility>

namespace heddle::test {

/// Sees every system call of heddle while it lives. One at a time, and with one thread in heddle.
class door_keeper {
public:
    /// As detail::sys::intercept: 0 lets a call through, a negative error number fails it, a
    /// positive count shortens a transfer.
    using rule = std::function<std::int64_t(detail::sys::call which, int fd)>;

    explicit door_keeper(rule decide = {}) : decide_(std::move(decide)) {
        HEDDLE_ASSERT(current == nullptr, "two keepers at one door");
        current = this;
        detail::sys::intercept = [](detail::sys::call which, int fd) {
            return current->ask(which, fd);
        };
    }
    door_keeper(const door_keeper&) = delete;
    door_keeper& operator=(const door_keeper&) = delete;
    ~door_keeper() {
        detail::sys::intercept = nullptr;
        current = nullptr;
    }

    /// How often a call has been asked for since forget().
    int count(detail::sys::call which) const { return counts_[static_cast<std::size_t>(which)]; }
    void forget() { counts_ = {}; }

private:
    std::int64_t ask(detail::sys::call which, int fd) {
        ++counts_[static_cast<std::size_t>(which)];
        return decide_ ? decide_(which, fd) : 0;
    }

    static inline door_keeper* current = nullptr;
    std::array<int, 64> counts_{};  // there are fewer calls than that
    rule decide_;
};

/// A rule that gives one kind of call the same answer for its first `times`, and then lets it
/// through.
inline door_keeper::rule answer(detail::sys::call which, std::int64_t verdict, int times = 1) {
    return [=](detail::sys::call asked, int) mutable -> std::int64_t {
        return asked == which && times-- > 0 ? verdict : 0;
    };
}

}  // namespace heddle::test
