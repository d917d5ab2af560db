#include "tests/faults/heap.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace heddle::test {

bool (*allocation_fails)() = nullptr;

#ifdef HEDDLE_TSAN

long blocks_alive() {
    return 0;
}

}  // namespace heddle::test

#else

namespace {

std::atomic<long> alive = 0;

void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
    if (allocation_fails != nullptr && allocation_fails()) {
        return nullptr;
    }
    const std::size_t size = bytes == 0 ? 1 : bytes;
    void* const block =
        alignment <= alignof(std::max_align_t)
            ? std::malloc(size)
            : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    alive += block != nullptr;
    return block;
}

void release(void* block) noexcept {
    alive -= block != nullptr;
    std::free(block);
}

void* allocate_or_throw(std::size_t bytes, std::size_t alignment) {
    if (void* const block = allocate(bytes, alignment)) {
        return block;
    }
    throw std::bad_alloc();
}

}  // namespace

long blocks_alive() {
    return alive;
}

}  // namespace heddle::test

using heddle::test::allocate;
using heddle::test::allocate_or_throw;
using heddle::test::release;

// The arrays' forms call these, as the standard says.
void* operator new(std::size_t bytes) {
    return allocate_or_throw(bytes, 1);
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    return allocate(bytes, 1);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return allocate_or_throw(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept {
    release(block);
}
void operator delete(void* block, std::size_t) noexcept {
    release(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
    release(block);
}
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
    release(block);
}

#endif
