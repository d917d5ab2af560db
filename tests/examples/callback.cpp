// A library that reports by callback, used as if it waited: three lines make it so.
#include <heddle/heddle.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

using namespace std::chrono_literals;

namespace {

/// Stands for somebody else's library: it works in a thread of its own, and calls back from there.
class word_counter {
public:
    using callback = std::function<void(std::size_t words)>;

    /// Counts the words of `text`, and reports their number later.
    void count(std::string text, callback report) {
        const std::lock_guard guard(lock_);
        jobs_.emplace_back(std::move(text), std::move(report));
        changed_.notify_one();
    }

private:
    void work(const std::stop_token& stop) {
        std::unique_lock guard(lock_);
        while (changed_.wait(guard, stop, [this] { return !jobs_.empty(); })) {
            const auto [text, report] = std::move(jobs_.front());
            jobs_.pop_front();
            guard.unlock();
            if (!text.empty()) {
                report(static_cast<std::size_t>(std::count(text.begin(), text.end(), ' ')) + 1);
            }  // else the library forgets to: it has its faults
            guard.lock();
        }
    }

    std::mutex lock_;
    std::condition_variable_any changed_;
    std::deque<std::pair<std::string, callback>> jobs_;
    std::jthread thread_{[this](const std::stop_token& stop) { work(stop); }};
};

/// The same, waiting: the other fibers go on meanwhile.
std::size_t count_words(word_counter& library, const std::string& text) {
    return heddle::await_callback<std::size_t>([&](auto done) { library.count(text, done); }, 10s);
}

}  // namespace

int main() {
    word_counter library;
    return heddle::run([&] {
        auto other = heddle::spawn([&] { return count_words(library, "in another fiber"); });
        std::printf("%zu words\n", count_words(library, "the warp goes up and down"));
        std::printf("%zu words\n", other.join());
        try {
            count_words(library, "");
        } catch (const std::system_error& error) {
            std::printf("no answer: %s\n", error.code() == std::future_errc::broken_promise
                                               ? "the library has dropped the callback"
                                               : error.what());
        }
        return 0;
    });
}
