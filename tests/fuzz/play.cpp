#include "tests/fuzz/play.hpp"

#include "runtime/core/asleep.hpp"
#include "tests/fuzz/actor.hpp"
#include "tests/fuzz/script.hpp"
#include "tests/fuzz/world.hpp"

#include "heddle/detail/atomics.hpp"
#include "heddle/diag.hpp"
#include "heddle/runtime.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>

namespace heddle::fuzz {
namespace {

// One program at a time is played in a process.
std::span<const std::uint8_t> bytes_now;
world* world_now = nullptr;

const char* to_text(place where) {
    constexpr const char* texts[] = {"nowhere",   "sleep", "join",  "drop", "mutex", "condition",
                                     "semaphore", "event", "latch", "send", "recv",  "scope"};
    return texts[static_cast<unsigned>(where)];
}

void print(const actor& one) {
    std::fprintf(stderr, "fiber %d of routine %zu %s%s", one.number, one.routine,
                 !one.lives() ? "has ended"
                 : one.begun  ? "lives"
                              : "has not begun",
                 one.stop_asked ? ", asked to stop" : "");
    for (std::size_t i = 0; i < one.spot_count; ++i) {
        std::fprintf(stderr, ", at %s %zu%s", to_text(one.spots[i].where), one.spots[i].object,
                     one.how_long == lasting::endlessly ? ", endlessly" : "");
    }
    std::fprintf(stderr, "\n");
}

// Chooses whether the runtime spares atomic instructions, as in a process of one thread.
class atomic_path {
public:
    explicit atomic_path([[maybe_unused]] bool several_threads) {
#ifdef HEDDLE_KNOWS_SINGLE_THREADED
        __libc_single_threaded = several_threads ? 0 : 1;  // before_ has been read
#endif
        detail::other_threads_hook = []() noexcept { return false; };  // a tool's do not count
    }
    atomic_path(const atomic_path&) = delete;
    atomic_path& operator=(const atomic_path&) = delete;
    ~atomic_path() {
        detail::other_threads_hook = nullptr;
#ifdef HEDDLE_KNOWS_SINGLE_THREADED
        __libc_single_threaded = before_;
#endif
    }

private:
#ifdef HEDDLE_KNOWS_SINGLE_THREADED
    char before_ = __libc_single_threaded;
#endif
};

void run_to_the_end(world& shared) {
    heddle::options options;
    options.report_stack_overflow = false;
    options.on_detached_exception = [](fiber_id, std::exception_ptr exception) {
        try {
            std::rethrow_exception(exception);
        } catch (const program_error& error) {
            world_now->detached_threw(error);
        }
    };
    bool deadlocked = false;
    try {
        heddle::run([&] { shared.play_main(); }, options);
    } catch (const program_error& error) {
        require(error.number == 0, "run() threw the exception of another fiber");
    } catch (const deadlock_error&) {
        deadlocked = true;
    }
    require(!deadlocked || shared.perhaps_deadlocked(),
            "run() declared a deadlock that no fiber has seen");
    require(deadlocked || !shared.deadlocked(),
            "fibers were cancelled without a reason, or a deadlock was not declared");
    shared.finish();
}

}  // namespace

void play(std::span<const std::uint8_t> bytes) {
    const script program = decode(bytes);
    if (std::getenv("HEDDLE_FUZZ_TRACE") != nullptr) {
        std::fprintf(stderr, "%s\n", to_text(program).c_str());
    }
    const atomic_path path(program.several_threads);
    world shared(program);
    bytes_now = bytes;
    world_now = &shared;
    run_to_the_end(shared);
    bytes_now = {};
    world_now = nullptr;
}

std::span<const std::uint8_t> playing() {
    return bytes_now;
}

void violated(const char* fact) {
    std::fprintf(stderr, "heddle: fuzz: %s\n", fact);
    if (world_now != nullptr) {
        std::fprintf(stderr, "%s", to_text(world_now->program()).c_str());
        for (const actor& one : world_now->fibers()) {
            print(one);
        }
        heddle::dump();
    }
    std::abort();
}

}  // namespace heddle::fuzz
