"""Ports assembled for systems that nothing here can run: what arch/README.md calls "assembles".

One assembler makes objects of a port for the system where it is tested, which is Linux but for one
port, and for the other system. They hold the same code, byte for byte, the same unwind information,
and the same functions, hidden from other libraries. So what was seen of the code holds there too;
of the system itself nothing is shown.
"""

import os
import re

import programs
from support import process

ASSEMBLER = ("clang-19", "-Wall", "-Werror", "-c")

# The port, the system where it is tested, and the others: Apple's are Mach-O, Windows' COFF, and
# the rest ELF.
SYSTEMS = (
    ("x86_64-sysv", "x86_64-linux-gnu",
     ("x86_64-apple-macosx11", "x86_64-unknown-freebsd", "x86_64-unknown-netbsd",
      "x86_64-unknown-openbsd")),
    ("aarch64-aapcs", "aarch64-linux-gnu",
     ("arm64-apple-macosx11", "aarch64-unknown-freebsd", "aarch64-unknown-netbsd",
      "aarch64-unknown-openbsd")),
    ("i386-sysv", "i386-linux-gnu", ("i386-unknown-freebsd", "i386-unknown-openbsd")),
    ("armv7-aapcs", "armv7-linux-gnueabihf",
     ("armv7-unknown-freebsd-gnueabihf", "armv7-unknown-openbsd-gnueabihf")),
    ("riscv64-lp64d", "riscv64-linux-gnu", ("riscv64-unknown-freebsd", "riscv64-unknown-openbsd")),
    ("ppc64le-elfv2", "powerpc64le-linux-gnu", ("powerpc64le-unknown-freebsd",)),
    ("mips64-n64", "mips64el-linux-gnuabi64", ("mips64el-unknown-openbsd",)),
    # One C runtime and the other, MinGW-w64's and Microsoft's.
    ("x86_64-windows", "x86_64-w64-windows-gnu", ("x86_64-pc-windows-msvc",)),
)


def checks(check, folder):
    """Every port for every other system."""
    for port, tested, others in SYSTEMS:
        for other in others:
            for setting, flags in (("thread", ()), ("preserved", ("-DHEDDLE_FP_PRESERVED",))):
                check(f"{port}: the same for {other} as for {tested}, fp_environment={setting}",
                      lambda: compare(port, tested, other, flags, folder))


def compare(port, tested, other, flags, folder):
    """What differs between the objects of a port for two systems, or is not as it should be."""
    source = os.path.join(programs.ROOT, "arch", port + ".S")
    with open(source, encoding="utf-8") as text:
        names = sorted(re.findall(r"^HEDDLE_FUNCTION\((\w+)\)", text.read(), re.M))
    try:
        here, there = (Object(source, system, flags, os.path.join(folder, system))
                       for system in (tested, other))
        problems = here.problems(names) + there.problems(names)
        if here.code() != there.code():
            problems.append("the code differs")
        if here.unwinding() != there.unwinding():
            problems.append("the unwind information differs")
        return problems
    except ToolFailed as failed:
        return [str(failed)]


class ToolFailed(Exception):
    """A tool had something to complain of."""


def tool(*command):
    """What a command prints. It must succeed."""
    finished = process.run(command, dict(os.environ), programs.LIMIT_S)
    if finished.status != 0:
        raise ToolFailed(f"{' '.join(command)}: {finished.how()}: {finished.output}")
    return finished.output


class Object:
    """A port's object for one system."""

    def __init__(self, source, system, flags, path):
        self.path = path + ".o"
        self.is_mach_o = "-apple-" in system
        self.is_coff = "-windows-" in system
        said = tool(*ASSEMBLER, "--target=" + system, *flags, source, "-o", self.path)
        if said:
            raise ToolFailed(said)

    def section(self, name):
        """The bytes of a section."""
        copy = self.path + ".section"
        tool("llvm-objcopy-19", f"--dump-section={name}={copy}", self.path, os.devnull)
        with open(copy, "rb") as section:
            return section.read()

    def code(self):
        """The bytes of its functions."""
        return self.section("__TEXT,__text" if self.is_mach_o else ".text")

    def unwinding(self):
        """Its unwind information, without the addresses at which it happens to lie."""
        if self.is_coff:
            lines = tool("llvm-readobj-19", "--unwind", self.path).splitlines()
            return [line.strip() for line in lines if not line.startswith("File: ")]
        if ".ARM.exidx" in self.sections():
            return self.section(".ARM.exidx")
        lines = tool("llvm-dwarfdump-19", "--eh-frame", self.path).splitlines()
        return [line.partition(" to ")[0].strip() for line in lines
                if re.match(r"\s+DW_CFA_(?!nop)", line)]

    def sections(self):
        """The names of its sections."""
        listed = tool("llvm-objdump-19", "--section-headers", self.path)
        return set(re.findall(r"^\s+\d+ (\S+)", listed, re.M))

    def problems(self, names):
        """What is wrong with its symbols and sections; `names` are those of its functions."""
        found = []
        symbols = (self.hidden_mach_o() if self.is_mach_o else self.hidden_coff() if self.is_coff
                   else self.hidden_elf())
        if symbols != names:
            found.append(f"{self.path}: the hidden functions are {symbols}, not {names}")
        if len(self.code()) == 0 or not self.unwinding():
            found.append(f"{self.path}: no code, or no unwind information")
        if self.is_mach_o:
            extra = self.sections() - {"__text", "__eh_frame", "__compact_unwind"}
            if extra:
                found.append(f"{self.path}: sections that mean nothing there: {extra}")
            # What Apple reserves for itself.
            if re.search(r"\b[wx]18\b", tool("llvm-objdump-19", "-d", self.path)):
                found.append(f"{self.path}: x18 is touched")
        elif self.is_coff:
            if self.unwinding().count("RuntimeFunction {") != len(names):
                found.append(f"{self.path}: a function has no unwind codes")
        elif ".note.GNU-stack" not in self.sections():
            found.append(f"{self.path}: the stack may become executable")
        return found

    def hidden_elf(self):
        """The names of its functions that are hidden, if all global symbols are."""
        listed = tool("llvm-readobj-19", "--elf-output-style=GNU", "--symbols", self.path)
        symbols = re.findall(r" (\w+) +(GLOBAL|WEAK) +(\w+) +(?:\[.*\] +)?\w+ (\w+)$", listed, re.M)
        return sorted(name if (kind, sight) == ("FUNC", "HIDDEN") else f"{name} ({kind}, {sight})"
                      for kind, _, sight, name in symbols)

    def hidden_mach_o(self):
        """As hidden_elf, without the underscore that C puts before every name."""
        listed = tool("llvm-nm-19", "--format=darwin", "--extern-only", self.path)
        symbols = re.findall(r"(\(.*\)) (.*external) (\S+)$", listed, re.M)
        meant = ("(__TEXT,__text)", "private external")
        return sorted(name[1:] if (place, sight) == meant and name[0] == "_"
                      else f"{name} ({place}, {sight})" for place, sight, name in symbols)

    def hidden_coff(self):
        """As hidden_elf. There a function is hidden unless a directive to the linker exports it."""
        if ".drectve" in self.sections():
            return [".drectve"]
        listed = tool("llvm-nm-19", "--extern-only", "--defined-only", self.path)
        return sorted(re.findall(r"^[0-9a-f]+ T (\w+)$", listed, re.M))
