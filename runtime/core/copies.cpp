#include "runtime/core/copies.hpp"

#include "runtime/base/text.hpp"
#include "runtime/core/worker.hpp"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__ELF__)
#include <link.h>
#endif

#if defined(__ELF__)

// Whether the calling thread runs a fiber of this copy.
extern "C" [[gnu::visibility("hidden"), gnu::used]] bool heddle_runs_fiber() noexcept;

bool heddle_runs_fiber() noexcept {
    using namespace heddle::detail;
    return current_worker != nullptr && current_worker->in_fiber();
}

// Copies find each other by a note in the loaded file, since their symbols may be hidden from one
// another. It has the name "heddle", type 1, and the distance from the note's contents to the
// function above, in 4 bytes: no object is larger, and MIPS has no relocation for more. Source:
// System V gABI, "Note Section".
__asm__(".pushsection .note.heddle, \"a\", %note\n"
        "    .p2align 2\n"
        "    .long 7\n"
        "    .long 4\n"
        "    .long 1\n"
        "    .asciz \"heddle\"\n"
        "    .p2align 2\n"
        "    .long heddle_runs_fiber - .\n"
        "    .popsection\n");

namespace heddle::detail {

namespace {

constexpr char note_name[] = "heddle";
using runs_fiber = bool (*)() noexcept;

// The function that a note points to; null where the note is not heddle's.
runs_fiber read_note(const ElfW(Nhdr) & note, const char* name, const char* contents) noexcept {
    if (note.n_namesz != sizeof note_name || note.n_descsz != sizeof(std::int32_t) ||
        note.n_type != 1 || std::memcmp(name, note_name, sizeof note_name) != 0) {
        return nullptr;
    }
    std::int32_t distance = 0;
    std::memcpy(&distance, contents, sizeof distance);
    return reinterpret_cast<runs_fiber>(reinterpret_cast<std::intptr_t>(contents) + distance);
}

// Looks through the notes of one segment for that of another copy, whose fiber runs here.
bool has_running_copy(const char* at, const char* end) noexcept {
    const auto padded = [](std::size_t size) { return (size + 3) & ~std::size_t{3}; };
    while (static_cast<std::size_t>(end - at) > sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        std::memcpy(&note, at, sizeof note);
        const char* const name = at + sizeof note;
        const char* const contents = name + padded(note.n_namesz);
        const runs_fiber other = read_note(note, name, contents);
        if (other != nullptr && other != heddle_runs_fiber && other()) {
            return true;
        }
        at = contents + padded(note.n_descsz);
        if (at > end) {
            break;
        }
    }
    return false;
}

int look_at(dl_phdr_info* module, std::size_t, void* found) noexcept {
    for (std::size_t i = 0; i < module->dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = module->dlpi_phdr[i];
        if (segment.p_type != PT_NOTE || segment.p_align > 4) {
            continue;  // notes of other alignments are not heddle's
        }
        const auto* const begin =
            reinterpret_cast<const char*>(module->dlpi_addr) + segment.p_vaddr;
        if (has_running_copy(begin, begin + segment.p_memsz)) {
            *static_cast<const char**>(found) = module->dlpi_name;
            return 1;
        }
    }
    return 0;
}

}  // namespace

void refuse_fiber_of_another_copy() noexcept {
    const char* where = nullptr;
    dl_iterate_phdr(look_at, &where);
    if (where == nullptr) {
        return;
    }
    text_line line;
    line << "heddle: this thread runs a fiber of another copy of heddle, in "
         << (*where == '\0' ? "the program" : where)
         << ": let all libraries of a program use one copy";
    line.write_to(STDERR_FILENO);
    std::abort();
}

}  // namespace heddle::detail

#else

namespace heddle::detail {

void refuse_fiber_of_another_copy() noexcept {}

}  // namespace heddle::detail

#endif
