// Two libraries of one program, each of which uses heddle: the first makes fibers, the second has
// to do with them.
#pragma once

#include <heddle/fiber.hpp>

// Exported however the program is compiled.
#pragma GCC visibility push(default)

/// A fiber that returns `value` after it has given way.
heddle::fiber<int> first_spawns(int value);

/// A fiber that sleeps until it is stopped.
heddle::fiber<> first_sleeps();

/// Joins a fiber; -1 if that was cancelled, -2 if it threw a heddle error.
int second_joins(heddle::fiber<int> fiber);

/// Stops a fiber and says whether what it then ended by was known for heddle::cancelled.
bool second_stops(heddle::fiber<> fiber);

/// The number of the running fiber, as the second library sees it; 0 for none.
unsigned long long second_sees();

/// Spawns as the first does, in the second.
int second_spawns(int value);

#pragma GCC visibility pop
