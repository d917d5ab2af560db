// The question (channel.hpp): what does it cost to hand a value from fiber to fiber through a
// channel? This is the answer of State Threads, which have none: a queue with conditions.
#include "../channel.hpp"
#include "queue_channel.hpp"
#include "state_thread_condition.hpp"

namespace {

struct state_thread_channels : bench::state_threads {
    template <std::size_t Capacity>
    using channel = bench::queue_channel<Capacity, bench::no_mutex, bench::state_thread_condition>;
};

}  // namespace

int main(int argc, char** argv) {
    return bench::channel_main<state_thread_channels>(argc, argv);
}
