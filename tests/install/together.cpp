// A program that uses heddle through two libraries and itself. All three are to see the same
// fibers; where the second library has a copy of heddle of its own, it is to say so.
#include "libraries.hpp"

#include <heddle/heddle.hpp>

#include <cstdio>

namespace {

bool see_the_same() {
    const auto here = heddle::this_fiber::get_id().number();
    return second_spawns(4) == 4 && second_sees() == here && second_joins(first_spawns(3)) == 3 &&
           second_stops(first_sleeps());
}

}  // namespace

int main() {
    const bool good = heddle::run(see_the_same);
    std::puts(good ? "together" : "not as it should be");
    return good ? 0 : 1;
}
