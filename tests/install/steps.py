"""What the checks of this folder have in common: commands, programs, and cases that run at once."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

from support import building, process  # noqa: E402

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wsign-conversion",
            "-Wold-style-cast", "-Wcast-qual", "-Wundef", "-Werror")
BARE = ("-fno-exceptions", "-fno-rtti")
SECTIONS = ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
LIMIT_S = 300  # of what hangs; on a busy machine a compiler may take a minute
BUILD_LIMIT_S = 600

GCC = "g++"
CLANG = building.find_compiler(building.CLANG)
NEW_CLANG = "clang++-19"
COMPILERS = (GCC, CLANG, NEW_CLANG)


class Failed(Exception):
    """A step that everything after it needs has failed."""


def attempt(words, limit_s=LIMIT_S, folder=None, **variables):
    """Runs a command to its end, whatever that is."""
    outside = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in outside}
    return process.run(words, {**environment, "LC_ALL": "C", **variables}, limit_s, folder)


def command(words, limit_s=LIMIT_S, folder=None, **variables):
    """Runs a command and returns what it printed; raises Failed where it does not succeed."""
    finished = attempt(words, limit_s, folder, **variables)
    if finished.status != 0:
        raise Failed(f"{' '.join(words)}: {finished.how()}\n{finished.output}")
    return finished.output


def source(name):
    """The path of a source in this folder."""
    return os.path.join(HERE, name)


def prints(program, wanted, *arguments):
    """Runs a program; a problem unless it succeeds and prints one line."""
    printed = command([program, *arguments])
    return [] if printed == wanted + "\n" else [f"{program} printed {printed!r}"]


def refused_to_link(words, *names):
    """Runs a compiler that must fail at linking, and name the symbols `names` to be undefined."""
    finished = attempt(words)
    if finished.status == 0:
        return [f"it linked, and should not: {' '.join(words)}"]
    return [f"the linker does not name {name}: {finished.output}" for name in names
            if not re.search(rf"undefined (?:reference to|symbol).*\b{name}\b", finished.output)]


def guarded(function, *arguments):
    """Makes a failed command a problem like any other."""
    def call():
        try:
            return function(*arguments)
        except (Failed, subprocess.SubprocessError, OSError) as error:
            return [str(error)]
    return call


class Cases:
    """Named cases that run at the same time, and are reported in the order of their names."""

    def __init__(self):
        self.all = []

    def add(self, name, function, *arguments):
        """A case: a function that returns problems, or raises Failed."""
        self.all.append((name, function, arguments))

    def run(self, writer):
        """Runs them all."""
        with ThreadPoolExecutor(max(2, os.cpu_count())) as pool:
            futures = [(name, pool.submit(guarded(function, *arguments)))
                       for name, function, arguments in self.all]
            for name, future in futures:
                writer.check(name, future.result)
