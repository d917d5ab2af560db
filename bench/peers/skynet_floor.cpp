// The question (skynet.hpp): how long does a tree of fibers take to grow and to be joined, and how
// much memory? This is the floor: no fibers, but a function that calls itself.
#include "../skynet.hpp"

namespace {

struct calls {
    struct handle {
        void join() const {}
    };

    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    template <auto Body, class Argument>
    [[gnu::noinline]] static handle spawn(Argument& argument) {
        Body(argument);
        return {};
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::skynet_main<calls>(argc, argv);
}
