// The HTTP server as other people's programs see it.
#include "http_client.hpp"
#include "tests/support/report.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

using namespace heddle::test;

namespace {

// What `command` prints; the server's address is appended to the last word.
std::string output_of(std::vector<std::string> command, const http_server& server,
                      const std::string& target) {
    command.push_back("http://127.0.0.1:" + std::to_string(server.port) + target);
    program tool(command);
    const std::string text = tool.read_all();
    CHECK(tool.wait() == 0);
    return text;
}

bool installed(const std::string& command) {
    program shell("sh", "-c", "command -v " + command);
    return !shell.read_all().empty();
}

}  // namespace

TEST_CASE("curl understands the HTTP server") {
    if (!installed("curl")) {
        return skip("curl is not installed");
    }
    http_server server;
    // --fail: an error status is an error. The form of -w is what is printed in place of the body.
    const std::vector<std::string> curl = {"curl", "--silent", "--fail", "--max-time", "20"};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), curl.begin(), curl.end());
        return more;
    };
    CHECK(output_of(with({}), server, "/").find("heddle") != std::string::npos);
    CHECK(output_of(with({"--http1.0"}), server, "/chunked").substr(0, 8) == "piece 1\n");
    CHECK(output_of(with({}), server, "/chunked").substr(0, 8) == "piece 1\n");
    CHECK(output_of(with({"--head"}), server, "/").find("Content-Length: ") != std::string::npos);
    CHECK(output_of(with({"--data", "hello"}), server, "/echo") == "hello");
    CHECK(output_of(with({"--data", "hello", "-H", "Transfer-Encoding: chunked"}), server,
                    "/echo") == "hello");
    CHECK(output_of(with({"--data", "hello", "-H", "Expect: 100-continue"}), server, "/echo") ==
          "hello");
    const std::string codes = output_of(
        {"curl", "--silent", "--max-time", "20", "-o", "/dev/null", "-w",
         "%{http_code} "
         "%{num_connects}\n",
         "http://127.0.0.1:" + std::to_string(server.port) + "/nowhere", "-o", "/dev/null"},
        server, "/");
    CHECK(codes == "404 1\n200 0\n");  // both over one connection
}

TEST_CASE("wrk keeps the HTTP server busy and sees no error") {
    if (!installed("wrk")) {
        return skip("wrk is not installed");
    }
    http_server server;
    // It counts an answer as missing that took longer than two seconds, unless told otherwise.
    const std::string report =
        output_of({"wrk", "-t1", "-c50", "-d1", "--timeout", "20s"}, server, "/");
    INFO(report);
    CHECK(report.find("requests in") != std::string::npos);
    CHECK(report.find("Socket errors") == std::string::npos);
    CHECK(report.find("Non-2xx") == std::string::npos);
}
