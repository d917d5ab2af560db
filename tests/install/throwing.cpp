// The part of bare.cpp's program that is compiled with exceptions. Both use the same templates of
// heddle's with the same arguments, and each must get its own.
#include <heddle/heddle.hpp>

#include <stdexcept>

void throw_at_caller();
bool joining_still_throws();

void throw_at_caller() {
    throw std::runtime_error("from a library");
}

bool joining_still_throws() {
    heddle::fiber thrower(throw_at_caller);
    std::error_code code;
    try {
        thrower.join(code);
    } catch (const std::runtime_error&) {
        return true;
    }
    return false;
}
