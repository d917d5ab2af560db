"""Configures and builds one configuration in a folder of its own, and finds its test programs."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field

from . import process

# The clang of the tests: the oldest that the library supports, or what there is.
CLANG = ("clang++-14", "clang++")

# A build that takes longer than this has hung.
BUILD_LIMIT_S = 1800


@dataclass(frozen=True)
class Program:
    """One program that the meson.build of a folder under tests/ registers with test()."""

    suite: str  # the folder
    name: str
    command: tuple
    targets: tuple  # what ninja builds for it, relative to the build folder
    environment: dict = field(hash=False)

    def is_compiled(self, folder):
        """Whether it came out of the build in `folder`; a script of the tree did not."""
        return self.command[0].startswith(folder + os.sep)

    @property
    def is_doctest(self):
        """By the naming rule of tests/meson.build; any other program is judged by its exit."""
        return os.path.basename(self.command[0]).removesuffix(".exe").endswith("_test")


@contextlib.contextmanager
def locked(folder, stopped=lambda: False):
    """Holds the build folder alone: two runs in one checkout take turns.

    Yields whether it does. It does not where `stopped`, a function, says that there is no use in
    waiting any more: a lock that is waited for in the kernel would hold this thread back.
    """
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with open(folder + ".lock", "w", encoding="utf-8") as lock:
        held = _try_lock(lock)
        if not held:
            print(f"waiting: somebody else is using {folder}", flush=True)
        while not held and not stopped():
            time.sleep(0.2)
            held = _try_lock(lock)
        yield held


def _try_lock(lock):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def find_compiler(candidates):
    """The first of `candidates` that is installed."""
    return next((name for name in candidates if shutil.which(name)), candidates[0])


def configure(root, folder, compiler, options):
    """Makes the build folder ready; returns the failed process, or None where all went well.

    A folder made with other options or another compiler is made anew; one that only lacks a
    meson.build which has appeared since is reconfigured, since ninja cannot notice that.
    """
    version = subprocess.run([compiler, "--version"], stdout=subprocess.PIPE, check=True).stdout
    with open(os.path.join(root, "meson_options.txt"), encoding="utf-8") as text:
        made_with = f"{compiler}\n{version.decode()}\n{options}\n{text.read()}"
    stamp = {"made with": made_with, "parts": sorted(_parts(root))}
    stamp_path = os.path.join(folder, "heddle-stamp.json")
    found = _load(stamp_path)
    if found == stamp:
        return None
    command = ["meson", "setup", folder, *options]
    if found and found["made with"] == made_with:
        command.insert(2, "--reconfigure")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    # Flags from outside would make the table of configurations untrue.
    outside = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in outside}
    # A cross file names its compiler itself.
    if not any(option.startswith("--cross-file") for option in options):
        environment["CXX"] = compiler
    finished = process.run(command, environment, BUILD_LIMIT_S, root)
    if finished.status != 0:
        return finished
    with open(stamp_path, "w", encoding="utf-8") as file:
        json.dump(stamp, file)
    return None


def _parts(root):
    """The folders with a meson.build. build/ is not entered, because Wine has a link to / there."""
    for folder, folders, names in os.walk(root):
        if folder == root:
            folders[:] = [name for name in folders if name != "build" and name[0] != "."]
        if "meson.build" in names:
            yield os.path.relpath(folder, root)


def ninja(folder, targets, jobs):
    """Builds `targets`; returns the finished process."""
    jobs_option = ["-j", str(jobs)] if jobs else []
    command = ["ninja", "-C", folder, "--quiet", "-k", "0", *jobs_option, *targets]
    # Where there is ccache, what another checkout has compiled serves here too: of a failing
    # assertion the debugger then shows the other's path.
    return process.run(command, {"CCACHE_NOHASHDIR": "1", **os.environ}, BUILD_LIMIT_S)


def is_built(folder, program):
    """Whether everything that a program consists of is up to date."""
    asked = process.run(["ninja", "-C", folder, "-n", *program.targets], dict(os.environ),
                        BUILD_LIMIT_S)
    return asked.status == 0 and "no work to do" in asked.output


def programs(root, folder):
    """The test programs of a configured folder, in the order in which they were registered."""
    outputs = {target["id"]: [os.path.relpath(name, folder) for name in target["filename"]]
               for target in _load(os.path.join(folder, "meson-info", "intro-targets.json"))}
    found = []
    for test in _load(os.path.join(folder, "meson-info", "intro-tests.json")):
        command = test["cmd"]
        base = folder if command[0].startswith(folder + os.sep) else root
        suite = os.path.relpath(command[0], base).split(os.sep)[1]
        targets = [name for target in test["depends"] for name in outputs[target]]
        found.append(Program(suite, test["name"], tuple(command), tuple(targets), test["env"]))
    return found


def _load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return None
