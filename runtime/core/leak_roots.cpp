// What the leak sanitizer cannot find by itself: pointers that only a waiting fiber has.
//
// It searches the stacks of threads, but no stack of a fiber that waits, and no mapping of ours. It
// does so when the process ends, and fibers can wait then only if exit() was called inside run().
// So a handler for that moment copies every word that they keep into a vector, which is found. Our
// handler is registered later than the tool's, and therefore runs earlier.
#include "runtime/core/leak_roots.hpp"

#include "runtime/base/sanitizer.hpp"
#include "runtime/core/block_store.hpp"
#include "runtime/core/worker.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <set>
#include <vector>

namespace heddle::detail {

namespace {

// Below its stack pointer a suspended flow keeps its registers (arch/x86_64-sysv.S).
constexpr std::size_t red_zone_bytes = 128;

// Of no use to anybody but the tool, which begins its search at global variables.
std::vector<void*>* pointers = nullptr;

// Neither the marks of the address sanitizer nor races count here: the word is only copied.
[[gnu::no_sanitize_address, gnu::no_sanitize_thread, gnu::noinline]] void*
word_at(std::uintptr_t address) noexcept {
    return *reinterpret_cast<void* const volatile*>(address);
}

class collector {
public:
    void add(const void* begin, const void* end) {
        constexpr std::uintptr_t word = sizeof(void*);
        const auto last = reinterpret_cast<std::uintptr_t>(end);
        for (auto at = (reinterpret_cast<std::uintptr_t>(begin) + word - 1) / word * word;
             at + word <= last; at += word) {
            pointers->push_back(word_at(at));
        }
    }

    // The part of a stack that a suspended flow uses. With detection of use after return its
    // locals lie elsewhere, in frames that the stack points to.
    void add_stack(const heddle_context& flow, const void* top, void* fake_stack) {
        const std::size_t before = pointers->size();
        add(static_cast<const std::byte*>(flow.stack_pointer) - red_zone_bytes, top);
        for (std::size_t i = before; fake_stack != nullptr && i < pointers->size(); ++i) {
            void* begin = nullptr;
            void* end = nullptr;
            if (__asan_addr_is_in_fake_stack(fake_stack, (*pointers)[i], &begin, &end) != nullptr &&
                frames_.insert(begin).second) {
                add(begin, end);
            }
        }
    }

    void add_fiber(const fiber_block& fiber) {
        add(&fiber, &fiber + 1);
        add(fiber.cold, fiber.cold + 1);
        worker* const home = fiber.home.load(std::memory_order_relaxed);
        if (home == nullptr || fiber.state != fiber_state::started) {
            return;
        }
        if (homes_.insert(home).second) {
            home->with_thread_root([this](const heddle_context& flow, const void* top,
                                          void* fake_stack) { add_stack(flow, top, fake_stack); });
        }
        const void* const top = stack_top_of(fiber);
        if (&home->current() != &fiber) {
            const bool watched = (fiber.flags & flag_watched) != 0;
            add_stack(fiber.context, top, watched ? fiber.header->fake_stack : nullptr);
        } else if (home == current_worker && !has_address_tool()) {
            add(__builtin_frame_address(0), top);  // the address sanitizer knows it already
        }
    }

private:
    std::set<void*> frames_;
    std::set<worker*> homes_;
};

void collect() {
    pointers = new std::vector<void*>;
    collector roots;
    // As long as it is held no worker ends, in no thread, nor are its stacks unmapped.
    const std::lock_guard guard(lifetime_lock);
    block_store::instance().for_each(
        [&](const block_snapshot& seen) { roots.add_fiber(*seen.block); });
}

}  // namespace

void show_leak_roots() noexcept {
    static const int registered = std::atexit(collect);
    static_cast<void>(registered);
}

}  // namespace heddle::detail
