// A histogram of latencies with a bounded relative error and a fixed size.
//
// Each power of two of nanoseconds is cut into 128 equal parts, so a recorded value is off by less
// than 0.8 %; recording is two shifts and an increment. Values from 0 to 2^40 ns (18 minutes).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace bench {

class histogram {
public:
    void record(std::uint64_t nanoseconds) {
        const std::uint64_t value = std::min(nanoseconds, value_max);
        ++counts_[slot(value)];
        ++count_;
        max_ = std::max(max_, value);
    }

    /// The smallest recorded value that at least this part (0 to 1) of all values do not exceed,
    /// to the precision of a slot; 0 when nothing was recorded.
    std::uint64_t quantile(double part) const {
        const auto wanted =
            static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(count_)));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen >= wanted && seen > 0)
                return std::min(highest_of(i), max_);
        }
        return 0;
    }

    std::uint64_t max() const { return max_; }

private:
    static constexpr unsigned part_bits = 7;
    static constexpr unsigned value_bits = 40;
    static constexpr std::uint64_t value_max = (std::uint64_t{1} << value_bits) - 1;
    static constexpr std::size_t slots = (value_bits - part_bits + 1) << part_bits;

    /// Values below 2^part_bits have a slot each. Above, `shift` drops the bits that do not count,
    /// and what remains lies between 2^part_bits and 2^(part_bits + 1).
    static std::size_t slot(std::uint64_t value) {
        if (value >> part_bits == 0)
            return value;
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - part_bits - 1;
        return (std::size_t{shift} << part_bits) + (value >> shift);
    }
    static std::uint64_t highest_of(std::size_t slot) {
        if (slot >> part_bits <= 1)
            return slot;
        const std::size_t shift = (slot >> part_bits) - 1;
        const std::size_t rest = slot - (shift << part_bits);
        return ((rest + 1) << shift) - 1;
    }

    std::array<std::uint64_t, slots> counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t max_ = 0;
};

}  // namespace bench
