"""The port for LoongArch, for which Debian 12 has neither GCC nor a C library.

clang builds switch.cpp around the port, without the vector instructions that qemu 7.2 does not
know yet. Nothing unwinds here, so nothing shows that the port's CFI is right.
"""

import os

import programs

COMPILER = ("clang++-19", "--target=loongarch64-linux-gnu", "-march=loongarch64", "-mno-lsx",
            "-fuse-ld=lld-19", "-Wno-unused-command-line-argument")
EMULATOR = ("qemu-loongarch64",)
PORT = "arch/loongarch64-lp64d.S"
SOURCES = ("tests/freestanding/switch.cpp", "tests/arch/loongarch64-lp64d_checker.S",
           "arch/context.cpp")
PRESERVED = "-DHEDDLE_FP_PRESERVED"

# The exit status of switch.cpp when s8 is lost: register_lost and its place in the checker's list.
S8_LOST = 100 + 9


def play(port, flags, program, expected=0):
    """Builds and runs the program; returns what is wrong."""
    sources = [os.path.join(programs.ROOT, source) for source in (*SOURCES, port)]
    return programs.build((*COMPILER, *flags), sources, program) or \
        programs.run(EMULATOR, program, expected)


def checks(check, folder):
    """The port in both settings, and one that loses a register."""
    program = os.path.join(folder, "program")
    check("loongarch64: the port keeps its contract", lambda: play(PORT, (), program))
    check("loongarch64: the port keeps its contract with fp_environment=preserved",
          lambda: play(PORT, (PRESERVED,), program))
    broken = programs.edited(PORT, folder, "broken.S",
                             ("    ld.d    $s8, $sp, HEDDLE_SAVE_S8\n", ""))
    check("loongarch64: a port that loses a register is found out",
          lambda: play(broken, (), program, S8_LOST))
