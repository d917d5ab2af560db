// The smallest program that uses heddle.
#include <heddle/runtime.hpp>

int main() {
    heddle::run([] {});
}
