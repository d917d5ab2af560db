"""The machine: what it lacks, how to get it, which CPUs to use, and how to describe it."""

import glob
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """A Debian package, and a sign of what it brings: a command or a file.

    Looking for the thing and not for the package also finds it where it came from elsewhere.
    """

    package: str
    command: str = ""
    file: str = ""

    def met(self):
        return bool(shutil.which(self.command) if self.command else glob.glob(self.file))


NEEDS = (
    Need("g++", command="c++"),
    Need("meson", command="meson"),
    Need("ninja-build", command="ninja"),
    Need("pkg-config", command="pkg-config"),
    Need("libbenchmark-dev", file="/usr/include/benchmark/benchmark.h"),
    Need("libboost-context1.81-dev", file="/usr/lib/*/libboost_context.so"),
    Need("libboost-fiber1.81-dev", file="/usr/lib/*/libboost_fiber.so"),
    Need("libst-dev", file="/usr/include/st.h"),
    Need("golang-go", command="go"),
    Need("libuv1-dev", file="/usr/include/uv.h"),
    Need("libasio-dev", file="/usr/include/asio.hpp"),
    Need("strace", command="strace"),
)


def provide():
    """Installs what is missing, where that is allowed; returns whether all is here now.

    Where it is not allowed, prints the one line that a person has to paste.
    """
    missing = [need.package for need in NEEDS if not need.met()]
    if not missing:
        return True
    update = ["apt-get", "update"]
    # --no-remove: other versions of Boost would have to go, and that is not ours to decide.
    install = ["apt-get", "install", "-y", "--no-install-recommends", "--no-remove", *missing]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print("Missing, and only root on a Debian machine may install it. Paste this:")
        print(f"sudo {' '.join(update)} && sudo {' '.join(install)}")
        return False
    for command in (update, install):
        print("running:", *command, flush=True)
        result = subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode != 0:
            print(result.stdout)
            return False
    still = [need.package for need in NEEDS if not need.met()]
    if still:
        print("installed, and yet not found:", *still)
    return not still


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def output_of(*command, folder=None):
    try:
        return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False).stdout.strip()
    except OSError:
        return ""


def core_of(cpu):
    """The CPUs that are threads of one core with this one; they slow each other down."""
    return read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu)


def choose_cpus():
    """One CPU for the contender (the last, which interrupts visit least) and one for the load."""
    allowed = sorted(os.sched_getaffinity(0))
    contender = allowed[-1]
    others = [cpu for cpu in allowed if cpu != contender]
    apart = [cpu for cpu in others if core_of(cpu) != core_of(contender)]
    return contender, (apart or others or [contender])[0]


def memory_available_mib():
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def describe(root):
    """What the figures depend on, for the head of the results."""
    models = [line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines()
              if line.startswith("model name")]
    commit = output_of("git", "rev-parse", "--short=12", "HEAD", folder=root)
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no", folder=root)
    compiler = output_of(*os.environ.get("CXX", "c++").split(), "--version")
    return {
        "machine": f"{os.cpu_count()} x {models[0] if models else platform.machine()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": compiler.splitlines()[0] if compiler else "unknown",
        "commit": (commit or "unknown") + (" with changes" if changed else ""),
    }
