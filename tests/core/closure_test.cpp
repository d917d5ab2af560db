// Where closures, arguments and results live, and that each is destroyed exactly once, whatever
// becomes of the fiber.
#include "helpers.hpp"
#include "tests/support/support.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

using namespace heddle::test;
using heddle::fiber;
using heddle::spawn;

namespace {

/// Counts its objects, and knows whether it lies where its alignment wants it.
template <std::size_t Bytes, std::size_t Align = 1>
struct tracked {
    static inline int alive = 0;
    static inline int made = 0;

    explicit tracked(int value) : number(value) { count(); }
    tracked(const tracked& other) : number(other.number) { count(); }
    tracked(tracked&& other) noexcept : number(std::exchange(other.number, -1)) { count(); }
    tracked& operator=(const tracked&) = delete;
    ~tracked() {
        number = -2;
        --alive;
    }

    bool aligned() const { return reinterpret_cast<std::uintptr_t>(this) % Align == 0; }

    alignas(Align < alignof(int) ? alignof(int) : Align) int number;
    unsigned char padding[Bytes - sizeof(int)] = {};

private:
    void count() {
        ++alive;
        ++made;
        CHECK(aligned());
    }
};

/// Spawns a fiber whose closure holds a Payload and whose result is one.
template <class Payload>
fiber<Payload> spawn_with(int number, int yields = 0) {
    return spawn([payload = Payload(number), yields] {
        CHECK(payload.aligned());
        for (int i = 0; i < yields; ++i) {
            heddle::this_fiber::yield();
        }
        return Payload(payload.number + 1);
    });
}

// Every way in which a result can leave, and a closure.
template <class Payload>
void every_way_out() {
    Payload::alive = 0;
    in_fiber([] {
        CHECK(spawn_with<Payload>(1).join().number == 2);
        CHECK(Payload::alive == 0);

        { const auto dropped_before_start = spawn_with<Payload>(1); }
        CHECK(Payload::alive == 0);

        {
            const auto dropped_after_end = spawn_with<Payload>(1);
            let_others_run();
            CHECK(Payload::alive == 1);
        }
        CHECK(Payload::alive == 0);

        {
            auto assigned_over = spawn_with<Payload>(1);
            let_others_run();
            assigned_over = fiber<Payload>();
            CHECK(Payload::alive == 0);
        }

        spawn_with<Payload>(1).detach();
        CHECK(Payload::alive == 1);
        let_others_run();
        CHECK(Payload::alive == 0);

        auto detached_while_running = spawn_with<Payload>(1, 1);
        heddle::this_fiber::yield();
        detached_while_running.detach();
        let_others_run();
        CHECK(Payload::alive == 0);

        auto detached_after_end = spawn_with<Payload>(1);
        let_others_run();
        CHECK(Payload::alive == 1);
        detached_after_end.detach();
        CHECK(Payload::alive == 0);

        std::error_code code;
        auto joined_with_code = spawn_with<Payload>(5);
        CHECK(joined_with_code.join(code)->number == 6);
        CHECK(Payload::alive == 0);

        heddle::spawn_detached([payload = Payload(1)] { return Payload(payload.number); });
        let_others_run();
        CHECK(Payload::alive == 0);

        fiber<> ignored([payload = Payload(1)] { return Payload(payload.number); });
        ignored.join();
        CHECK(Payload::alive == 0);

        CHECK(fiber([](const Payload& argument) { return argument.number; }, Payload(8)).join() ==
              8);
        CHECK(Payload::alive == 0);

        fiber thrower([payload = Payload(1)]() -> Payload { throw payload.number; });
        CHECK_THROWS_AS(thrower.join(), int);
        CHECK(Payload::alive == 0);
    });

    auto outlives_run = heddle::run([] { return spawn_with<Payload>(1); });
    CHECK(Payload::alive == 1);
    CHECK(outlives_run.join().number == 2);
    CHECK(Payload::alive == 0);
    outlives_run = heddle::run([] { return spawn_with<Payload>(1); });
    CHECK(Payload::alive == 1);
    outlives_run = fiber<Payload>();
    CHECK(Payload::alive == 0);
    outlives_run = heddle::run([] { return spawn_with<Payload>(1); });
    outlives_run.detach();
    CHECK(Payload::alive == 0);
}

}  // namespace

TEST_CASE("closures and results of every size are destroyed exactly once on every way out") {
    on_both_atomic_paths([] {
        every_way_out<tracked<5>>();
        every_way_out<tracked<36>>();  // the closure just fits into the block
        every_way_out<tracked<40>>();  // the result does
        every_way_out<tracked<41>>();  // neither does
        every_way_out<tracked<4096>>();
    });
}

TEST_CASE("over-aligned closures and results lie where they must") {
    every_way_out<tracked<8, 8>>();
    every_way_out<tracked<16, 16>>();
    every_way_out<tracked<64, 64>>();
    every_way_out<tracked<8192, 4096>>();
}

TEST_CASE("a function without members and results without a default constructor are fine") {
    struct only_from_int {
        explicit only_from_int(int value) : number(value) {}
        int number;
    };
    in_fiber([] { CHECK(spawn([] { return only_from_int(3); }).join().number == 3); });
}

TEST_CASE("a result that can neither be copied nor moved can be made, and dropped") {
    struct immovable {
        int& destroyed;
        explicit immovable(int& count) : destroyed(count) {}
        immovable(const immovable&) = delete;
        ~immovable() { ++destroyed; }
    };
    int destroyed = 0;
    in_fiber([&] {
        fiber<> ignoring([&] { return immovable(destroyed); });
        ignoring.join();
        CHECK(destroyed == 1);
    });
}

namespace {

struct throws_when_copied {
    bool armed = true;
    throws_when_copied() = default;
    throws_when_copied(const throws_when_copied& other) : armed(other.armed) {
        if (armed) {
            throw std::runtime_error("copied");
        }
    }
    void operator()() const {}
};

// Throws when moved for the n-th time.
struct throws_when_moved {
    int* moves_left;
    explicit throws_when_moved(int& moves) : moves_left(&moves) {}
    throws_when_moved(throws_when_moved&& other) : moves_left(other.moves_left) {
        if (--*moves_left < 0) {
            throw std::runtime_error("moved");
        }
    }
};

}  // namespace

TEST_CASE("a closure that cannot be copied leaves no fiber behind") {
    in_fiber([] {
        const throws_when_copied bad;
        for (int round = 0; round < 3; ++round) {
            CHECK_THROWS_WITH_AS(static_cast<void>(spawn(bad)), "copied", std::runtime_error);
            CHECK_THROWS_WITH_AS(heddle::spawn_detached([](const auto&) {}, bad), "copied",
                                 std::runtime_error);
            CHECK_THROWS_WITH_AS(
                static_cast<void>(fiber([](const std::string&, const throws_when_copied&) {},
                                        std::string(100, 'x'), bad)),
                "copied", std::runtime_error);
            CHECK(heddle::get_statistics().fibers_alive == 1);
        }
        CHECK(fiber([] { return 1; }).join() == 1);
    });
}

TEST_CASE("a closure that throws when it is moved onto the fiber ends the fiber by that") {
    in_fiber([] {
        // As many moves as putting it into the block takes; the next one is the fiber's.
        int moves = 100;
        {
            const fiber probe([](const throws_when_moved&) {}, throws_when_moved(moves));
        }
        const int taken = 100 - moves;
        REQUIRE(taken >= 2);
        bool ran = false;
        moves = taken - 1;
        fiber child([&](const throws_when_moved&) { ran = true; }, throws_when_moved(moves));
        CHECK_THROWS_WITH_AS(child.join(), "moved", std::runtime_error);
        CHECK_FALSE(ran);
    });
}

TEST_CASE("a result that throws when it is moved out is destroyed, and the handle is empty") {
    struct result {
        std::string& log;
        explicit result(std::string& to) : log(to) {}
        result(result&& other) : log(other.log) { throw std::runtime_error("moved out"); }
        ~result() { log += "destroyed "; }
    };
    in_fiber([] {
        std::string log;
        fiber child([&] { return result(log); });
        CHECK_THROWS_WITH_AS(child.join(), "moved out", std::runtime_error);
        CHECK(log == "destroyed ");
        CHECK_FALSE(child.joinable());
    });
}

TEST_CASE("a result that throws while it is made ends the fiber by that") {
    struct result {
        explicit result(int) { throw std::runtime_error("made"); }
        char large[100] = {};
    };
    in_fiber([] {
        fiber child([] { return result(1); });
        CHECK_THROWS_WITH_AS(child.join(), "made", std::runtime_error);
    });
}

TEST_CASE("the destructor of a closure may wait") {
    in_fiber([] {
        bool joined = false;
        fiber child([inner = spawn([&] {
                         let_others_run();
                         joined = true;
                     })] { return 1; });
        CHECK(child.join() == 1);
        CHECK(joined);
    });
}

TEST_CASE("the destructor of a detached fiber's result may wait") {
    struct waits {
        int* ended;
        explicit waits(int& count) : ended(&count) {}
        waits(waits&& other) noexcept : ended(std::exchange(other.ended, nullptr)) {}
        ~waits() {
            if (ended != nullptr) {
                let_others_run();
                ++*ended;
            }
        }
    };
    in_fiber([] {
        int ended = 0;
        for (int i = 0; i < 10; ++i) {
            spawn([&] { return waits(ended); }).detach();
            // Each takes the stack that the one before has left.
            heddle::spawn_detached([] { let_others_run(); });
        }
        // The result of this one is a handle, which joins.
        spawn([&] { return spawn([&] { let_others_run(), ++ended; }); }).detach();
        for (int i = 0; i < 20; ++i) {
            let_others_run();
        }
        CHECK(ended == 11);
        CHECK(heddle::get_statistics().fibers_alive == 1);
    });
}

TEST_CASE("the destructor of a result may wait where its handle is dropped") {
    in_fiber([] {
        bool ended = false;
        {
            const fiber child([&] {
                return spawn([&] {
                    let_others_run();
                    ended = true;
                });
            });
            let_others_run();
        }
        CHECK(ended);
    });
}
