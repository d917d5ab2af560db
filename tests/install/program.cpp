// What a user's first program asks of an installed heddle; tests/install/check builds and runs it.
#include <heddle/heddle.hpp>

#include <cstdio>
#include <string>

int main() {
    std::string order;
    heddle::run([&order] {
        const auto body = [&order](char name) {
            for (int turn = 0; turn < 2; ++turn) {
                order += name;
                heddle::this_fiber::yield();
            }
        };
        heddle::fiber first = heddle::spawn(body, 'a');
        heddle::fiber second = heddle::spawn(body, 'b');
        first.join();
        second.join();
    });
    std::puts(order.c_str());
    return order == "abab" ? 0 : 1;
}
