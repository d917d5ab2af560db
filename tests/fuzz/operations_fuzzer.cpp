// What libFuzzer calls with the programs that it makes up; see play.hpp.
#include "tests/fuzz/play.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    heddle::fuzz::play({data, size});
    return 0;
}
