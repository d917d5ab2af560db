// The question (skynet_channel.hpp): how long does a tree of fibers take that hand up their numbers
// through channels, and how much memory? This is the answer of Boost.Fiber: of `post`, where all
// are alive at once, and of `dispatch`, where those of one branch are.
#include "../skynet_channel.hpp"
#include "boost_fibers.hpp"

#include <boost/fiber/buffered_channel.hpp>

#include <memory>
#include <utility>

namespace {

struct boost_channels {
    /// With room for all ten, so that no child waits in it, and none comes back to a channel that
    /// is gone.
    class channel {
    public:
        void send(std::uint64_t value) { values_.push(value); }
        std::uint64_t receive() { return values_.value_pop(); }

        struct reference {
            channel* to;
            void send(std::uint64_t value) const { to->send(value); }
        };
        reference link() { return {this}; }

    private:
        boost::fibers::buffered_channel<std::uint64_t> values_{16};
    };

    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    template <class F>
    static void spawn(F body) {
        boost::fibers::fiber(boost::fibers::launch::HEDDLE_BENCH_LAUNCH, std::allocator_arg,
                             bench::boost_stacks, std::move(body))
            .detach();
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::skynet_channel_main<boost_channels>(argc, argv);
}
