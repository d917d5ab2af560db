// A second thread for a process. While there is only one, heddle and the C library do without
// atomic operations, which a program that has others does not get: so some things are asked both
// ways.
#pragma once

#include <semaphore>
#include <thread>

namespace bench {

/// A thread of the system that sleeps as long as this lives, if it is wanted.
class other_thread {
public:
    explicit other_thread(bool wanted) {
        if (wanted)
            thread_ = std::thread([this] { over_.acquire(); });
    }
    other_thread(const other_thread&) = delete;
    other_thread& operator=(const other_thread&) = delete;
    ~other_thread() {
        over_.release();
        if (thread_.joinable())
            thread_.join();
    }

private:
    std::binary_semaphore over_{0};
    std::thread thread_;
};

}  // namespace bench
