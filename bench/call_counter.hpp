// Counts the system calls of another process without slowing it down as strace does.
//
// The kernel's tracepoint at the entry of system calls is counted by a perf event for each thread
// of the process; threads that they start later are included. That takes root (or a permissive
// kernel.perf_event_paranoid) and tracefs, which containers often lack.
#pragma once

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace bench {

class call_counter {
public:
    /// Begins to count. Throws std::runtime_error, saying why, where that is not possible.
    explicit call_counter(pid_t process) {
        perf_event_attr attributes{};
        attributes.size = sizeof attributes;
        attributes.type = PERF_TYPE_TRACEPOINT;
        attributes.config = tracepoint();
        attributes.inherit = 1;
        const std::string threads = "/proc/" + std::to_string(process) + "/task";
        for (const auto& thread : std::filesystem::directory_iterator(threads)) {
            const int id = std::atoi(thread.path().filename().c_str());
            const long event = syscall(SYS_perf_event_open, &attributes, id, -1, -1, 0);
            if (event < 0)
                throw std::system_error(errno, std::generic_category(), "perf_event_open");
            events_.push_back(static_cast<int>(event));
        }
    }
    call_counter(const call_counter&) = delete;
    call_counter& operator=(const call_counter&) = delete;
    ~call_counter() {
        for (const int event : events_)
            close(event);
    }

    /// System calls entered since the construction.
    std::uint64_t count() const {
        std::uint64_t sum = 0;
        for (const int event : events_) {
            std::uint64_t entered = 0;
            if (read(event, &entered, sizeof entered) != sizeof entered)
                throw std::runtime_error("a perf event cannot be read");
            sum += entered;
        }
        return sum;
    }

private:
    /// The number that the kernel gave to raw_syscalls:sys_enter.
    static std::uint64_t tracepoint() {
        for (const char* const tracefs : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
            std::ifstream file(std::string(tracefs) + "/events/raw_syscalls/sys_enter/id");
            std::uint64_t number = 0;
            if (file >> number)
                return number;
        }
        throw std::runtime_error("no tracefs: mount -t tracefs none /sys/kernel/tracing");
    }

    std::vector<int> events_;
};

}  // namespace bench
