// The version of these headers; the archive that a program links must be of the same.
//
// While the first number is 0, versions that differ in the second are different libraries.
#pragma once

#define HEDDLE_VERSION_MAJOR 0
#define HEDDLE_VERSION_MINOR 1
#define HEDDLE_VERSION_PATCH 0
