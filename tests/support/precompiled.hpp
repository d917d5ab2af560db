// What most test files include, precompiled for suites of many files. No file includes this one,
// and each still includes what it uses: the gcc configuration compiles without it.
#include <heddle/heddle.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>
