// A user's program for the checking tools: `program SCENE [COUNT]` does one thing, right or wrong.
//
// tests/tools/check builds it with and without a tool, against archives with and without, and says
// for each scene what the tool has to report.
#include <heddle/heddle.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using heddle::fiber;
using heddle::this_fiber::yield;

// Where pointers are put that the compiler shall not follow.
void* volatile anything;

[[gnu::noinline]] void fill(char* bytes, std::size_t count) {
    anything = bytes;
    std::memset(static_cast<char*>(anything), 1, count);
}

[[noreturn, gnu::noinline]] void give_up(int depth) {
    char frame[64];
    fill(frame, sizeof frame);
    if (depth > 0) {
        give_up(depth - 1);
    }
    throw std::runtime_error("given up");
}

// Frames with arrays, left in every way: by return, by an exception over many of them, and for
// good, with some in the middle of a wait.
int live(int number) {
    char frame[256];
    fill(frame, sizeof frame);
    if (number % 3 == 0) {
        yield();
    }
    try {
        if (number % 2 == 0) {
            give_up(number % 16);
        }
    } catch (const std::runtime_error&) {
        yield();
        if (number % 4 == 0) {
            throw;
        }
    }
    return frame[number % 256];
}

void reuse_stacks(int count) {
    int thrown = 0;
    heddle::run([&] {
        for (int i = 0; i < count; i += 4) {
            std::vector<fiber<int>> four;
            for (int j = 0; j < 4; ++j) {
                four.emplace_back(live, i + j);
            }
            for (fiber<int>& one : four) {
                try {
                    one.join();
                } catch (const std::runtime_error&) {
                    ++thrown;
                }
            }
        }
        heddle::spawn_detached([] { heddle::this_fiber::sleep_until(heddle::deadline::never()); });
        yield();
    });
    std::printf("%d of %d threw\n", thrown, count);
}

void use_after_scope() {
    heddle::run([] {
        fiber([] {
            {
                int local = 1;
                anything = &local;
                yield();
            }
            yield();
            *static_cast<volatile int*>(anything) = 2;
        }).join();
    });
}

[[gnu::noinline]] void leave_local() {
    int local = 1;
    anything = &local;
    yield();
}

void use_after_return() {
    heddle::run([] {
        fiber([] {
            leave_local();
            yield();
            *static_cast<volatile int*>(anything) = 2;
        }).join();
    });
}

int shared = 0;

// A fiber of each of two threads adds to the same number, guarded or not.
void two_threads(bool guarded) {
    static std::mutex lock;
    static std::atomic<int> begun = 0;
    const auto add = [guarded] {
        heddle::run([guarded] {
            fiber([guarded] {
                // Both at once, or the locks inside run() would order them; relaxed, or this would.
                begun.fetch_add(1, std::memory_order_relaxed);
                while (begun.load(std::memory_order_relaxed) < 2) {
                    std::this_thread::yield();
                }
                for (int i = 0; i < 100; ++i) {
                    std::unique_lock guard(lock, std::defer_lock);
                    if (guarded) {
                        guard.lock();
                    }
                    ++shared;
                    if (guarded) {
                        guard.unlock();
                    }
                    yield();
                }
            }).join();
        });
    };
    std::thread other(add);
    add();
    other.join();
}

// What a fiber wrote is read by the thread that joins it, and by fibers of its own thread.
void hand_over() {
    heddle::run([] {
        fiber producer([] {
            heddle::this_fiber::sleep_for(std::chrono::milliseconds(1));
            shared = 1;
        });
        std::atomic<bool> joined = false;
        std::thread other([&] {
            producer.join();
            ++shared;
            joined = true;
        });
        while (!joined) {
            yield();
        }
        fiber([] { ++shared; }).join();
        other.join();
        std::printf("%d\n", shared);
    });
}

// Leaves with exit() while a fiber waits that has the only pointer to its memory; so have a fiber
// that was never started, and the frames under run().
void keep_in_parked() {
    int* volatile mine = new int[25];
    heddle::run([] {
        heddle::spawn_detached([] {
            int* volatile only = new int[100];
            heddle::this_fiber::sleep_until(heddle::deadline::never());
            delete[] only;
        });
        yield();
        int* const carried = new int[50];
        heddle::spawn_detached([carried] { delete[] carried; });
        std::exit(0);
    });
    delete[] mine;
}

[[gnu::noinline]] void lose() {
    anything = new int[100];
    anything = nullptr;
}

void really_leak() {
    heddle::run([] {
        fiber([] {
            lose();
            yield();
        }).join();
        heddle::spawn_detached([] { heddle::this_fiber::sleep_until(heddle::deadline::never()); });
        yield();
        std::exit(0);
    });
}

void read_uninitialised() {
    heddle::run([] {
        fiber([] {
            int number[2];
            anything = number;
            yield();
            if (static_cast<volatile int*>(anything)[1] == 5) {
                std::puts("five");
            }
        }).join();
    });
}

}  // namespace

int main(int argc, char** argv) {
    const std::string scene = argc > 1 ? argv[1] : "";
    if (scene == "reuse-stacks") {
        reuse_stacks(argc > 2 ? std::atoi(argv[2]) : 1000);
    } else if (scene == "use-after-scope") {
        use_after_scope();
    } else if (scene == "use-after-return") {
        use_after_return();
    } else if (scene == "race" || scene == "no-race") {
        two_threads(scene == "no-race");
    } else if (scene == "hand-over") {
        hand_over();
    } else if (scene == "kept") {
        keep_in_parked();
    } else if (scene == "leak") {
        really_leak();
    } else if (scene == "uninitialised") {
        read_uninitialised();
    } else {
        std::puts("no such scene");
        return 2;
    }
    return 0;
}
