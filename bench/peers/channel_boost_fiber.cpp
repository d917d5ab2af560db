// The question (channel.hpp): what does it cost to hand a value from fiber to fiber through a
// channel? This is the answer of Boost.Fiber at its best: boost_stacks.hpp and launch::post. Its
// buffers hold a power of two less one; here that is never fewer than asked for.
#include "../channel.hpp"
#include "boost_fibers.hpp"

#include <boost/fiber/buffered_channel.hpp>
#include <boost/fiber/unbuffered_channel.hpp>

#include <type_traits>

namespace {

using status = boost::fibers::channel_op_status;

struct boost_channels : bench::boost_fibers {
    template <std::size_t Capacity>
    class channel {
        using unbuffered = boost::fibers::unbuffered_channel<std::uint64_t>;
        struct buffered : boost::fibers::buffered_channel<std::uint64_t> {
            buffered() : buffered_channel(2 * Capacity) {}
        };

    public:
        void send(std::uint64_t value) {
            if (values_.push(value) != status::success)
                bench::give_up("a channel does not take a value");
        }
        bool take(std::uint64_t& value) { return values_.pop(value) == status::success; }
        void close() { values_.close(); }

    private:
        std::conditional_t<Capacity == 0, unbuffered, buffered> values_;
    };
};

}  // namespace

int main(int argc, char** argv) {
    return bench::channel_main<boost_channels>(argc, argv);
}
