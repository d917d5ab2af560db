#include "runtime/core/block_store.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/limits.hpp"
#include "runtime/base/system.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <new>

namespace heddle::detail {

namespace {

// Constructs the next block of a chunk that has one left.
fiber_block* make_next(block_chunk& chunk) noexcept {
    fiber_block* const block = ::new (chunk.hot + chunk.made) fiber_block;
    block->cold = ::new (chunk.cold + chunk.made) cold_block;
    ++chunk.made;
    return block;
}

// Room for one more, doubled as push_back does it, so that what comes between need not be undone.
template <class T>
void reserve_one_more(std::vector<T>& list) {
    if (list.size() == list.capacity()) {
        list.reserve(2 * list.size() + 1);
    }
}

}  // namespace

block_store& block_store::instance() noexcept {
    // Never destroyed: handles in static variables may outlive main.
    alignas(block_store) static std::byte memory[sizeof(block_store)];
    static block_store* const store = ::new (memory) block_store;
    return *store;
}

bool block_store::look_at(const fiber_block& block, block_snapshot& seen) noexcept {
    const cold_block* const cold = glance(block.cold);  // null once it was given back
    seen.block = &block;
    seen.state = glance(block.state);
    if (cold == nullptr || seen.state == fiber_state::vacant) {
        return false;
    }
    seen.wait = glance(block.wait);
    seen.id = glance(cold->id);
    for (std::size_t i = 0; i < name_bytes - 1; ++i) {
        seen.name[i] = glance(cold->name[i]);
    }
    seen.name[glance(cold->named) ? name_bytes - 1 : 0] = '\0';
    seen.spawned_at = glance(cold->spawned_at);
    seen.reason = glance(cold->reason);
    seen.wait_object = glance(cold->wait_object);
    seen.wait_descriptor = glance(cold->wait_descriptor);
    seen.wait_since = glance(cold->wait_since);
    return true;
}

std::size_t block_store::find(const void* address) const noexcept {
    std::size_t before = 0;
    for (const region_info& one : regions_) {
        const std::size_t count = one.constructed.load(std::memory_order_acquire);
        if (count == 0) {
            break;  // nor are there blocks in those that follow
        }
        const auto offset =
            reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(one.hot);
        if (offset < count * sizeof(fiber_block) && offset % sizeof(fiber_block) == 0) {
            return before + offset / sizeof(fiber_block);
        }
        before += one.chunks * block_chunk::blocks;
    }
    return SIZE_MAX;
}

bool block_store::look_at(const void* address, block_snapshot& seen) const noexcept {
    return find(address) != SIZE_MAX && look_at(*static_cast<const fiber_block*>(address), seen);
}

std::size_t block_store::numbers_end() const noexcept {
    std::size_t end = 0;
    for (const region_info& one : regions_) {
        if (one.constructed.load(std::memory_order_acquire) == 0) {
            break;
        }
        end += one.chunks * block_chunk::blocks;
    }
    return end;
}

void block_store::add_region() {
    if (regions_used_ == regions_max) {
        throw no_memory("heddle: no control block: there are as many fibers as there can be");
    }
    int error = 0;
    std::size_t chunks = std::min(region_chunks_min << regions_used_, region_chunks_max);
    for (; chunks > 0; chunks /= 2) {
        const std::size_t count = chunks * block_chunk::blocks;
        const std::size_t hot_bytes = count * sizeof(fiber_block);
        const std::size_t bytes = hot_bytes + count * sizeof(cold_block);
        void* const start = sys::map(bytes, error);
        if (start != nullptr) {
            // Huge pages would make the first 100 000 fibers cost 90 ns each in place of 190 where
            // the system has some at hand, but 690 where it has to make them first (bench/run
            // batch, other programs in between), and khugepaged would fill up what was given back.
            sys::advise(start, bytes, MADV_NOHUGEPAGE);
            region_info& region = regions_[regions_used_];
            region.hot = static_cast<fiber_block*>(start);
            region.cold = reinterpret_cast<cold_block*>(static_cast<std::byte*>(start) + hot_bytes);
            region.chunks = chunks;
            region.first_chunk = chunks_.size();
            ++regions_used_;
            return;
        }
    }
    throw no_memory(
        error == -ENOMEM ? "heddle: no memory for the control block of a fiber: mmap: the process "
                           "may have as many mappings as sysctl vm.max_map_count, and as much "
                           "address space as ulimit -v and vm.overcommit_memory allow"
        : error == -EAGAIN
            ? "heddle: no memory for the control block of a fiber: mmap: the process locks its "
              "memory (mlockall), and may lock as much as ulimit -l allows"
            : "heddle: no memory for the control block of a fiber: mmap is refused");
}

block_chunk* block_store::take_chunk() {
    const std::lock_guard guard(lock_);
    return take_chunk_locked();
}

block_chunk* block_store::take_chunk_locked() {
    if (!free_.empty()) {
        block_chunk* const chunk = free_.back();
        free_.pop_back();
        return chunk;
    }
    if (regions_used_ == 0 ||
        regions_[regions_used_ - 1].used == regions_[regions_used_ - 1].chunks) {
        add_region();
    }
    region_info& region = regions_[regions_used_ - 1];
    const std::size_t first = region.used * block_chunk::blocks;
    // Room in every list now, so that giving back never allocates.
    reserve_one_more(chunks_);
    free_.reserve(chunks_.capacity());
    auto chunk = std::make_unique<block_chunk>();
    chunk->hot = region.hot + first;
    chunk->cold = region.cold + first;
    chunks_.push_back(chunk.get());
    ++region.used;
    region.constructed.store(region.used * block_chunk::blocks, std::memory_order_release);
    return chunk.release();
}

block_chunk* block_store::chunk_of(const fiber_block* block) noexcept {
    for (const region_info& one : regions_) {
        const fiber_block* const end = one.hot + one.used * block_chunk::blocks;
        if (std::less_equal<>()(one.hot, block) && std::less<>()(block, end)) {
            const auto place = static_cast<std::size_t>(block - one.hot);
            return chunks_[one.first_chunk + place / block_chunk::blocks];
        }
    }
    HEDDLE_ASSERT(false, "a control block is in no chunk");
    return nullptr;
}

void block_store::recycle(block_chunk& chunk) noexcept {
    // Zero is a valid vacant block, and costs nothing once the pages are gone. Part of a page at
    // either end may belong to a neighbour, and stays.
    const std::size_t page = sys::page_bytes();
    const auto discard = [page](void* start, std::size_t bytes) {
        const auto begin = reinterpret_cast<std::uintptr_t>(start);
        const std::uintptr_t from = (begin + page - 1) / page * page;
        const std::uintptr_t to = (begin + bytes) / page * page;
        if (from < to) {
            sys::advise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
        }
    };
    if (chunk.made > block_chunk::blocks / 8) {
        discard(chunk.hot, block_chunk::blocks * sizeof(fiber_block));
        discard(chunk.cold, block_chunk::blocks * sizeof(cold_block));
    }
    chunk.made = 0;
    free_.push_back(&chunk);
}

void block_store::return_chunks(const std::vector<block_chunk*>& chunks) noexcept {
    const std::lock_guard guard(lock_);
    for (block_chunk* chunk : chunks) {
        chunk->orphaned = 0;
        for (std::size_t i = 0; i < chunk->made; ++i) {
            if (chunk->hot[i].state != fiber_state::vacant) {
                ++chunk->orphaned;
            }
        }
        if (chunk->orphaned == 0) {
            recycle(*chunk);
        }
    }
}

void block_store::return_idle(block_chunk& chunk) noexcept {
    const std::lock_guard guard(lock_);
    recycle(chunk);
}

void block_store::free_orphan(fiber_block* block) noexcept {
    const std::lock_guard guard(lock_);
    block->state = fiber_state::vacant;
    block_chunk& chunk = *chunk_of(block);
    if (--chunk.orphaned == 0) {
        recycle(chunk);
    }
}

fiber_block* block_store::take_thread_block() {
    const std::lock_guard guard(lock_);
    if (!free_threads_.empty()) {
        fiber_block* const block = free_threads_.back();
        free_threads_.pop_back();
        block->state = fiber_state::thread;
        return block;
    }
    if (thread_chunk_ == nullptr || thread_chunk_->made == block_chunk::blocks) {
        // Room first, so that giving back never allocates, and nothing is lost where there is none.
        free_threads_.reserve(thread_blocks_ + block_chunk::blocks);
        thread_chunk_ = take_chunk_locked();
        thread_blocks_ += block_chunk::blocks;
    }
    fiber_block* const block = make_next(*thread_chunk_);
    block->state = fiber_state::thread;
    return block;
}

void block_store::free_thread_block(fiber_block* block) noexcept {
    const std::lock_guard guard(lock_);
    block->state = fiber_state::vacant;
    free_threads_.push_back(block);
}

block_allocator::~block_allocator() {
    block_store::instance().return_chunks(chunks_);
}

void block_allocator::trim() noexcept {
    const auto is_idle = [](const block_chunk& chunk) {
        return chunk.made == block_chunk::blocks &&
               std::all_of(chunk.hot, chunk.hot + chunk.made, [](const fiber_block& block) {
                   return block.state == fiber_state::vacant;
               });
    };
    // Idle chunks go behind the others, except the last one, whose place take_fresh knows.
    const auto last = chunks_.empty() ? chunks_.end() : chunks_.end() - 1;
    const auto idle = std::partition(chunks_.begin(), last,
                                     [&](const block_chunk* chunk) { return !is_idle(*chunk); });
    std::for_each(idle, last, [](const block_chunk* chunk) {
        std::for_each(chunk->hot, chunk->hot + chunk->made,
                      [](fiber_block& block) { block.flags = flag_given_back; });
    });
    for (fiber_block** link = &free_; *link != nullptr;) {
        fiber_block* const block = *link;
        if ((block->flags & flag_given_back) != 0) {
            *link = next_free(block);
        } else {
            link = &next_free(block);
        }
    }
    std::for_each(idle, last,
                  [](block_chunk* chunk) { block_store::instance().return_idle(*chunk); });
    chunks_.erase(idle, last);
}

fiber_block* block_allocator::take_fresh() {
    if (chunks_.empty() || chunks_.back()->made == block_chunk::blocks) {
        reserve_one_more(chunks_);
        chunks_.push_back(block_store::instance().take_chunk());
    }
    return make_next(*chunks_.back());
}

}  // namespace heddle::detail
