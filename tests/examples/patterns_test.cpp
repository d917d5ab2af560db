// The examples of fibers that wait for one another, run as a user would run them. Each checks
// itself, and exits with 0 if all was right.
#include "program.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace heddle::test;

namespace {

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the pipeline counts its words and sieves its primes") {
    program pipeline(PIPELINE_PROGRAM);
    CHECK(pipeline.read_all() == "a: 2\nchannel: 2\nfiber: 3\nthe: 2\nwaits: 2\n"
                                 "the 100th prime: 541\n");
    CHECK(pipeline.wait() == 0);
}

TEST_CASE("the fan-out finds the best answer, the first failure and the first answers") {
    program fan_out(FAN_OUT_PROGRAM);
    CHECK(fan_out.read_all() == "cheapest: east for 290\n"
                                "no offer: east is closed; 0 still asking\n"
                                "answered: north for 310\n"
                                "answered: west for 305\n");
    CHECK(fan_out.wait() == 0);
}

TEST_CASE("the pool of workers does all jobs, a few at a time, and survives the one that fails") {
    program pool(WORKER_POOL_PROGRAM);
    CHECK(pool.read_all() == "job 13: no row 13\n50 results, at most 3 jobs at a time\n");
    CHECK(pool.wait() == 0);
}

TEST_CASE("the rate limiter lets a burst pass, and then nobody before time") {
    program limiter(RATE_LIMITER_PROGRAM);
    const std::string said = limiter.read_all();
    CHECK(contains(said, "30 calls, none too early: yes\n"));
    CHECK(contains(said, "a burst of 2 passed\nthe next one gave up\n"));
    CHECK(limiter.wait() == 0);
}

TEST_CASE("the client that retries gets its answer from a flaky server, and gives up in time") {
    program retries(RETRIES_PROGRAM);
    const std::string said = retries.read_all();
    CAPTURE(said);
    CHECK(contains(said, "try 3: "));
    CHECK(contains(said, "answer: 42\n"));
    CHECK(contains(said, "unknown: what is it\n"));
    CHECK(contains(said, "given up: "));
    CHECK(retries.wait() == 0);
}
