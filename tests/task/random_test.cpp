// Random programs of nested scopes, beside a model that says who is cancelled and what is thrown.
//
// The model knows the blocks that a fiber is in (bodies of scopes, shields) and asks the stop
// tokens of scopes and fiber; heddle has levels and flags. And it writes down the failures of each
// scope in the order in which they leave its children and its body.
#include "runtime/base/random.hpp"
#include "tests/core/helpers.hpp"
#include "tests/support/support.hpp"

#include <heddle/cancel.hpp>
#include <heddle/scope.hpp>
#include <heddle/semaphore.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::test {

namespace {

using detail::random_sequence;

/// What a random program throws.
struct failure {
    int number;
};

/// A scope and what the model knows of it.
struct modelled_scope {
    explicit modelled_scope(scope& own) : real(own), cancelled(own.get_stop_token()) {}

    scope& real;
    std::stop_token cancelled;
    std::vector<int> failures;
    int alive = 0;
};

/// A block that a fiber is in.
struct block {
    const block* outer = nullptr;    // of the same fiber
    modelled_scope* body = nullptr;  // null: a shield
};

class program {
public:
    program(std::uint64_t seed, int fibers) : random_(seed), fibers_left_(fibers) {}

    void run() {
        in_fiber([this] {
            int result = 0;
            try {
                result = body(nullptr, nullptr, 0);
            } catch (const failure&) {
                result = 1;
            }
            CHECK(get_statistics().fibers_alive == 1);
            CHECK_FALSE(is_cancelled_now());
            static_cast<void>(result);
        });
        CHECK(begun_ == ended_);
    }

private:
    struct presence {
        program& here;
        explicit presence(program& p) : here(p) { ++here.begun_; }
        ~presence() {
            ++here.ended_;
            if (here.random_.below(8) == 0) {
                this_fiber::yield();
            }
        }
    };

    static bool is_cancelled_now() {
        std::error_code code;
        this_fiber::sleep_until(in_the_past(), code);  // does not wait
        return code == std::errc::operation_canceled;
    }

    static bool should_be_cancelled(const block* inside) {
        for (; inside != nullptr; inside = inside->outer) {
            if (inside->body == nullptr) {
                return false;
            }
            if (inside->body->cancelled.stop_requested()) {
                return true;
            }
        }
        return this_fiber::get_stop_token().stop_requested();
    }

    static void check_cancellation(const block* inside) {
        const bool wanted = should_be_cancelled(inside);
        CHECK(is_cancelled_now() == wanted);
    }

    // What a fiber does, or a block of it; `own` is the scope that it may spawn into.
    int body(const block* inside, modelled_scope* own, int depth) {
        const presence counted(*this);
        std::vector<child<int>> children;
        for (std::uint64_t step = random_.below(12); step > 0; --step) {
            try {
                act(inside, own, depth, children);
            } catch (const cancelled&) {
                CHECK(should_be_cancelled(inside));
                if (random_.below(2) == 0) {
                    throw;
                }
            } catch (const std::system_error& error) {
                CHECK((error.code() == std::errc::operation_canceled ||
                       error.code() == std::errc::timed_out));
            } catch (const failure&) {
                if (random_.below(2) == 0) {
                    throw;
                }
            }
        }
        return depth;
    }

    void act(const block* inside, modelled_scope* own, int depth,
             std::vector<child<int>>& children) {
        switch (random_.below(14)) {
        case 0:
        case 1:
            if (depth < 6) {
                open(inside, depth);
            }
            break;
        case 2:
        case 3:
        case 4:
            if (own != nullptr) {
                spawn_one(*own, depth, children);
            }
            break;
        case 5:
            if (!children.empty()) {
                child<int> one = std::exchange(children.back(), {});
                children.pop_back();
                if (random_.below(2) == 0) {
                    const int depth_of_child = one.get();
                    CHECK(depth_of_child == depth + 1);
                }
            }
            break;
        case 6:
            if (own != nullptr && random_.below(3) == 0) {
                own->real.cancel();
                CHECK(own->cancelled.stop_requested());
            }
            break;
        case 7:
            if (depth > 0 && random_.below(3) == 0) {
                throw failure{++failures_};
            }
            break;
        case 8: {
            const shield kept_out;
            const block here{inside, nullptr};
            check_cancellation(&here);
            if (depth < 6) {
                open(&here, depth);
            }
            break;
        }
        case 9:
            this_fiber::sleep_for(std::chrono::nanoseconds(random_.below(20'000)));
            break;
        case 10:
            if (!children.empty()) {
                children.back().request_stop();
            }
            break;
        case 11:
            this_fiber::check_cancelled();
            break;
        case 12:
            check_cancellation(inside);
            break;
        default:
            this_fiber::yield();
            break;
        }
    }

    void spawn_one(modelled_scope& into, int depth, std::vector<child<int>>& children) {
        if (--fibers_left_ < 0) {
            return;
        }
        ++into.alive;
        children.push_back(into.real.spawn([this, &into, depth] {
            struct counter {
                modelled_scope& all;
                ~counter() { --all.alive; }
            } const at_end{into};
            try {
                return body(nullptr, &into, depth + 1);
            } catch (const failure& one) {
                into.failures.push_back(one.number);
                throw;
            }
        }));
        if (random_.below(3) == 0) {
            children.pop_back();
        }
    }

    // Opens a scope of some kind, runs a body in it, and checks what comes out.
    void open(const block* inside, int depth) {
        std::optional<modelled_scope> own;  // until all children have ended
        bool timed = false;
        const auto in_scope = [&](scope& real) {
            own.emplace(real);
            const block here{inside, &*own};
            try {
                return body(&here, &*own, depth + 1);
            } catch (const failure& one) {
                own->failures.push_back(one.number);
                throw;
            }
        };
        try {
            switch (random_.below(3)) {
            case 0:
                with_scope(in_scope);
                break;
            case 1:
                timed = true;
                with_deadline(std::chrono::nanoseconds(random_.below(50'000)), in_scope);
                break;
            default:
                with_deadline(std::chrono::hours(1), in_scope);
                break;
            }
            CHECK(own->failures.empty());
        } catch (const failure& one) {
            CHECK(own->alive == 0);
            CHECK_FALSE(own->failures.empty());
            CHECK((own->failures.empty() || one.number == own->failures.front()));
            throw;
        } catch (const cancelled&) {
            CHECK(own->failures.empty());
            throw;
        } catch (const std::system_error& error) {
            CHECK(own->failures.empty());
            CHECK((timed || error.code() == std::errc::operation_canceled));
        }
        CHECK(own->alive == 0);
        check_cancellation(inside);
    }

    random_sequence random_;
    int fibers_left_;
    int begun_ = 0;
    int ended_ = 0;
    int failures_ = 0;
};

}  // namespace

TEST_CASE("random programs of nested scopes end as a model says, and leave nothing behind") {
    random_sequence random(seed());
    on_both_atomic_paths([&] {
        for (int i = 0; i < scaled(1000); ++i) {
            program(random.next(), 100).run();
        }
        for (int i = 0; i < scaled(20); ++i) {
            program(random.next(), 3000).run();
        }
    });
}

TEST_CASE("random programs of nested scopes end on several threads at the same time") {
    random_sequence random(seed());
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([own_seed = random.next()] {
            random_sequence mine(own_seed);
            for (int i = 0; i < scaled(300); ++i) {
                program(mine.next(), 100).run();
            }
        });
    }
}

}  // namespace heddle::test
