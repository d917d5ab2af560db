"""The machine: what it lacks, how to get it, which CPUs to use, and how to describe it."""

import glob
import itertools
import json
import os
import platform
import re
import shlex
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
    vital: bool = False  # without it nothing is built; without others a contender is missing

    def met(self):
        return bool(shutil.which(self.command) if self.command else glob.glob(self.file))


NEEDS = (
    Need("g++", command="c++", vital=True),
    Need("meson", command="meson", vital=True),
    Need("ninja-build", command="ninja", vital=True),
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
    """Installs what is missing, where that is allowed; returns whether a run is possible.

    Where it is not allowed, prints the one line that a person has to paste. Whom the machine still
    lacks, perhaps because its libraries have other versions or places, meson decides, and the run
    names those contenders as problems.
    """
    install_missing()
    still = [need for need in NEEDS if not need.met()]
    if still:
        print("not found:", *(need.package for need in still))
    return not any(need.vital for need in still)


def install_missing():
    missing = [need.package for need in NEEDS if not need.met()]
    if not missing:
        return
    update = ["apt-get", "update"]
    # --no-remove: other versions of Boost would have to go, and that is not ours to decide.
    install = ["apt-get", "install", "-y", "--no-install-recommends", "--no-remove", *missing]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print("Missing, and only root on a Debian machine may install it. Paste this:")
        print(f"sudo {' '.join(update)} && sudo {' '.join(install)}")
        return
    for command in (update, install):
        print("running:", *command, flush=True)
        result = subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode != 0:
            print(result.stdout)
            return


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def output_of(*command, folder=None, cpu=None):
    """What a command prints, on a certain CPU where that matters; nothing where there is none."""
    def pin():
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
    try:
        return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, preexec_fn=pin).stdout.strip()
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


def stolen_ticks(cpu):
    """Ticks of this CPU that its host gave to others, and all ticks, since the start (proc(5))."""
    for line in read("/proc/stat").splitlines():
        name, *ticks = line.split()
        if name == f"cpu{cpu}" and len(ticks) >= 8:
            # The last two are counted a second time in the first two.
            return int(ticks[7]), sum(map(int, ticks[:8]))
    return 0, 0


def group_room(folder, limit, used, cache):
    """Bytes that a group of processes may still take; None where it has no limit. `limit`, `used`
    are files, and `cache` is what the kernel gives back by itself, which is no use of memory."""
    most, now = read(f"{folder}/{limit}"), read(f"{folder}/{used}")
    if not most.isdigit() or not now.isdigit():
        return None
    spare = [int(line.split()[1]) for line in read(f"{folder}/memory.stat").splitlines()
             if line.split()[0] == cache]
    return max(0, int(most) - int(now) + sum(spare))


def memory_available_mib(root=""):
    """What the machine has left, or the groups that this process is in, whichever is less."""
    found = [int(line.split()[1]) * 1024 for line in read(f"{root}/proc/meminfo").splitlines()
             if line.startswith("MemAvailable:")]
    for line in read(f"{root}/proc/self/cgroup").splitlines():
        _, kinds, path = line.split(":", 2)
        if kinds not in ("", "memory"):
            continue
        top = f"{root}/sys/fs/cgroup" + ("/memory" if kinds else "")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file") \
            if kinds else ("memory.max", "memory.current", "inactive_file")
        # A group is bound by the limits of all groups around it.
        while True:
            room = group_room(top + path.rstrip("/"), *names)
            if room is not None:
                found.append(room)
            if path in ("/", ""):
                break
            path = os.path.dirname(path)
    return min(found, default=0) // 2 ** 20


def read_size(path):
    """Bytes, from `32K` or `1M`; 0 where there is no such file."""
    text = read(path)
    units = {"K": 2 ** 10, "M": 2 ** 20, "G": 2 ** 30}
    return int(text.rstrip("KMG") or 0) * units.get(text[-1:], 1)


# Where the processor does not tell: pages that the data TLBs of usual cores hold (64 and 1 536:
# Intel's from Skylake on; others have up to twice as many).
TLB_ASSUMED = {"tlb1": 64, "tlb2": 1536}


def is_virtual():
    """Whether this is a virtual machine, as far as the processor tells."""
    return any(line.startswith("flags") and "hypervisor" in line.split()
               for line in read("/proc/cpuinfo").splitlines())


def describe_memory(cpu, build):
    """How much the caches and TLBs of a CPU hold: what growth.py computes with. `build` is the
    folder of the programs."""
    caches = {}
    for folder in glob.glob(f"/sys/devices/system/cpu/cpu{cpu}/cache/index[0-9]*"):
        kind = read(f"{folder}/type")
        size = read_size(f"{folder}/size")
        if kind in ("Data", "Unified") and size:
            level = int(read(f"{folder}/level"))
            caches[level] = (f"L{level}{'d' if kind == 'Data' else ''}", size)
    told = output_of(os.path.join(build, "processor"), cpu=cpu)
    pages = json.loads(told) if told else TLB_ASSUMED
    return {"page": os.sysconf("SC_PAGE_SIZE"),
            "caches": [caches[level] for level in sorted(caches)],
            "tlb": [("first data TLB", int(pages["tlb1"])),
                    ("second data TLB", int(pages["tlb2"]))],
            "tlb_told": bool(told), "virtual": is_virtual()}


def describe_compiler(build):
    """The first line of what the compiler calls itself that the build folder is configured for;
    $CXX may have become another since."""
    try:
        commands = json.loads(read(os.path.join(build, "compile_commands.json")))
        words = shlex.split(commands[0]["command"])
    except (ValueError, LookupError, TypeError):
        return "unknown"
    compiler = list(itertools.takewhile(lambda word: not word.startswith("-"), words))
    return output_of(*compiler, "--version").partition("\n")[0] or "unknown"


def describe_libraries(build):
    """The versions of what the peers are built with, as far as they are known."""
    try:
        found = {one["name"]: one["version"] for one in json.loads(
            read(os.path.join(build, "meson-info", "intro-dependencies.json")))}
    except (ValueError, LookupError, TypeError):
        found = {}
    names = {"boost": "Boost", "st": "State Threads", "libuv": "libuv",
             "benchmark": "Google Benchmark"}
    known = [f"{name} {found[key]}" for key, name in names.items() if key in found]
    asio = re.search(r"ASIO_VERSION \d+ // (\S+)", read("/usr/include/asio/version.hpp"))
    known += [f"Asio {asio[1]}"] if asio else []
    go = re.search(r"go(\d\S*)", output_of("go", "version"))
    known += [f"Go {go[1]}"] if go else []
    return ", ".join(known) or "unknown"


def describe_huge_pages(text):
    """The mode in `always [madvise] never`."""
    mode = re.search(r"\[(\w+)\]", text)
    return mode[1] if mode else "unknown"


def describe(root, build):
    """What the figures depend on, for the head of the results; `build` is the folder that meson
    made."""
    models = [line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines()
              if line.startswith("model name")]
    commit = output_of("git", "rev-parse", "--short=12", "HEAD", folder=root)
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no", folder=root)
    return {
        "machine": f"{os.cpu_count()} x {models[0] if models else platform.machine()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": describe_compiler(build),
        "libraries": describe_libraries(build),
        "huge pages": describe_huge_pages(read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "commit": (commit or "unknown") + (" with changes" if changed else ""),
    }
