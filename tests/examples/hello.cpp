// The program of the README's first screen: two fibers that take turns, and one that gives a value.
#include <heddle/heddle.hpp>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;

int main() {
    return heddle::run([] {
        auto tick = heddle::spawn([] {
            for (int i = 1; i <= 3; ++i) {
                std::printf("tick %d\n", i);
                heddle::this_fiber::sleep_for(10ms);
            }
        });
        auto answer = heddle::spawn([](int a, int b) { return a * b; }, 6, 7);
        std::printf("the answer is %d\n", answer.join());
        tick.join();
        return 0;
    });
}
