// Everything a test of the runtime needs. Tests of arch/ and runtime/base/, which know nothing of
// fibers, include report.hpp and child.hpp alone.
#pragma once

#include "tests/support/child.hpp"
#include "tests/support/in_fiber.hpp"
#include "tests/support/report.hpp"
