// dump(): one line per fiber with its id, name, state, wait and place of spawning.
#include "helpers.hpp"
#include "runtime/base/modules.hpp"
#include "runtime/base/text.hpp"
#include "runtime/core/worker.hpp"
#include "tests/support/support.hpp"

#include "heddle/io.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <regex.h>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace heddle::test;
using namespace std::chrono_literals;
using heddle::fiber;
using heddle::spawn;

namespace {

/// The line of the list that is about this fiber; others may name it as the one they wait for.
std::string line_of(const std::string& name, const std::string& list = dumped()) {
    std::istringstream lines(list);
    std::string line;
    while (std::getline(lines, line)) {
        if (contains(line.substr(0, line.find(',')), '"' + name + '"')) {
            return line;
        }
    }
    return "no line";
}

// A POSIX extended regular expression; std::regex makes gcc 12 warn under sanitizers.
bool matches(const std::string& line, const std::string& pattern) {
    regex_t compiled;
    REQUIRE(::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB) == 0);
    const bool found = ::regexec(&compiled, line.c_str(), 0, nullptr, 0) == 0;
    ::regfree(&compiled);
    return found;
}

}  // namespace

TEST_CASE("a test case that is out of time lists its fibers") {
    const auto child = run_child([] {
        heddle::run([] {
            const fiber sleeper({.name = "sleeper"}, sleep_for_ever);
            let_others_run();
            ::raise(SIGALRM);  // as the time limit does
        });
    });
    CAPTURE(child.output);
    CHECK(contains(child.output, "out of time in test case \"a test case that is out of time"));
    CHECK(contains(child.output, "\"sleeper\", waiting: sleeping"));
    CHECK(contains(child.output, "heddle: 2 fibers"));
    CHECK(child.signal == SIGABRT);
}

TEST_CASE("the list outside of run is empty") {
    CHECK(dumped() == "heddle: 0 fibers\n");
}

TEST_CASE("the list counts the fibers and shows each on a line of its own") {
    in_fiber([] {
        CHECK(matches(dumped(), "^heddle:   fiber [0-9]+ \"main\", running, spawned at [^\n]+\n"
                                "heddle: 1 fiber\n$"));
        const fiber<> other([] {});
        const std::string list = dumped();
        CHECK(std::count(list.begin(), list.end(), '\n') == 3);
        CHECK(contains(list, "heddle: 2 fibers\n"));
        CHECK(contains(list, "fiber " + std::to_string(other.get_id().number()) + ","));
    });
}

TEST_CASE("the list shows every state") {
    in_fiber([] {
        fiber<> unstarted({.name = "unstarted"}, [] {});
        CHECK(matches(line_of("unstarted"), ", not started, spawned at "));
        fiber<> runnable({.name = "runnable"}, [] { let_others_run(); });
        heddle::this_fiber::yield();
        CHECK(matches(line_of("runnable"), ", runnable, spawned at "));
        CHECK(matches(line_of("unstarted"), ", finished, its handle is not joined, spawned at "));
        CHECK(matches(line_of("main"), ", running, spawned at "));
        fiber<std::string> running({.name = "running"}, [] { return dumped(); });
        const std::string list = running.join();
        CHECK(matches(line_of("running", list), ", running, spawned at "));
        CHECK(matches(line_of("main", list), ", waiting: joining fiber "));
        unstarted.join();
        CHECK(line_of("unstarted") == "no line");
    });
}

TEST_CASE("a fiber that outlives its run in a handle is listed as finished") {
    fiber<> left = heddle::run([] { return spawn({.name = "left over"}, sleep_for_ever); });
    CHECK(contains(line_of("left over"), "finished"));
    CHECK(contains(dumped(), "heddle: 1 fiber\n"));
    left = fiber<>();
    CHECK(dumped() == "heddle: 0 fibers\n");
}

TEST_CASE("the list says what a fiber waits for, and since when") {
    int ends[2] = {};
    REQUIRE(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    while (::write(ends[1], "full", 4) > 0) {
    }
    int empty[2] = {};
    REQUIRE(::pipe2(empty, O_NONBLOCK | O_CLOEXEC) == 0);
    in_fiber([&] {
        fiber<> sleeps({.name = "sleeps"}, sleep_for_ever);
        const std::string sleeper = std::to_string(sleeps.get_id().number());
        fiber<> joins({.name = "joins"}, [&] { sleeps.join(); });
        fiber<> deaf({.name = "deaf"}, [] {
            std::error_code code;
            while (!code) {
                heddle::this_fiber::sleep_for(1us, code);
            }
            let_others_run();
        });
        fiber<> drops({.name = "drops"}, [&] { const fiber<> dropped = std::move(deaf); });
        fiber<> readable({.name = "readable"}, [&] { heddle::wait_readable(empty[0]); });
        fiber<> writable({.name = "writable"}, [&] { heddle::wait_writable(ends[1]); });
        fiber<> reads({.name = "reads"}, [&] {
            char byte[1];
            heddle::read(empty[0], byte);
        });
        fiber<> writes({.name = "writes"}, [&] { heddle::write(ends[1], "x"); });
        heddle::this_fiber::yield();
        const std::string list = dumped();
        const auto waits = [&](const std::string& name, const std::string& why) {
            CAPTURE(name);
            CHECK(matches(line_of(name, list),
                          ", waiting: " + why + ", for [0-9]+\\.[0-9]{3} s, spawned at "));
        };
        waits("sleeps", "sleeping");
        waits("joins", "joining fiber " + sleeper + " \"sleeps\"");
        waits("drops", "joining in a destructor fiber [0-9]+ \"deaf\"");
        waits("readable", "until readable, descriptor " + std::to_string(empty[0]));
        waits("writable", "until writable, descriptor " + std::to_string(ends[1]));
        waits("reads", "reading from descriptor " + std::to_string(empty[0]));
        waits("writes", "writing to descriptor " + std::to_string(ends[1]));
    });
    for (const int fd : {ends[0], ends[1], empty[0], empty[1]}) {
        ::close(fd);
    }
}

TEST_CASE("a plain thread that waits for a fiber is listed") {
    heddle::run([] {
        fiber<> target({.name = "target"}, sleep_for_ever);
        const std::string number = std::to_string(target.get_id().number());
        std::atomic<bool> done = false;
        const std::jthread thread([&] {
            std::error_code code;
            target.join(code);
            done = true;
        });
        while (!contains(dumped(),
                         "a plain thread, waiting: joining fiber " + number + " \"target\"")) {
            heddle::this_fiber::sleep_for(10us);
        }
        CHECK(contains(dumped(), "heddle: 2 fibers\n"));  // a thread is none
        target.request_stop();
        while (!done) {
            heddle::this_fiber::sleep_for(10us);
        }
        CHECK_FALSE(contains(dumped(), "a plain thread"));
    });
}

TEST_CASE("what the stream holds comes before the list") {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
    std::fputs("first\n", file.get());
    heddle::dump(file.get());
    std::rewind(file.get());
    char line[16] = {};
    CHECK(std::fgets(line, sizeof line, file.get()) != nullptr);
    CHECK(std::string(line) == "first\n");
}

namespace {

const void* place_of_current() {
    return heddle::detail::current_worker->current().cold->spawned_at;
}

// The name of the function that a return address belongs to.
std::string function_around(const void* address) {
    heddle::detail::text_line line;
    heddle::detail::add_code_address(line, address);
    const std::string text(line.view());
    const std::size_t name = text.find(" (");
    return name == std::string::npos ? "" : text.substr(name);
}

// One function for each way to spawn, so that the address tells which it was.
[[gnu::noinline]] const void* by_constructor() {
    fiber child(place_of_current);
    return child.join();
}
[[gnu::noinline]] const void* by_constructor_with_options() {
    fiber child(
        {.name = "named"}, [](int) { return place_of_current(); }, 1);
    return child.join();
}
[[gnu::noinline]] const void* by_spawn() {
    auto child = spawn([] { return place_of_current(); });
    return child.join();
}
[[gnu::noinline]] const void* by_spawn_with_options() {
    auto child = spawn({.stack_bytes = 64 * 1024}, place_of_current);
    return child.join();
}
[[gnu::noinline]] const void* by_spawn_detached() {
    const void* place = nullptr;
    heddle::spawn_detached([&] { place = place_of_current(); });
    let_others_run();
    return place;
}
[[gnu::noinline]] const void* by_spawn_detached_with_options() {
    const void* place = nullptr;
    heddle::spawn_detached({.name = "named"}, [&] { place = place_of_current(); });
    let_others_run();
    return place;
}

}  // namespace

TEST_CASE("the place where a fiber was spawned lies in the function that spawned it") {
    in_fiber([] {
        const void* (*const ways[])() = {by_constructor,    by_constructor_with_options,
                                         by_spawn,          by_spawn_with_options,
                                         by_spawn_detached, by_spawn_detached_with_options};
        for (const auto way : ways) {
            const std::string expected = function_around(reinterpret_cast<const char*>(way) + 2);
            CHECK(contains(expected, "by_"));
            CHECK(function_around(way()) == expected);
        }
        fiber<> shown({.name = "shown"}, sleep_for_ever);
        // As file and offset, which stay the same from run to run.
        // And as the function, by the name that it has in the program's text.
        CHECK(matches(line_of("shown"), "spawned at core_test\\+0x[0-9a-f]+ \\(.+\\)$"));
    });
}

TEST_CASE("the list can be taken from another thread in the middle of a storm") {
    int ends[2] = {};
    REQUIRE(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    std::atomic<bool> done = false;
    std::atomic<int> lists = 0;
    const std::jthread watcher([&] {
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> nowhere(std::fopen("/dev/null", "w"),
                                                                      std::fclose);
        while (!done) {
            heddle::dump(nowhere.get());
            ++lists;
        }
    });
    for (int round = 0; round < scaled(100) || lists < 10; ++round) {
        heddle::run([&] {
            std::vector<fiber<>> fibers;
            for (int i = 0; i < 200; ++i) {
                fibers.push_back(spawn({.name = "in a storm"}, [&, i] {
                    switch (i % 4) {
                    case 0:
                        heddle::this_fiber::sleep_for(std::chrono::microseconds(i));
                        break;
                    case 1: {
                        std::error_code code;
                        heddle::wait_readable(ends[0], std::chrono::microseconds(i), code);
                        break;
                    }
                    case 2:
                        fiber([] { let_others_run(); }).join();
                        break;
                    default: {
                        const fiber<> dropped([] { let_others_run(); });
                        break;
                    }
                    }
                }));
            }
            for (fiber<>& one : fibers) {
                one.join();
            }
        });
        // Runs that end while their fibers wait, with all that they waited for. The watcher may
        // hold a lock for most of the time.
        for (int i = 0; i < 30; ++i) {
            heddle::run(
                [&] {
                    for (int j = 0; j < 3; ++j) {
                        heddle::spawn_detached([&] { heddle::wait_readable(ends[0]); });
                    }
                    heddle::this_fiber::yield();
                },
                {.shutdown_grace = 1h});
        }
    }
    done = true;
    ::close(ends[0]);
    ::close(ends[1]);
}
