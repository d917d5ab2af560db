// The question (skynet_channel.hpp): how long does a tree of fibers take that hand up their numbers
// through channels, and how much memory? This is the answer of State Threads, which have none: ten
// numbers and a condition. All its threads are alive at once.
#include "../skynet_channel.hpp"
#include "state_threads.hpp"

#include <array>
#include <memory>
#include <utility>

namespace {

struct state_thread_channels {
    /// With room for all ten, so that no child waits in it, and none comes back to a channel that
    /// is gone.
    class channel {
    public:
        channel() = default;
        channel(const channel&) = delete;
        channel& operator=(const channel&) = delete;
        ~channel() { st_cond_destroy(filled_); }

        void send(std::uint64_t value) {
            values_[sent_++] = value;
            st_cond_signal(filled_);
        }
        std::uint64_t receive() {
            while (received_ == sent_)
                st_cond_wait(filled_);
            return values_[received_++];
        }

        struct reference {
            channel* to;
            void send(std::uint64_t value) const { to->send(value); }
        };
        reference link() { return {this}; }

    private:
        st_cond_t filled_ = st_cond_new();
        std::array<std::uint64_t, bench::fan_out> values_;
        std::size_t sent_ = 0;
        std::size_t received_ = 0;
    };

    template <class F>
    static void run(F main_fiber) {
        bench::begin_state_threads();
        main_fiber();
    }
    template <class F>
    static void spawn(F body) {
        const auto enter = [](void* passed) -> void* {
            const std::unique_ptr<F> child(static_cast<F*>(passed));
            (*child)();
            return nullptr;
        };
        constexpr int stack_bytes = 64 * 1024;
        if (st_thread_create(enter, new F(std::move(body)), 0, stack_bytes) == nullptr)
            bench::give_up("State Threads refuse another thread");
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::skynet_channel_main<state_thread_channels>(argc, argv);
}
