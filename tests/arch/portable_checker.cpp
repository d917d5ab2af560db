// Stands in for a port's checker where only Boost.Context knows the CPU: checks no register.
#include "checker.h"

extern "C" const char heddle_test_register_names[] = "";

std::intptr_t heddle_test_switch(heddle_context* from, const heddle_context* to,
                                 std::intptr_t value, std::uint64_t*) noexcept {
    return heddle_switch(from, to, value);
}

void heddle_test_entry(void* argument) {
    auto* const facts = static_cast<entry_facts*>(argument);
    facts->next(facts);
}
