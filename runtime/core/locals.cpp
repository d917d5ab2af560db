#include "runtime/core/locals.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/core/worker.hpp"

#include <heddle/cancel.hpp>

#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace heddle::detail {

namespace {

// Rounds of values that the destructors of values make. POSIX has 4 for threads and leaks what is
// left; who needs more than 16 makes them without end.
constexpr int rounds_max = 16;

// The places that are in use.
struct places {
    std::mutex lock;
    std::uint64_t last_number = 0;
    std::uint32_t made = 0;
    std::vector<std::uint32_t> vacant;  // has room for all that were made
};

places& all_places() noexcept {
    // Never destroyed: static variables of the program may be, later.
    alignas(places) static std::byte memory[sizeof(places)];
    static places* const all = ::new (memory) places;
    return *all;
}

void unlink(local_table& table, local_value& value) noexcept {
    (value.newer != nullptr ? value.newer->older : table.newest) = value.older;
    if (value.older != nullptr) {
        value.older->newer = value.newer;
    }
}

// Destroys what is in the table, the newest first. Destructors may use it meanwhile.
void destroy_all(local_table& table) noexcept {
    while (local_value* const value = table.newest) {
        HEDDLE_ASSERT(value->round <= rounds_max,
                      "the destructors of fiber_local values make new values without end", "rounds",
                      static_cast<std::uint64_t>(rounds_max));
        unlink(table, *value);
        if (table.places[value->place] == value) {
            table.places[value->place] = nullptr;
        }
        table.round = value->round + 1;
        value->destroy(value);
    }
}

// Has no destructor, so that those of other thread_locals may still look at it.
constinit thread_local local_table* table_of_thread = nullptr;

struct thread_end {
    ~thread_end() {
        if (table_of_thread != nullptr) {
            destroy_all(*table_of_thread);
            delete std::exchange(table_of_thread, nullptr);
        }
    }
};

fiber_block* fiber_here() noexcept {
    worker* const here = current_worker;
    return here != nullptr && here->in_fiber() ? &here->current() : nullptr;
}

local_table* table_here() noexcept {
    if (fiber_block* const self = fiber_here()) [[likely]] {
        return (self->flags & flag_has_locals) != 0 ? self->header->locals : nullptr;
    }
    return table_of_thread;
}

void publish(local_table* fresh) noexcept {
    if (fiber_block* const self = fiber_here()) {
        self->header->locals = fresh;
        self->flags |= flag_has_locals;
        return;
    }
    static thread_local const thread_end at_end;
    static_cast<void>(at_end);
    table_of_thread = fresh;
}

}  // namespace

local_key make_local_key() {
    places& all = all_places();
    const std::lock_guard guard(all.lock);
    if (all.vacant.empty()) {
        all.vacant.reserve(all.made + 1);
        return {++all.last_number, all.made++};
    }
    const std::uint32_t place = all.vacant.back();
    all.vacant.pop_back();
    return {++all.last_number, place};
}

void drop_local_key(local_key key) noexcept {
    places& all = all_places();
    const std::lock_guard guard(all.lock);
    all.vacant.push_back(key.place);
}

local_value* find_local(local_key key) noexcept {
    const local_table* const table = table_here();
    if (table == nullptr || key.place >= table->places.size()) {
        return nullptr;
    }
    local_value* const value = table->places[key.place];
    return value != nullptr && value->number == key.number ? value : nullptr;
}

void add_local(local_key key, local_value& value) {
    local_table* table = table_here();
    std::unique_ptr<local_table> fresh;
    if (table == nullptr) {
        fresh = std::make_unique<local_table>();
        table = fresh.get();
    }
    if (key.place >= table->places.size()) {
        table->places.resize(key.place + 1);
    }
    if (fresh != nullptr) {
        publish(fresh.release());
    }
    value.number = key.number;
    value.place = key.place;
    value.round = table->round;
    value.older = table->newest;
    value.newer = nullptr;
    if (table->newest != nullptr) {
        table->newest->newer = &value;
    }
    table->newest = &value;
    table->places[key.place] = &value;  // what an earlier owner of the place left stays in the list
}

local_value* take_local(local_key key) noexcept {
    local_value* const value = find_local(key);
    if (value != nullptr) {
        local_table& table = *table_here();
        unlink(table, *value);
        table.places[key.place] = nullptr;
    }
    return value;
}

void destroy_locals_of(fiber_block& self) noexcept {
    const shield at_end;  // destructors are no cancellation points
    const std::unique_ptr<local_table> table(self.header->locals);
    destroy_all(*table);
    self.header->locals = nullptr;
    self.flags &= static_cast<std::uint8_t>(~flag_has_locals);
}

}  // namespace heddle::detail
