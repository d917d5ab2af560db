// Pipelines: stages that each do one thing, in a fiber of their own, joined by channels.
//
//     pipeline
//
// The first one counts words, and ends from the front: when the text is over, each stage closes
// its output, and so the end travels on. The second one sieves primes, and ends from the back: its
// numbers would never end, but when the last stage has enough it closes its input, and each stage
// before it finds that nobody takes its output any more.
#include <heddle/heddle.hpp>

#include <cctype>
#include <cstddef>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

// A stage keeps one of these for each of its channels. However the stage ends, by the end of its
// input or by an exception, its neighbours learn of it.
template <class T>
struct closed_at_end {
    const heddle::channel<T>& joint;
    ~closed_at_end() { joint.close(); }
};

// Sends, and says whether somebody takes it still.
template <class T>
bool pass_on(const heddle::channel<T>& to, T value) {
    std::error_code failed;
    to.send(std::move(value), failed);
    return !failed;
}

using texts = heddle::channel<std::string>;

void split(const std::string& text, const texts& words) {
    const closed_at_end<std::string> end{words};
    std::istringstream in(text);
    for (std::string word; in >> word;) {
        if (!pass_on(words, word)) {
            return;
        }
    }
}

// Words without what is no letter, and in small ones.
void clean(const texts& words, const texts& clean_words) {
    const closed_at_end<std::string> front{words};
    const closed_at_end<std::string> end{clean_words};
    for (const std::string& word : words) {
        std::string letters;
        for (const char c : word) {
            if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
                letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
            }
        }
        if (!letters.empty() && !pass_on(clean_words, letters)) {
            return;
        }
    }
}

std::map<std::string, int> count_words(const std::string& text) {
    const texts words(16);  // so many may wait between two stages; with 0 they would meet for each
    const texts clean_words(16);
    heddle::scope stages;
    stages.spawn(split, text, words);
    stages.spawn(clean, words, clean_words);
    std::map<std::string, int> counts;
    for (const std::string& word : clean_words) {
        ++counts[word];
    }
    stages.join();  // throws what a stage has thrown
    return counts;
}

using numbers = heddle::channel<int>;

void count_up(const numbers& out) {
    for (int number = 2; pass_on(out, number); ++number) {
    }
}

void drop_multiples(int of, const numbers& in, const numbers& out) {
    const closed_at_end<int> front{in};
    const closed_at_end<int> end{out};
    for (const int number : in) {
        if (number % of != 0 && !pass_on(out, number)) {
            return;
        }
    }
}

// The sieve of Eratosthenes with a stage for each prime: what passes them all is the next one.
std::vector<int> first_primes(std::size_t count) {
    heddle::scope stages;
    numbers last;
    stages.spawn(count_up, last);
    std::vector<int> primes;
    while (primes.size() < count) {
        primes.push_back(last.recv().value());
        numbers next;
        stages.spawn(drop_multiples, primes.back(), last, next);
        last = next;
    }
    last.close();
    stages.join();
    return primes;
}

}  // namespace

int main() {
    return heddle::run([] {
        const auto counts = count_words("A fiber that waits for a channel waits alone: its thread "
                                        "runs another fiber. The channel wakes the fiber.");
        for (const auto& [word, count] : counts) {
            if (count > 1) {
                std::printf("%s: %d\n", word.c_str(), count);
            }
        }
        const std::vector<int> primes = first_primes(100);
        std::printf("the 100th prime: %d\n", primes.back());
        return counts.at("fiber") == 3 && primes.back() == 541 ? 0 : 1;
    });
}
