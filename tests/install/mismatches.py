"""Headers and archive that do not belong together: the linker refuses them, and its message names
what the headers wanted (heddle/detail/abi.hpp).
"""

import os
import re
import shutil

from steps import BARE, CLANG, GCC, NEW_CLANG, SECTIONS, command, refused_to_link, source

OTHER_VERSION = "heddle_archive_of_version_0_99_for_libstdcxx"
OTHER_STRINGS = r"heddle_archive_of_version_\d+_\d+_for_libstdcxx_with_old_strings"

WAYS = {
    "": ("-O0",),
    ", optimised": ("-O2", *BARE),
    ", unused sections left out": ("-O2", *SECTIONS),
    ", optimised as a whole": ("-O2", "-flto", *SECTIONS),
}

# Headers that need no archive.
FREE = ("fwd.hpp", "version.hpp")


def add(cases, installed, folder):
    """Adds the cases; `folder` is for what they make."""
    headers = other_headers(installed, folder)
    for compiler in (GCC, CLANG):
        for way, flags in WAYS.items():
            cases.add(f"headers of another version do not link with {compiler}{way}",
                      other_version, installed, folder, headers, compiler, flags)
    cases.add("one file of another version is enough not to link",
              one_file, installed, folder, headers)
    cases.add("a standard library with other strings does not link",
              other_strings, installed, folder)
    cases.add("another standard library does not link", other_library, installed, folder)
    cases.add("every public header needs its archive", every_header, installed, folder)


def other_headers(installed, folder):
    """A copy of the headers that claims to be of another version."""
    copy = os.path.join(folder, "other-headers")
    shutil.copytree(installed.include, copy)
    path = os.path.join(copy, "heddle", "version.hpp")
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"(VERSION_M\w+) \d+", r"\1 99", file.read()).replace("MAJOR 99", "MAJOR 0")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return copy


def other_version(installed, folder, headers, compiler, flags):
    """A program of headers of another version; of the right ones it links, in the same way."""
    output = os.path.join(folder, "-".join(["matched", compiler, *flags]).replace(",", ""))
    words = [compiler, "-std=c++20", *flags, source("small.cpp"), installed.archive, "-pthread"]
    command([*words, f"-I{installed.include}", "-o", output])
    return refused_to_link([*words, f"-I{headers}", "-o", output], OTHER_VERSION)


def one_file(installed, folder, headers):
    """Files that match do not hide one that does not."""
    words = [GCC, "-std=c++20", "-O2", "-c"]
    objects = [os.path.join(folder, name) for name in ("right.o", "wrong.o")]
    command([*words, f"-I{installed.include}", source("small.cpp"), "-o", objects[0]])
    command([*words, f"-I{headers}", source("second.cpp"), "-o", objects[1]])
    return refused_to_link([GCC, *objects, installed.archive, "-o", objects[0] + "ut"],
                           OTHER_VERSION)


def other_strings(installed, folder):
    """A program whose std::string is libstdc++'s old one."""
    return refused_to_link([GCC, "-std=c++20", "-D_GLIBCXX_USE_CXX11_ABI=0",
                            f"-I{installed.include}", source("small.cpp"), installed.archive,
                            "-o", os.path.join(folder, "strings")], OTHER_STRINGS)


def other_library(installed, folder):
    """A program of libc++, whose types lie otherwise."""
    return refused_to_link([NEW_CLANG, "-std=c++20", "-stdlib=libc++", "-fexperimental-library",
                            f"-I{installed.include}", source("small.cpp"), installed.archive,
                            "-o", os.path.join(folder, "libcxx")],
                           r"heddle_archive_of_version_\d+_\d+_for_libcxx")


def every_header(installed, folder):
    """A file that only includes a public header needs the symbol, but for those that are FREE."""
    problems = []
    for name in sorted(os.listdir(os.path.join(installed.include, "heddle"))):
        if not name.endswith(".hpp"):
            continue
        lines = os.path.join(folder, name + ".cpp")
        with open(lines, "w", encoding="utf-8") as file:
            file.write(f"#include <heddle/{name}>\n")
        command([GCC, "-std=c++20", "-O2", "-c", f"-I{installed.include}", lines, "-o",
                 lines + ".o"])
        needs = "heddle_archive_of_version" in command(["nm", "--undefined-only", lines + ".o"])
        if needs == (name in FREE):
            problems.append(f"heddle/{name} {'needs' if needs else 'does not need'} the archive")
    return problems
