// The question (timer.hpp): what does a wait with a deadline cost that ends before the deadline,
// when N other timers are armed? This is a floor: no fibers and no waiting, only a deadline that is
// put into a binary heap and taken out again, wherever it is. Every timer knows its place.
#include "../timer.hpp"

#include <utility>

namespace {

struct timer {
    std::chrono::steady_clock::time_point due;
    std::size_t place = 0;
};

std::vector<timer> armed;  // all but the one that comes and goes
std::vector<timer*> heap;  // each is due no later than those at twice its place and one or two on

void put(std::size_t place, timer* one) {
    heap[place] = one;
    one->place = place;
}

void rise(std::size_t place, timer* one) {
    while (place > 0 && one->due < heap[(place - 1) / 2]->due) {
        put(place, heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(place, one);
}

void sink(std::size_t place, timer* one) {
    for (;;) {
        std::size_t child = 2 * place + 1;
        if (child + 1 < heap.size() && heap[child + 1]->due < heap[child]->due)
            ++child;
        if (child >= heap.size() || one->due <= heap[child]->due)
            break;
        put(place, heap[child]);
        place = child;
    }
    put(place, one);
}

void add(timer& one) {
    heap.push_back(nullptr);
    rise(heap.size() - 1, &one);
}

void remove(const timer& one) {
    timer* const last = heap.back();
    heap.pop_back();
    if (last == &one)
        return;
    if (last->due < one.due)
        rise(one.place, last);
    else
        sink(one.place, last);
}

struct binary_heap {
    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    static void arm(const std::vector<bench::deadline>& all) {
        armed.reserve(all.size());
        heap.reserve(all.size() + 1);
        for (const bench::deadline& one : all)
            add(armed.emplace_back(timer{one.due}));
    }
    static void wait(std::int64_t& ran, const bench::deadline& until) {
        timer own{until.due};
        add(own);
        ran += heap[own.place] == &own ? 1 : 0;
        remove(own);
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::timer_main<binary_heap>(argc, argv);
}
