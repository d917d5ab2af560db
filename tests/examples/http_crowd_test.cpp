// Ten thousand connections at a time. The server and this client are two processes, since the
// descriptors of one may not suffice for both ends.
#include "http_client.hpp"
#include "runtime/base/sanitizer.hpp"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

using namespace heddle::test;

namespace {

// How many come. ThreadSanitizer knows 8 128 threads, and takes fibers for such; and poll looks at
// every connection whenever one has something to say, which takes a while with so many.
std::size_t crowd_size() {
#ifdef HEDDLE_TSAN
    return 2'000;
#else
    const char* const reactor = std::getenv("HEDDLE_REACTOR");
    return reactor != nullptr && std::string_view(reactor) == "poll" ? 2'000 : 10'000;
#endif
}

// Takes as many descriptors as the system lets us, and the server inherits that.
bool may_open(std::size_t count) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur >= count;
}

// How many get their answer. All ask before the first listens, so that a server whose wait for
// events looks at every connection (poll) need not do so once for each.
std::size_t served(const std::vector<std::unique_ptr<http_client>>& clients) {
    for (const auto& one : clients) {
        one->connection.send(get("/"));
    }
    std::size_t count = 0;
    for (const auto& one : clients) {
        count += one->read_answer().status == 200;
    }
    return count;
}

}  // namespace

TEST_CASE("the HTTP server serves ten thousand connections at a time") {
    const std::size_t crowd = crowd_size();
    if (!may_open(crowd + 100)) {
        return skip("the system allows fewer than ten thousand descriptors");
    }
    http_server server;
    http_client first(server.port);
    REQUIRE(first.ask(get("/")).status == 200);
    const std::size_t bytes_before = server.process.resident_bytes();
    std::vector<std::unique_ptr<http_client>> clients;
    clients.reserve(crowd);
    while (clients.size() < crowd) {
        clients.push_back(std::make_unique<http_client>(server.port));
    }
    CHECK(served(clients) == crowd);
    CHECK(served(clients) == crowd);
    const std::size_t bytes_after = server.process.resident_bytes();
    std::printf("resident per idle connection: %zu bytes\n", (bytes_after - bytes_before) / crowd);
    // Half of them leave, the others are served.
    clients.resize(crowd / 2);
    CHECK(served(clients) == crowd / 2);
}
