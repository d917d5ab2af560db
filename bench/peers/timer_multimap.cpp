// The question (timer.hpp): what does a wait with a deadline cost that ends before the deadline,
// when N other timers are armed? This is a floor: no fibers and no waiting, only a deadline that is
// put into std::multimap and taken out again by its iterator.
#include "../timer.hpp"

#include <map>

namespace {

std::multimap<std::chrono::steady_clock::time_point, std::int64_t*> timers;

struct tree {
    template <class F>
    static void run(F main_fiber) {
        main_fiber();
    }
    static void arm(const std::vector<bench::deadline>& all) {
        for (const bench::deadline& one : all)
            timers.emplace(one.due, nullptr);
    }
    static void wait(std::int64_t& ran, const bench::deadline& until) {
        const auto own = timers.emplace(until.due, &ran);
        ++*own->second;
        timers.erase(own);
    }
};

}  // namespace

int main(int argc, char** argv) {
    return bench::timer_main<tree>(argc, argv);
}
