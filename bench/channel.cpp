// The question (channel.hpp): what does it cost to hand a value from fiber to fiber through a
// channel? This is heddle's answer.
#include "channel.hpp"
#include "heddle_fibers.hpp"

#include <optional>

namespace {

struct heddle_channels : bench::heddle_fibers {
    template <std::size_t Capacity>
    class channel {
    public:
        void send(std::uint64_t value) { values_.send(value); }
        bool take(std::uint64_t& value) {
            const std::optional<std::uint64_t> taken = values_.recv();
            value = taken.value_or(0);
            return taken.has_value();
        }
        void close() { values_.close(); }

    private:
        heddle::channel<std::uint64_t> values_{Capacity};
    };
};

}  // namespace

int main(int argc, char** argv) {
    return bench::channel_main<heddle_channels>(argc, argv);
}
