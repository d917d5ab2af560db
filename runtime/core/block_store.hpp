// Where control blocks come from: reservations of address space that stay mapped for the life of
// the process, so that a late waker may look at any block that ever was. Pages given back read as
// zero, which means "no wait".
//
// Blocks are handed to workers in chunks; each worker allocates from its own without a lock.
#pragma once

#include "runtime/core/fiber_block.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

namespace heddle::detail {

/// A run of control blocks: hot parts in one array, cold parts in another.
struct block_chunk {
    static constexpr std::size_t blocks = 512;

    fiber_block* hot = nullptr;
    cold_block* cold = nullptr;
    std::size_t made = 0;      ///< blocks from the front that have ever been constructed
    std::size_t orphaned = 0;  ///< blocks in use whose worker is gone; under the store's lock
};

/// What a walk over all blocks sees of one: a copy, because the block may change, and even be given
/// back, while it is looked at. The members are those of fiber_block and cold_block; each is whole
/// (but see glance), and they need not be of the same moment.
struct block_snapshot {
    const fiber_block* block;
    fiber_state state;
    std::uint64_t wait;  ///< the ticket
    std::uint64_t id;
    char name[name_bytes];
    const void* spawned_at;
    wait_reason reason;
    const void* wait_object;
    std::int32_t wait_descriptor;
    std::int64_t wait_since;
};

/// Reads a word that its owner may be writing at this moment. Only a walk that must not wait for
/// locks, such as one from a signal handler, may do so; the thread sanitizer is told to look away.
///
/// A 32-bit CPU reads a number of 64 bits in two halves, as its owner writes it: one that changes
/// at this moment may be seen half old and half new. Ids are safe from that until 2^32 are used;
/// the times that waits began are 4 s off then, in a list that people read.
template <class T>
[[gnu::no_sanitize_thread]] T glance(const T& word) noexcept {
    static_assert(sizeof(T) <= sizeof(void*) || std::is_integral_v<T>);
    return *static_cast<const volatile T*>(&word);
}
template <class T>
T glance(const std::atomic<T>& word) noexcept {
    // Not by load(): the sanitizer would still see it meet the plain store of the constructor.
    static_assert(sizeof word == sizeof(T));
    return glance(*reinterpret_cast<const T*>(&word));
}

/// All chunks of the process.
class block_store {
public:
    static block_store& instance() noexcept;

    /// A chunk with no block in use. Errors: std::bad_alloc. Threads: any.
    block_chunk* take_chunk();

    /// Takes chunks back from a worker that ends. Those with blocks in use stay orphaned until
    /// the last of these is freed. Threads: any.
    void return_chunks(const std::vector<block_chunk*>& chunks) noexcept;

    /// Takes a chunk back that has no block in use. Threads: any.
    void return_idle(block_chunk& chunk) noexcept;

    /// Frees a block whose worker is gone. Threads: any.
    void free_orphan(fiber_block* block) noexcept;

    /// A block for a plain thread's waits. Errors: std::bad_alloc. Threads: any.
    fiber_block* take_thread_block();
    void free_thread_block(fiber_block* block) noexcept;

    /// Calls f(snapshot) for every block that is not vacant. Takes no lock.
    /// Threads: any; async-signal-safe if f is.
    template <class F>
    void for_each(F f) noexcept {
        for (std::size_t region = 0; region < regions_max; ++region) {
            const region_info& info = regions_[region];
            const std::size_t count = info.constructed.load(std::memory_order_acquire);
            for (std::size_t i = 0; i < count; ++i) {
                block_snapshot seen;
                if (look_at(info.hot[i], seen)) {
                    f(std::as_const(seen));
                }
            }
        }
    }

    /// As for_each, for one block: false if it is vacant, or if there is no block at that address.
    bool look_at(const void* address, block_snapshot& seen) const noexcept;

    /// The number of a block, for tables: it never changes, and is below numbers_end() where that
    /// is asked later. As for_each.
    std::size_t number_of(const fiber_block& block) const noexcept { return find(&block); }
    std::size_t numbers_end() const noexcept;

private:
    // Regions grow geometrically, so that few mappings hold any number of fibers.
    static constexpr std::size_t region_chunks_min = 8;
    static constexpr std::size_t region_chunks_max = 8192;  // 4 million fibers each
    static constexpr std::size_t regions_max = 64;

    struct region_info {
        fiber_block* hot = nullptr;
        cold_block* cold = nullptr;
        std::size_t chunks = 0;
        std::size_t first_chunk = 0;               // in chunks_, where the others follow
        std::size_t used = 0;                      // chunks handed out so far
        std::atomic<std::size_t> constructed = 0;  // blocks of handed-out chunks; pairs with
                                                   // the acquire in for_each
    };

    // The number of the block at that address; SIZE_MAX where there is none.
    std::size_t find(const void* address) const noexcept;
    // False for a vacant block.
    static bool look_at(const fiber_block& block, block_snapshot& seen) noexcept;
    void add_region();
    block_chunk* take_chunk_locked();
    block_chunk* chunk_of(const fiber_block* block) noexcept;
    void recycle(block_chunk& chunk) noexcept;

    std::mutex lock_;
    region_info regions_[regions_max];
    std::size_t regions_used_ = 0;
    std::vector<block_chunk*> free_;    // ready for the next taker
    std::vector<block_chunk*> chunks_;  // all, to find and to own them, region after region
    block_chunk* thread_chunk_ = nullptr;
    std::size_t thread_blocks_ = 0;  // in all chunks for threads, this one and earlier ones
    std::vector<fiber_block*> free_threads_;
};

/// One worker's allocator of control blocks. Owner thread only.
class block_allocator {
public:
    block_allocator() = default;
    block_allocator(const block_allocator&) = delete;
    block_allocator& operator=(const block_allocator&) = delete;
    ~block_allocator();

    /// A vacant block, with what worker::begin_life leaves as it is at its default.
    /// Errors: std::bad_alloc.
    fiber_block* take() { return free_ != nullptr ? &take_free() : take_fresh(); }

    /// Whether take() has one at hand, constructed and warm; then this hands it out.
    bool has_free() const noexcept { return free_ != nullptr; }

    fiber_block& take_free() noexcept {
        fiber_block* const block = free_;
        free_ = next_free(block);
        return *block;
    }

    /// Gives a block back; the last freed is the first taken again, while it is warm.
    void give(fiber_block* block) noexcept {
        block->state = fiber_state::vacant;
        next_free(block) = free_;
        free_ = block;
    }

    /// Gives chunks back to the store that have no block in use, and with them their memory. Looks
    /// at every block.
    void trim() noexcept;

    /// Calls f for every block of this worker that is not vacant; f may take and give blocks.
    template <class F>
    void for_each(F f) {
        for (std::size_t number = 0; number < chunks_.size(); ++number) {
            const block_chunk& chunk = *chunks_[number];
            for (std::size_t i = 0; i < chunk.made; ++i) {
                if (chunk.hot[i].state != fiber_state::vacant) {
                    f(chunk.hot[i]);
                }
            }
        }
    }

private:
    // A vacant block's stack pointer links it to the next.
    static fiber_block*& next_free(fiber_block* block) noexcept {
        return reinterpret_cast<fiber_block*&>(block->context.stack_pointer);
    }
    fiber_block* take_fresh();

    fiber_block* free_ = nullptr;
    std::vector<block_chunk*> chunks_;  // the last one may have blocks never made
};

}  // namespace heddle::detail
