"""Branch target identification on AArch64: the port lands where it may, and this is enforced.

Debian's C library has no landing pads, so an ordinary program never asks for enforcement. One
without a library whose every object is marked does, and qemu, like Linux, then lets no indirect
branch end but at a landing pad. The port has to work there; ports from which one pad was taken
have to die there by SIGILL, and to work where nothing is enforced: else the test has shown nothing.
"""

import os
import signal

import programs

COMPILER = "aarch64-linux-gnu-g++"
EMULATOR = ("qemu-aarch64", "-cpu", "max")
PORT = "arch/aarch64-aapcs.S"

# The linker complains of objects without the mark, and programs.build() of its complaints.
MARKED = (COMPILER, "-mbranch-protection=standard", "-Wl,-z,force-bti")
UNMARKED = (COMPILER, "-mbranch-protection=none")

# What replaces what: code that does the same, but is not a landing pad, or needs one.
BROKEN = {
    "a switch that does not begin with a landing pad":
        ("    paciasp\n", "    .arch armv8.3-a\n    pacia x30, sp\n"),
    "an entry stub that does not begin with a landing pad": ("    bti     c\n", "    nop\n"),
    "a resume by another branch than ret": ("    ret\n", "    br x30\n"),
}


def sources(port):
    """The program around a port."""
    return [os.path.join(programs.ROOT, "tests", "freestanding", "aarch64_bti.cpp"),
            os.path.join(programs.ROOT, "arch", "context.cpp"), port]


def play(compiler, port, program, expected=0):
    """Builds and runs the program; returns what is wrong."""
    return programs.build(compiler, sources(port), program) or \
        programs.run(EMULATOR, program, expected)


def checks(check, folder):
    """The port as it is, and the broken ones."""
    program = os.path.join(folder, "program")
    port = os.path.join(programs.ROOT, PORT)
    check("aarch64: the port works where every indirect branch needs a landing pad",
          lambda: play(MARKED, port, program))
    for number, (name, edit) in enumerate(BROKEN.items()):
        broken = programs.edited(PORT, folder, f"broken-{number}.S", edit)
        check(f"aarch64: {name} works where nothing is enforced",
              lambda: play(UNMARKED, broken, program))
        check(f"aarch64: {name} dies where landing pads are enforced",
              lambda: play(MARKED, broken, program, -signal.SIGILL))
