"""What the tests need on a machine, how to see whether it is there, and how to get it."""

import glob
import os
import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """A Debian package, and signs of what it brings: commands (any one of them) or a file.

    Looking for the thing and not for the package also works where it came from elsewhere.
    """

    package: str
    commands: tuple = ()
    files: str = ""

    def met(self):
        """Whether the machine has it."""
        if self.commands and not any(shutil.which(command) for command in self.commands):
            return False
        return not self.files or bool(glob.glob(self.files))


NEEDS = {
    "g++": Need("g++", ("g++",)),
    "clang": Need("clang-14", ("clang++-14", "clang++")),
    "clang-19": Need("clang-19", ("clang++-19",)),
    "lld-19": Need("lld-19", ("ld.lld-19",)),
    "llvm-19": Need("llvm-19", ("llvm-objcopy-19",)),
    "libc++": Need("libc++-19-dev", files="/usr/lib/llvm-19/include/c++/v1/stop_token"),
    "libc++abi": Need("libc++abi-19-dev", files="/usr/lib/llvm-19/lib/libc++abi.so"),
    "clang-format": Need("clang-format-14", ("clang-format-14",)),
    "clang runtime": Need("libclang-rt-14-dev",
                          files="/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.tsan*"),
    "meson": Need("meson", ("meson",)),
    "ninja": Need("ninja-build", ("ninja",)),
    "pkg-config": Need("pkg-config", ("pkg-config", "pkgconf")),
    "readelf": Need("binutils", ("readelf",)),
    "doctest": Need("doctest-dev", files="/usr/include/doctest/doctest.h"),
    "boost": Need("libboost-context1.81-dev", files="/usr/include/boost/context/fiber.hpp"),
    "beast": Need("libboost1.81-dev", files="/usr/include/boost/beast/http.hpp"),
    "curl": Need("curl", ("curl",)),
    "wrk": Need("wrk", ("wrk",)),
    "cmake": Need("cmake", ("cmake",)),
    "gdb": Need("gdb", ("gdb",)),
    "gdb-multiarch": Need("gdb-multiarch", ("gdb-multiarch",)),
    "valgrind": Need("valgrind", ("valgrind",)),
    "qemu": Need("qemu-user", ("qemu-aarch64",)),
    "g++ aarch64": Need("g++-aarch64-linux-gnu", ("aarch64-linux-gnu-g++",)),
    "g++ riscv64": Need("g++-riscv64-linux-gnu", ("riscv64-linux-gnu-g++",)),
    "g++ armhf": Need("g++-arm-linux-gnueabihf", ("arm-linux-gnueabihf-g++",)),
    "g++ ppc64le": Need("g++-powerpc64le-linux-gnu", ("powerpc64le-linux-gnu-g++",)),
    "g++ s390x": Need("g++-s390x-linux-gnu", ("s390x-linux-gnu-g++",)),
    "g++ mips64el": Need("g++-mips64el-linux-gnuabi64", ("mips64el-linux-gnuabi64-g++",)),
    "g++ i686": Need("g++-i686-linux-gnu", ("i686-linux-gnu-g++",)),
    "g++ mingw": Need("g++-mingw-w64-x86-64-posix", ("x86_64-w64-mingw32-g++-posix",)),
    "wine": Need("wine", ("wine",)),
    "wine64": Need("wine64", files="/usr/lib/wine/wine64"),
    # Not g++-multilib, which takes the place of every cross compiler.
    "g++ multilib": Need("g++-12-multilib",
                         files="/usr/lib/gcc/x86_64-linux-gnu/12/32/libstdc++.a"),
}

# What every build needs.
BUILD = ("g++", "meson", "ninja", "pkg-config", "doctest")


def missing(needs):
    """The packages, sorted, that `needs` (names in NEEDS) name and the machine lacks."""
    return sorted({NEEDS[need].package for need in needs if not NEEDS[need].met()})


def provide(needs):
    """Installs what is missing, where that is allowed; returns whether all is there now.

    Where it is not allowed, prints the one line that a person has to paste.
    """
    packages = missing(needs)
    if not packages:
        return True
    update = "apt-get update"
    install = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"sudo {update} && sudo {install}  # what this machine lacks for these tests")
        return False
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (update, install):
        print(f"installing: {command}", flush=True)
        words = command.split()
        # Somebody else's apt-get may be at work.
        words[1:1] = ["-qq", "-o", "DPkg::Lock::Timeout=300"]
        result = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            print(result.stdout)
            print(f"failed: {command}")
            return False
    still = missing(needs)
    if still:
        print(f"installed, and yet not found: {' '.join(still)}")
    return not still
