#include "runtime/base/symbols.hpp"

#include "runtime/base/system.hpp"

#include <elf.h>
#include <link.h>

#include <cstring>

namespace heddle::detail {

namespace {

using header = ElfW(Ehdr);
using section = ElfW(Shdr);
using symbol = ElfW(Sym);

constexpr unsigned char type_mask = 15;  // of st_info: ELF specification, "Symbol Table"

constexpr unsigned char own_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;

}  // namespace

symbol_table::symbol_table(const char* path) noexcept
    : file_(static_cast<const std::byte*>(sys::map_file(path, bytes_))) {
    if (file_ != nullptr && !find_tables()) {
        symbol_count_ = 0;
    }
}

symbol_table::~symbol_table() {
    if (file_ != nullptr) {
        sys::unmap(const_cast<std::byte*>(file_), bytes_);
    }
}

// `count` objects at an offset; null where the file has none.
template <class T>
const T* symbol_table::at(std::uintptr_t offset, std::size_t count) const noexcept {
    const bool inside = offset <= bytes_ && count <= (bytes_ - offset) / sizeof(T);
    return inside && offset % alignof(T) == 0 ? reinterpret_cast<const T*>(file_ + offset)
                                              : nullptr;
}

bool symbol_table::find_tables() noexcept {
    const header* const start = at<header>(0);
    if (start == nullptr || std::memcmp(start->e_ident, ELFMAG, SELFMAG) != 0 ||
        start->e_ident[EI_CLASS] != own_class || start->e_shentsize != sizeof(section)) {
        return false;
    }
    const section* const sections = at<section>(start->e_shoff, start->e_shnum);
    if (sections == nullptr) {
        return false;
    }
    // The full table, or else the one that the dynamic linker needs.
    const section* table = nullptr;
    for (unsigned i = 0; i < start->e_shnum; ++i) {
        if (sections[i].sh_type == SHT_SYMTAB ||
            (sections[i].sh_type == SHT_DYNSYM && table == nullptr)) {
            table = &sections[i];
        }
    }
    if (table == nullptr || table->sh_link >= start->e_shnum) {
        return false;
    }
    const section& names = sections[table->sh_link];
    name_bytes_ = static_cast<std::size_t>(names.sh_size);
    names_ = at<char>(names.sh_offset, name_bytes_);
    symbol_count_ = static_cast<std::size_t>(table->sh_size) / sizeof(symbol);
    symbols_ = reinterpret_cast<const std::byte*>(at<symbol>(table->sh_offset, symbol_count_));
    return names_ != nullptr && symbols_ != nullptr;
}

std::string_view symbol_table::function_at(std::uintptr_t address) const noexcept {
    const auto* const symbols = reinterpret_cast<const symbol*>(symbols_);
    for (std::size_t i = 0; i < symbol_count_; ++i) {
        const symbol& one = symbols[i];
        const bool is_function = (one.st_info & type_mask) == STT_FUNC;
        const std::uintptr_t start = without_mode(one.st_value);
        if (is_function && address >= start && address - start < one.st_size &&
            one.st_name < name_bytes_) {
            const char* const name = names_ + one.st_name;
            const std::size_t room = name_bytes_ - one.st_name;
            const std::size_t length = ::strnlen(name, room);
            return length < room ? std::string_view(name, length) : std::string_view();
        }
    }
    return {};
}

}  // namespace heddle::detail
