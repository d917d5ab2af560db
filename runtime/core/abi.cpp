// The archive's side of heddle/detail/abi.hpp.
#include <heddle/detail/abi.hpp>

const char HEDDLE_ARCHIVE = 0;
