"""Builds a program out of C++ and assembly, and has an emulator run it."""

import os

from support import process

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
LIMIT_S = 300

# What keeps a compiler from counting on a library, its headers, or on start-up code.
BARE = ("-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-exceptions",
        "-fno-rtti", "-fno-stack-protector", "-fno-pie", "-no-pie", "-nostdlib", "-static",
        "-isystem", os.path.join(ROOT, "tests", "freestanding", "include"),
        "-I" + ROOT, "-I" + os.path.join(ROOT, "arch"))


def build(compiler, sources, program):
    """Compiles and links; returns what is wrong."""
    finished = process.run([*compiler, *BARE, *sources, "-o", program], dict(os.environ), LIMIT_S)
    if finished.status != 0 or finished.output:
        return [f"{os.path.basename(program)}: the compiler {finished.how()}", finished.output]
    return []


def run(emulator, program, expected=0):
    """Runs it; returns what is wrong unless it ends with the expected status, or -signal."""
    # In the folder of the program, which is thrown away: an emulator may leave a core there.
    finished = process.run([*emulator, program], dict(os.environ), LIMIT_S,
                           os.path.dirname(program))
    if finished.timed_out or finished.status != expected:
        return [f"{os.path.basename(program)} {finished.how()}, not as expected: {expected}",
                finished.output]
    return []


def edited(source, folder, name, *edits):
    """A copy of a source in which each `before` of the edits is replaced by its `after`."""
    with open(os.path.join(ROOT, source), encoding="utf-8") as original:
        text = original.read()
    for before, after in edits:
        if text.count(before) != 1:
            raise ValueError(f"{source} holds {text.count(before)} times {before!r}")
        text = text.replace(before, after)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as copy:
        copy.write(text)
    return path
