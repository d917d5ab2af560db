#include "libraries.hpp"

#include <heddle/heddle.hpp>

heddle::fiber<int> first_spawns(int value) {
    return heddle::spawn([value] {
        heddle::this_fiber::yield();
        return value;
    });
}

heddle::fiber<> first_sleeps() {
    return heddle::spawn([] { heddle::this_fiber::sleep_until(heddle::deadline::never()); });
}
