#include "tests/faults/process_state.hpp"

#include "runtime/base/sanitizer.hpp"
#include "tests/faults/heap.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace heddle::test {
namespace {

std::size_t count_descriptors() {
    DIR* const folder = ::opendir("/proc/self/fd");
    if (folder == nullptr) {
        return 0;
    }
    std::size_t count = 0;
    while (::readdir(folder) != nullptr) {
        ++count;
    }
    ::closedir(folder);
    return count;
}

// The mappings without a name, as proc(5) describes them: "start-end rights offset device inode".
// Those of the heap, of files and of the thread's stack have one.
std::size_t count_mapped_bytes() {
    static char text[1 << 18];
    const int fd = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    std::size_t size = 0;
    for (ssize_t count = 1; count > 0 && size < sizeof text;) {
        count = ::read(fd, text + size, sizeof text - size);
        size += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    ::close(fd);
    std::size_t bytes = 0;
    for (std::string_view rest(text, size); !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(line.size() < rest.size() ? line.size() + 1 : rest.size());
        if (line.ends_with(" 00:00 0") || line.ends_with(" 00:00 0 ")) {
            char* end = nullptr;
            const unsigned long start = std::strtoul(line.data(), &end, 16);
            bytes += std::strtoul(end + 1, nullptr, 16) - start;
        }
    }
    return bytes;
}

}  // namespace

process_state process_state::now() {
    process_state state;
    state.descriptors = count_descriptors();
    // A sanitizer keeps what was freed, and shadows what is mapped.
    state.mapped_bytes = detail::switches_are_watched() ? 0 : count_mapped_bytes();
    state.blocks = blocks_alive();
    return state;
}

std::string process_state::beyond(const process_state& before) const {
    std::string more;
    if (descriptors != before.descriptors) {
        more += " descriptors: " + std::to_string(before.descriptors) + " before, " +
                std::to_string(descriptors) + " after;";
    }
    if (mapped_bytes > before.mapped_bytes) {
        more += " mapped bytes: " + std::to_string(mapped_bytes - before.mapped_bytes) + " more;";
    }
    if (blocks != before.blocks) {
        more += " heap blocks: " + std::to_string(before.blocks) + " before, " +
                std::to_string(blocks) + " after;";
    }
    return more;
}

}  // namespace heddle::test
