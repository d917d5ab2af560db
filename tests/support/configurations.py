"""What tests/run can run: the suites, the checks, and the ways to build the tree."""

import os
from dataclasses import dataclass

from . import building

# The suites are the folders of tests/ (see tests/meson.build), in this order.
SUITES = ("support", "arch", "base", "core", "reactor", "io", "faults", "sync", "fuzz", "task",
          "diag", "sim", "examples")

# What a suite needs in every configuration that runs it.
SUITE_NEEDS = {"core": ("gdb",), "examples": ("beast", "curl", "wrk")}

# Suites that never wait for a descriptor, and so run once whatever reactors there are.
WITHOUT_REACTOR = ("support", "arch", "base", "fuzz", "sim")

# Checks that need no configuration: programs that write the test log.
CHECKS = {"runner": (),
          "bench": (),
          "style": ("g++", "clang", "clang-format"),
          "install": ("g++", "clang", "clang-19", "libc++", "libc++abi", "meson", "ninja", "cmake",
                      "pkg-config", "readelf", "boost"),
          "tools": ("g++", "clang", "clang runtime", "meson", "ninja", "valgrind")}

# Checks of ports to other CPUs, which run with them.
PORT_CHECKS = {"freestanding": ("g++ aarch64", "clang-19", "lld-19", "llvm-19", "qemu")}


@dataclass(frozen=True)
class Configuration:
    """One way to build the tree, and what to run in it."""

    name: str
    compilers: tuple  # the first that is installed
    options: tuple  # for meson, beyond -Dwerror=true
    needs: tuple = ()  # beyond packages.BUILD
    suites: tuple = SUITES
    reactors: tuple = ()  # values of HEDDLE_REACTOR to repeat with; empty: the automatic choice
    late: tuple = ()  # suites that also run on the reactor that completes late
    environments: tuple = (("", {}),)  # every suite runs once in each
    wrapper: tuple = ()
    slowdown: int = 1
    is_port: bool = False  # of another CPU: only --ports and its own name include it
    brief_suites: tuple = ()  # of a port: what --brief leaves of it


BOTH = ("poll", "epoll")
RELEASE = ("-Dbuildtype=release",)
# The library in a few large units, which takes a fifth of the time to compile.
UNITS = ("-Dunity=on", "-Dunity_size=16")
# The same as RELEASE, but quickly: tests without optimisation take half as long to compile.
QUICK = RELEASE + UNITS + ("-Dquick_tests=true",)
LIBCXX = "-stdlib=libc++ -fexperimental-library"
SANITIZED = UNITS + ("-Dbuildtype=debugoptimized", "-Doptimization=1", "-Db_lundef=false")
ASAN = "detect_leaks=1:check_initialization_order=1:strict_init_order=1"
UBSAN = {"UBSAN_OPTIONS": "print_stacktrace=1"}

CONFIGURATIONS = (
    Configuration("gcc", ("g++",), RELEASE + ("-Db_pch=false",), reactors=BOTH,
                  late=("core", "io", "sync")),
    # Without optimisation, and with the checks of debug builds.
    Configuration("debug", ("g++",), ("-Dbuildtype=debug",), suites=("arch", "base", "core", "io")),
    Configuration("clang", building.CLANG, QUICK, ("clang",), reactors=BOTH),
    Configuration(
        "asan", ("g++",),
        SANITIZED + ("-Db_sanitize=address,undefined",
                     "-Dcpp_args=-fno-sanitize-recover=all -D_GLIBCXX_ASSERTIONS"),
        slowdown=4,
        environments=tuple(
            (f"{reactor}, use-after-return {use}",
             {"ASAN_OPTIONS": f"{ASAN}:detect_stack_use_after_return={bit}", **UBSAN,
              "HEDDLE_REACTOR": reactor})
            for reactor, use, bit in (("poll", "off", 0), ("epoll", "on", 1)))),
    # libFuzzer makes up programs for a minute. It would take the depths of fibers' stacks, which
    # lie anywhere, for something new each time.
    Configuration(
        "fuzz", building.CLANG,
        SANITIZED + ("-Db_sanitize=address,undefined",
                     "-Dcpp_args=-fno-sanitize-recover=all -fsanitize=fuzzer-no-link "
                     "-fno-sanitize-coverage=stack-depth"),
        ("clang", "clang runtime"), suites=("fuzz",), slowdown=4,
        environments=(("", {"ASAN_OPTIONS": f"{ASAN}:detect_stack_use_after_return=1", **UBSAN}),)),
    Configuration("boost", ("g++",), QUICK + ("-Dcontext=boost",), ("boost",),
                  suites=("arch", "core", "io")),
    Configuration("fp", ("g++",), QUICK + ("-Dfp_environment=preserved",),
                  suites=("arch", "core")),
    # The other C++ runtime, with exception globals of its own. Its std::stop_token is behind a
    # flag in 19, and missing in 14.
    Configuration("libcxx", ("clang++-19",),
                  QUICK + (f"-Dcpp_args={LIBCXX} -Wno-unused-command-line-argument",
                             f"-Dcpp_link_args={LIBCXX}"),
                  ("clang-19", "libc++", "libc++abi"), suites=("arch", "core", "task")),
    # setarch -R, because the shadow memory of clang 14 does not fit every kernel's random
    # addresses. handle_segv=0: else the tool takes the faults that tests of the guards provoke.
    Configuration(
        "tsan", building.CLANG, SANITIZED + ("-Db_sanitize=thread",), ("clang", "clang runtime"),
        suites=("arch", "core", "reactor", "io", "sync", "task"), slowdown=10,
        wrapper=("setarch", "-R"),
        environments=(("", {"TSAN_OPTIONS":
                            "halt_on_error=1:second_deadlock_stack=1:handle_segv=0"}),)),
    # valgrind runs one thread at a time; without fair-sched one that spins may keep the others from
    # running for seconds.
    Configuration(
        "valgrind", ("g++",), UNITS + ("-Dbuildtype=debugoptimized",), ("valgrind",),
        suites=("arch", "core", "sync", "fuzz", "task"), slowdown=20,
        wrapper=("valgrind", "--quiet", "--fair-sched=try", "--error-exitcode=99",
                 "--leak-check=full", "--errors-for-leak-kinds=definite")),
)


# What --brief leaves of a port: the suites that bear on the CPU,
CPU_SUITES = ("arch", "core")
# with addresses of 32 bits on the size of words, too,
NARROW_SUITES = (*CPU_SUITES, "reactor", "sync")
# on a CPU of the other byte order on what goes to the system and over the network,
SWAPPED_SUITES = (*CPU_SUITES, "base", "reactor", "io")
# and on the one that most machines have after x86-64, nearly everything.
COMMON_SUITES = (*CPU_SUITES, "reactor", "io", "sync", "task")


def _emulated(name, triplet, emulator, package, brief=CPU_SUITES, suites=SUITES, sysroot=True,
              cpu=()):
    """A port whose programs an emulator runs. Its C library lies where Debian puts it.

    Pages have 4 KiB on all of them. Debian's kernels for ppc64le and mips64 have larger ones, with
    which qemu 7.2 (-p) starts no program that has shared libraries, not even an empty one.
    """
    root = (*cpu, "-L", f"/usr/{triplet}") if sysroot else cpu
    return Configuration(name, (f"{triplet}-g++",), QUICK + (CROSS + name + ".ini",),
                         (package, "qemu", "gdb-multiarch"), suites=suites, slowdown=10,
                         wrapper=(emulator, *root),
                         is_port=True, brief_suites=brief)


CROSS = "--cross-file=tests/cross/"
WINE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "wine")

PORTS = (
    _emulated("aarch64", "aarch64-linux-gnu", "qemu-aarch64", "g++ aarch64",
              brief=COMMON_SUITES),
    _emulated("s390x", "s390x-linux-gnu", "qemu-s390x", "g++ s390x",
              brief=SWAPPED_SUITES),
    _emulated("riscv64", "riscv64-linux-gnu", "qemu-riscv64", "g++ riscv64"),
    _emulated("armv7", "arm-linux-gnueabihf", "qemu-arm", "g++ armhf"),
    # The same CPU's other instruction set, in which the same port is assembled.
    _emulated("armv7-arm", "arm-linux-gnueabihf", "qemu-arm", "g++ armhf", brief=("arch",),
              suites=("arch", "core")),
    _emulated("ppc64le", "powerpc64le-linux-gnu", "qemu-ppc64le", "g++ ppc64le"),
    # The rounding mode of qemu's default CPU cannot be set.
    _emulated("mips64", "mips64el-linux-gnuabi64", "qemu-mips64el", "g++ mips64el",
              cpu=("-cpu", "MIPS64R2-generic")),
    # An x86-64 machine runs these by itself.
    Configuration("i386", ("g++-12",), QUICK + (CROSS + "i386.ini",), ("g++ multilib",),
                  is_port=True, brief_suites=NARROW_SUITES),
    _emulated("i386-qemu", "i686-linux-gnu", "qemu-i386", "g++ i686", brief=("arch",),
              sysroot=False),
    # Nothing runs there yet but the switch. Wine runs the program without emulating anything.
    Configuration("windows", ("x86_64-w64-mingw32-g++-posix",),
                  RELEASE + (CROSS + "windows.ini",), ("g++ mingw", "wine", "wine64"),
                  suites=("support", "arch"), wrapper=(WINE,), slowdown=10, is_port=True,
                  brief_suites=("arch",)),
)
