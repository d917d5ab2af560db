#include "runtime/base/modules.hpp"

#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string_view>

// From the Itanium C++ ABI ("The Demangler API").
namespace __cxxabiv1 {
extern "C" char* __cxa_demangle(const char* mangled, char* buffer, std::size_t* length,
                                int* status);
}  // namespace __cxxabiv1

namespace heddle::detail {

namespace {

constexpr const char* own_file = "/proc/self/exe";

struct module_range {
    std::uintptr_t start = 0, end = 0;
    std::uintptr_t base = 0;  // what offsets in the file count from
    char name[48] = {};       // the last part of the path
    char path[256] = {};      // as this process can open it
};

// More libraries than most programs have; those that do not fit are not named.
constexpr std::size_t modules_max = 64;
module_range modules[modules_max];
std::atomic<std::size_t> modules_known = 0;  // entries before it do not change any more
std::mutex modules_lock;

template <std::size_t Size>
void copy_text(char (&to)[Size], std::string_view text) noexcept {
    to[text.copy(to, Size - 1)] = '\0';
}

void set_name(module_range& module, std::string_view path) noexcept {
    copy_text(module.name, path.substr(path.rfind('/') + 1));
}

int note_module(dl_phdr_info* info, std::size_t, void*) noexcept {
    const std::size_t index = modules_known.load(std::memory_order_relaxed);
    if (index == modules_max) {
        return 1;
    }
    module_range module;
    module.base = info->dlpi_addr;
    module.start = UINTPTR_MAX;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& segment = info->dlpi_phdr[i];
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) {
            module.start = std::min<std::uintptr_t>(module.start, module.base + segment.p_vaddr);
            module.end = std::max<std::uintptr_t>(module.end,
                                                  module.base + segment.p_vaddr + segment.p_memsz);
        }
    }
    for (std::size_t i = 0; i < index; ++i) {
        if (modules[i].start == module.start) {
            return 0;
        }
    }
    if (info->dlpi_name[0] != '\0') {
        set_name(module, info->dlpi_name);
        copy_text(module.path, info->dlpi_name);
    } else {
        copy_text(module.path, own_file);
        char path[256];
        const ssize_t length = ::readlink(own_file, path, sizeof path);
        set_name(module, length > 0 ? std::string_view(path, static_cast<std::size_t>(length))
                                    : std::string_view("program"));
    }
    modules[index] = module;
    modules_known.store(index + 1, std::memory_order_release);  // pairs with add_code_address
    return 0;
}

}  // namespace

void note_modules() noexcept {
    const std::lock_guard guard(modules_lock);
    dl_iterate_phdr(note_module, nullptr);
}

void code_names::add_to(text_line& line, const void* code) noexcept {
    const std::uintptr_t address = without_mode(reinterpret_cast<std::uintptr_t>(code));
    const std::size_t count = modules_known.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i) {
        if (address >= modules[i].start && address < modules[i].end) {
            line << modules[i].name << "+";
            line.address(reinterpret_cast<const void*>(address - modules[i].base));
            if (const char* const name = name_of(code, i); *name != '\0') {
                line << " (" << name << ")";
            }
            return;
        }
    }
    line.address(code);
}

const char* code_names::name_of(const void* code, std::size_t module) noexcept {
    const std::uintptr_t address = without_mode(reinterpret_cast<std::uintptr_t>(code));
    known_name& known = known_[address / sizeof(known_name) % known_.size()];
    if (known.code == code) {
        return known.name;
    }
    if (open_module_ != module) {
        symbols_.emplace(modules[module].path);
        open_module_ = module;
    }
    // A call may be the last instruction of its function: what it returns to is the next one.
    const std::string_view found = symbols_->function_at(address - modules[module].base - 1);
    known.code = code;
    copy_text(known.name, found);
    if (form_ == form::as_written && !found.empty()) {
        int status = 0;
        if (char* const readable =
                __cxxabiv1::__cxa_demangle(found.data(), nullptr, nullptr, &status)) {
            copy_text(known.name, readable);
            std::free(readable);
        }
    }
    return known.name;
}

}  // namespace heddle::detail
