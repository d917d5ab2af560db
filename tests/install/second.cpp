#include "libraries.hpp"

#include <heddle/heddle.hpp>

#include <system_error>

int second_joins(heddle::fiber<int> fiber) {
    try {
        return fiber.join();
    } catch (const heddle::cancelled&) {
        return -1;
    } catch (const std::system_error&) {
        return -2;
    }
}

bool second_stops(heddle::fiber<> fiber) {
    heddle::this_fiber::yield();
    fiber.request_stop();
    std::error_code code;
    fiber.join(code);
    return code == std::errc::operation_canceled;
}

unsigned long long second_sees() {
    return heddle::this_fiber::get_id().number();
}

int second_spawns(int value) {
    return heddle::spawn([value] { return value; }).join();
}
