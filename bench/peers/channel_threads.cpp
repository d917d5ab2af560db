// The question (channel.hpp): what does it cost to hand a value from fiber to fiber through a
// channel? This is the answer of threads of the system, all on one CPU: a queue under a mutex with
// condition variables.
#include "../channel.hpp"
#include "queue_channel.hpp"
#include "system_thread.hpp"

#include <condition_variable>

namespace {

struct system_channels : bench::system_threads {
    template <std::size_t Capacity>
    using channel = bench::queue_channel<Capacity, std::mutex, std::condition_variable>;
};

}  // namespace

int main(int argc, char** argv) {
    return bench::channel_main<system_channels>(argc, argv);
}
