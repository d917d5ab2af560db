// The question (skynet_channel.hpp): how long does a tree of fibers take that hand up their numbers
// through channels, and how much memory? This is heddle's answer. Its channels have room for all
// ten numbers; without room each child keeps its stack until its parent takes the number, which
// takes seven times as long.
#include "skynet_channel.hpp"
#include "heddle_fibers.hpp"

#include <utility>

namespace {

struct heddle_channels {
    class channel {
    public:
        void send(std::uint64_t value) const { values_.send(value); }
        std::uint64_t receive() const { return values_.recv().value(); }
        channel link() const { return *this; }

    private:
        heddle::channel<std::uint64_t> values_{bench::fan_out};
    };

    template <class F>
    static void run(F main_fiber) {
        bench::heddle_fibers::run(main_fiber);
    }
    template <class F>
    static void spawn(F body) {
        heddle::spawn_detached(std::move(body));
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::skynet_channel_main<heddle_channels>(argc, argv);
}
