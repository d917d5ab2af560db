// The small tools of base/ that need no file of their own: atomics, random numbers, owning_fd.
#include "runtime/base/owning_fd.hpp"
#include "runtime/base/random.hpp"
#include "runtime/base/system.hpp"

#include "heddle/detail/atomics.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <cerrno>
#include <cstdint>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::test {
namespace {

using detail::owning_fd;
using detail::random_sequence;

// Runs the rest of a test on the path that is used while other threads exist.
class atomic_path {
public:
    atomic_path() = default;
    atomic_path(const atomic_path&) = delete;
    atomic_path& operator=(const atomic_path&) = delete;
#ifdef HEDDLE_KNOWS_SINGLE_THREADED
    ~atomic_path() {
        __libc_single_threaded = before_;
    }

private:
    char before_ = std::exchange(__libc_single_threaded, char{0});
#endif
};

void check_operations() {
    std::atomic<std::uint32_t> word = 5;
    CHECK_FALSE(detail::exchange_if(word, 4U, 9U));
    CHECK(word == 5);
    CHECK(detail::exchange_if(word, 5U, 9U));
    CHECK(word == 9);
    CHECK(detail::exchange(word, 1U) == 9);
    CHECK(word == 1);
    CHECK(detail::set_bits(word, 6U) == 1);
    CHECK(word == 7);
    CHECK(detail::set_bits(word, 2U) == 7);
    CHECK(word == 7);
    int target = 0;
    std::atomic<int*> pointer = nullptr;
    CHECK(detail::exchange_if<int*>(pointer, nullptr, &target));
    CHECK(detail::exchange<int*>(pointer, nullptr) == &target);
    std::atomic<std::uint8_t> narrow = 0x80;
    CHECK(detail::set_bits(narrow, std::uint8_t{0x41}) == 0x80);
    CHECK(narrow == 0xc1);
}

TEST_CASE("atomic operations do the same with one thread and with many") {
    check_operations();
    const atomic_path forced;
    CHECK_FALSE(detail::single_threaded());
    check_operations();
}

TEST_CASE("atomic operations lose nothing between two threads") {
    // No path is forced: a program that has a second thread must not be taken for one without.
    std::atomic<std::uint64_t> sum = 0;
    std::atomic<std::uint32_t> turn = 0;
    constexpr int rounds = 20000;
    const auto add = [&] {
        for (int done = 0; done < rounds;) {
            const std::uint64_t seen = sum.load();
            done += detail::exchange_if(sum, seen, seen + 1) ? 1 : 0;
        }
        detail::set_bits(turn, 1U);
    };
    std::thread other(add);
    CHECK_FALSE(detail::single_threaded());
    add();
    other.join();
    CHECK(sum == 2 * rounds);
    CHECK(detail::exchange(turn, 0U) == 1);
}

TEST_CASE("a sequence of random numbers follows from its seed alone") {
    // The first outputs of SplitMix64 for the seed 1234567, as published with the algorithm.
    random_sequence known(1234567);
    CHECK(known.next() == 6457827717110365317U);
    CHECK(known.next() == 3203168211198807973U);
    CHECK(known.next() == 9817491932198370423U);
    random_sequence one(42);
    random_sequence same(42);
    random_sequence other(43);
    std::set<std::uint64_t> distinct;
    for (int i = 0; i < 1000; ++i) {
        const std::uint64_t number = one.next();
        REQUIRE(number == same.next());
        distinct.insert(number);
        distinct.insert(other.next());
    }
    CHECK(distinct.size() == 2000);
}

TEST_CASE("random numbers stay below their limit and reach every value") {
    random_sequence random(7);
    for (const std::uint64_t limit : {1U, 2U, 3U, 10U}) {
        std::vector<int> hits(limit);
        for (int i = 0; i < 1000; ++i) {
            const std::uint64_t number = random.below(limit);
            REQUIRE(number < limit);
            ++hits[number];
        }
        for (const int count : hits) {
            CHECK(count > 0);
        }
    }
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

TEST_CASE("an owning_fd closes its descriptor, once") {
    int fd = -1;
    {
        const owning_fd owner(detail::sys::eventfd());
        fd = owner.get();
        CHECK(owner);
        CHECK(is_open(fd));
    }
    CHECK_FALSE(is_open(fd));
    owning_fd owner(detail::sys::eventfd());
    fd = owner.get();
    owner.reset();
    CHECK_FALSE(is_open(fd));
    CHECK_FALSE(owner);
    const owning_fd next(detail::sys::eventfd());
    CHECK(next.get() == fd);
    owner.reset();  // must not close the number's new owner
    CHECK(is_open(fd));
}

TEST_CASE("an owning_fd hands its descriptor on") {
    owning_fd first(detail::sys::eventfd());
    const int fd = first.get();
    owning_fd second(std::move(first));
    CHECK_FALSE(first);  // NOLINT(bugprone-use-after-move): this is what is tested
    CHECK(second.get() == fd);
    owning_fd third(detail::sys::eventfd());
    const int replaced = third.get();
    third = std::move(second);
    CHECK(third.get() == fd);
    CHECK_FALSE(is_open(replaced));
    owning_fd& alias = third;
    third = std::move(alias);
    CHECK(third.get() == fd);
    CHECK(is_open(fd));
    owning_fd fourth;
    fourth.swap(third);
    CHECK_FALSE(third);
    const int released = fourth.release();
    CHECK(released == fd);
    CHECK_FALSE(fourth);
    CHECK(is_open(fd));
    detail::sys::close(released);
}

TEST_CASE("an owning_fd of a failed call keeps the error number and closes nothing") {
    owning_fd nothing(-EMFILE);
    CHECK_FALSE(nothing);
    CHECK(nothing.get() == -EMFILE);
    nothing.reset();
    CHECK(owning_fd().get() == -1);
}

}  // namespace
}  // namespace heddle::test
