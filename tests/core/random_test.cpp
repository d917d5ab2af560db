// Random programs: fibers that spawn, join, detach, stop, sleep, throw and give way at random, and
// a count that must come out even at the end.
#include "helpers.hpp"
#include "runtime/base/random.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using namespace heddle::test;
using heddle::fiber;
using heddle::spawn;
using heddle::detail::random_sequence;

namespace {

/// A program of one run: what its fibers share.
class program {
public:
    explicit program(std::uint64_t seed, int fibers) : random_(seed), fibers_left_(fibers) {}

    void run() {
        heddle::options options;
        options.on_detached_exception = [](heddle::fiber_id, std::exception_ptr) {};
        options.shutdown_grace = std::chrono::hours(1);  // most of a program may be left by then
        heddle::run([this] { body(0); }, options);
        CHECK(bodies_ended_ == bodies_begun_);
        left_.clear();  // handles that outlive the run
    }

private:
    // Counts the bodies that begin and end, however they end.
    struct presence {
        program& here;
        explicit presence(program& p) : here(p) { ++here.bodies_begun_; }
        ~presence() {
            ++here.bodies_ended_;
            if (here.random_.below(8) == 0) {
                heddle::this_fiber::yield();
            }
        }
    };

    int body(int depth) {
        const presence counted(*this);
        std::vector<fiber<int>> children;
        // No handle may be dropped whose fiber has ended by an exception of its own.
        struct at_exit {
            std::vector<fiber<int>>& children;
            ~at_exit() {
                for (fiber<int>& child : children) {
                    child.detach();
                }
            }
        } const let_go{children};
        const std::uint64_t steps = random_.below(20);
        for (std::uint64_t step = 0; step < steps; ++step) {
            try {
                act(depth, children);
            } catch (const heddle::cancelled&) {
                if (random_.below(2) == 0) {
                    throw;
                }
            } catch (const std::system_error& error) {
                CHECK((error.code() == std::errc::operation_canceled ||
                       error.code() == std::errc::timed_out));
            } catch (const std::runtime_error&) {
                heddle::this_fiber::yield();
            }
        }
        while (!children.empty() && random_.below(4) == 0) {
            left_.push_back(spawn([child = take(children, 0)]() mutable {
                child.detach();
                return 0;
            }));
        }
        if (depth > 0 && random_.below(10) == 0) {
            throw std::runtime_error("thrown by a random program");
        }
        return depth;
    }

    void act(int depth, std::vector<fiber<int>>& children) {
        const std::size_t which = children.empty() ? 0 : random_.below(children.size());
        switch (random_.below(12)) {
        case 0:
        case 1:
        case 2:
            spawn_one(depth, children);
            break;
        case 3:
            if (!children.empty()) {
                fiber<int> child = take(children, which);
                try_join(std::move(child));
            }
            break;
        case 4:
            if (!children.empty()) {
                std::error_code code;
                children[which].request_stop();
                static_cast<void>(children[which].get_stop_token());
            }
            break;
        case 5:
            if (!children.empty()) {
                take(children, which).detach();
            }
            break;
        case 6:
            heddle::this_fiber::sleep_for(std::chrono::nanoseconds(random_.below(5000)));
            break;
        case 7:
            if (!children.empty()) {
                join_for_a_moment(children, which);
            }
            break;
        case 8:
            heddle::this_fiber::check_cancelled();
            break;
        case 9:
            if (random_.below(4) == 0) {
                heddle::trim();
            }
            break;
        default:
            heddle::this_fiber::yield();
            break;
        }
    }

    void spawn_one(int depth, std::vector<fiber<int>>& children) {
        if (--fibers_left_ < 0) {
            return;
        }
        const auto child = [this, depth] { return body(depth + 1); };
        switch (random_.below(5)) {
        case 0:
            heddle::spawn_detached(child);
            break;
        case 1:
            children.push_back(spawn({.stack_bytes = 128 * 1024}, child));
            break;
        case 2:
            children.push_back(spawn({.own_fp_environment = true}, child));
            break;
        default:
            children.push_back(spawn(child));
            break;
        }
    }

    static fiber<int> take(std::vector<fiber<int>>& children, std::size_t which) {
        fiber<int> one = std::move(children[which]);
        children.erase(children.begin() + static_cast<std::ptrdiff_t>(which));
        return one;
    }

    // Leaves nobody behind who would have to be dropped.
    static void try_join(fiber<int> child) {
        try {
            child.join();
        } catch (...) {
            if (child.joinable()) {
                child.detach();
            }
            throw;
        }
    }

    void join_for_a_moment(std::vector<fiber<int>>& children, std::size_t which) {
        fiber<int> child = take(children, which);
        std::error_code code;
        try {
            child.join(heddle::deadline(std::chrono::nanoseconds(random_.below(3000))), code);
        } catch (const std::runtime_error&) {
            heddle::this_fiber::yield();
        }
        if (child.joinable()) {
            children.push_back(std::move(child));
        }
    }

    random_sequence random_;
    int fibers_left_;
    int bodies_begun_ = 0;
    int bodies_ended_ = 0;
    std::vector<fiber<int>> left_;
};

}  // namespace

TEST_CASE("random programs end, with every fiber run and every frame unwound") {
    random_sequence random(seed());
    on_both_atomic_paths([&] {
        for (int i = 0; i < scaled(500); ++i) {
            program(random.next(), 100).run();
        }
        for (int i = 0; i < scaled(10); ++i) {
            program(random.next(), 5000).run();
        }
    });
}

TEST_CASE("random programs end on several threads at the same time") {
    random_sequence random(seed());
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([own_seed = random.next()] {
            random_sequence mine(own_seed);
            for (int i = 0; i < scaled(500); ++i) {
                program(mine.next(), 100).run();
            }
        });
    }
}
