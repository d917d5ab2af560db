// Fibers that wait for one another in a circle.
//
// A fiber waits for one other at most, so every circle is found by going from each fiber to the one
// it waits for, and so on, as long as one comes to fibers where nobody has been yet. A table says
// where that was, and on which walk.
#include "runtime/base/system.hpp"
#include "runtime/core/holder.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace heddle::detail {

namespace {

// Of a longer circle, so many fibers are named.
constexpr std::size_t members_shown = 32;

// A line that has become so long is ended; there is room for one more fiber.
constexpr std::size_t line_length_max = 200;

// On which walk each block was visited; 0 for none. A mapping of its own, since nothing may be
// allocated here.
class visits {
public:
    visits() noexcept : count_(block_store::instance().numbers_end()) {
        int error = 0;
        table_ = static_cast<std::uint32_t*>(
            count_ == 0 ? nullptr : sys::map(count_ * sizeof(std::uint32_t), error));
    }
    visits(const visits&) = delete;
    visits& operator=(const visits&) = delete;
    ~visits() {
        if (table_ != nullptr) {
            sys::unmap(table_, count_ * sizeof(std::uint32_t));
        }
    }

    bool has_room() const noexcept { return table_ != nullptr; }
    std::size_t count() const noexcept { return count_; }

    /// Notes a visit, and returns the walk of the one before, or 0. A block that came into being
    /// after the table counts as visited.
    std::uint32_t visit(const fiber_block& block, std::uint32_t walk) noexcept {
        const std::size_t number = block_store::instance().number_of(block);
        return number < count_ ? std::exchange(table_[number], walk) : UINT32_MAX;
    }

private:
    std::size_t count_;
    std::uint32_t* table_;
};

// A fiber that waits, and the one that it waits for.
struct step {
    block_snapshot from;
    holder to;

    /// False if it does not wait for one fiber alone.
    bool take(const fiber_block* block) noexcept {
        if (!block_store::instance().look_at(block, from) || from.wait == 0) {
            return false;
        }
        to = holder_of(from);
        return leads_on();
    }
    bool leads_on() const noexcept {
        return to.what == holder::kind::fiber && to.who.state != fiber_state::finished;
    }
};

// What has been seen on one way round.
struct round {
    const fiber_block* oldest = nullptr;
    std::uint64_t oldest_id = UINT64_MAX;
    std::uint64_t tickets = 0;  // their sum
    std::size_t length = 0;

    /// False if the way from there leads back to there no longer.
    bool go(const fiber_block* start, std::size_t length_max) noexcept {
        const fiber_block* place = start;
        do {
            step next;
            if (++length > length_max || !next.take(place)) {
                return false;
            }
            if (next.from.id < oldest_id) {
                oldest = place;
                oldest_id = next.from.id;
            }
            tickets += next.from.wait;
            place = next.to.who.block;
        } while (place != start);
        return true;
    }
};

// Waits begin and end while one walks. What looked the same on two rounds in a row has stayed so
// in between: each wait from the first look at it to the second, hence all of them at the moment
// between the rounds; and whoever held a lock at the second look has waited since the first.
bool is_circle(const fiber_block* start, std::size_t length_max, round& found) noexcept {
    round again;
    return found.go(start, length_max) && again.go(start, length_max) &&
           again.length == found.length && again.tickets == found.tickets;
}

void print_circle(const round& circle, void (*each)(std::string_view line, void* argument),
                  void* argument) noexcept {
    text_line line;
    line << "heddle: cycle: ";
    const fiber_block* place = circle.oldest;
    for (std::size_t shown = 0; shown < std::min(circle.length, members_shown); ++shown) {
        step next;
        if (!next.take(place)) {
            break;  // it has been resolved just now
        }
        if (shown == 0) {
            add_fiber(line, next.from.id, next.from.name);
            line << " is ";
        } else if (line.view().size() > line_length_max) {
            line << ",";
            each(line.view(), argument);
            line = text_line();
            line << "heddle:   which is ";
        } else {
            line << ", which is ";
        }
        add_wait(line, next.from, next.to);
        place = next.to.who.block;
    }
    if (circle.length > members_shown) {
        line << ", and so on, through " << circle.length - members_shown
             << " more, back to the first";
    }
    each(line.view(), argument);
}

}  // namespace

void for_each_cycle_line(void (*each)(std::string_view line, void* argument),
                         void* argument) noexcept {
    visits table;
    if (!table.has_room()) {
        if (table.count() > 0) {
            each("heddle: no memory to look for cycles in", argument);
        }
        return;
    }
    std::uint32_t walk = 0;
    block_store::instance().for_each([&](const block_snapshot& fiber) {
        if (fiber.wait == 0) {
            return;
        }
        ++walk;
        step next;
        for (const fiber_block* place = fiber.block;; place = next.to.who.block) {
            const std::uint32_t before = table.visit(*place, walk);
            if (before == walk) {
                round circle;
                if (is_circle(place, table.count(), circle)) {
                    print_circle(circle, each, argument);
                }
                return;
            }
            if (before != 0 || !next.take(place)) {
                return;
            }
        }
    });
}

}  // namespace heddle::detail
