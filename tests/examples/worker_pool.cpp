// A pool of workers: a few fibers that do many jobs, so that no more than a few are done at a time.
//
//     worker_pool
//
// Fibers are cheap, so the pool is not there to save them. It is for what is scarce: connections to
// a database, say, of which there are three here. The channel of jobs is bounded, so that whoever
// makes jobs faster than they are done has to wait: that is back-pressure, and keeps memory
// bounded.
#include <heddle/heddle.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;

constexpr int workers = 3;
constexpr std::size_t queued_max = 4;
constexpr int jobs_made = 50;

struct result {
    int job;
    std::optional<int> value;  // or else:
    std::string error;
};

struct pool {
    heddle::channel<int> jobs{queued_max};
    heddle::channel<result> results{queued_max};

    // How full it was at most. Fibers of one thread need no lock for such things.
    int unfinished = 0;
    int unfinished_max = 0;
    int running = 0;
    int running_max = 0;
};

// Stands for a query. One of them fails.
int query(int job) {
    heddle::this_fiber::sleep_for(100us);
    if (job == 13) {
        throw std::runtime_error("no row 13");
    }
    return job * job;
}

// Takes jobs until their channel is closed and empty. A job that fails is a result like any other,
// so that the rest go on.
void work(pool& in) {
    for (const int job : in.jobs) {
        in.running_max = std::max(in.running_max, ++in.running);
        result done{.job = job, .value = {}, .error = {}};
        try {
            done.value = query(job);
        } catch (const std::exception& error) {  // heddle::cancelled is none: it passes
            done.error = error.what();
        }
        --in.running;
        --in.unfinished;
        in.results.send(std::move(done));
    }
}

// Says how often there was no room at once.
int make_jobs(pool& in) {
    int waits = 0;
    for (int job = 0; job < jobs_made; ++job) {
        in.unfinished_max = std::max(in.unfinished_max, ++in.unfinished);
        if (!in.jobs.try_send(job)) {
            ++waits;
            in.jobs.send(job);
        }
    }
    in.jobs.close();
    return waits;
}

}  // namespace

int main() {
    return heddle::run([] {
        pool own;
        heddle::scope fibers;
        auto waits = fibers.spawn([&] { return make_jobs(own); });
        // The pool is a scope in a fiber: when all workers have ended, so have the results.
        fibers.spawn([&] {
            heddle::with_scope([&](heddle::scope& all) {
                for (int i = 0; i < workers; ++i) {
                    all.spawn([&] { work(own); });
                }
            });
            own.results.close();
        });

        std::vector<result> results;
        for (result& one : own.results) {
            results.push_back(std::move(one));
        }
        fibers.join();
        std::ranges::sort(results, {}, &result::job);  // they come as they were finished

        bool right = results.size() == jobs_made;
        for (const result& one : results) {
            if (one.value) {
                right &= *one.value == one.job * one.job;
            } else {
                std::printf("job %d: %s\n", one.job, one.error.c_str());
                right &= one.job == 13;
            }
        }
        std::printf("%zu results, at most %d jobs at a time\n", results.size(), own.running_max);
        // Beside those in the workers and in the channel, one waits in its maker's hand.
        right &= own.running_max <= workers;
        right &= own.unfinished_max <= workers + static_cast<int>(queued_max) + 1;
        right &= waits.get() > 0;
        return right ? 0 : 1;
    });
}
