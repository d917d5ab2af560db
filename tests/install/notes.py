"""What readelf says of a linked program is what is true of it."""

import os
import re

from steps import GCC, command, source


def add(cases, installed, folder):
    """Adds the cases."""
    cases.add(f"{installed.name}: no segment is writable and executable, and the notes are true",
              linked, installed, folder)
    cases.add(f"{installed.name}: the archive claims what all of its code honours, and no more",
              archive, installed, folder)


def linked(installed, folder):
    """A program claims no protection that one without heddle would not, and no odd segment."""
    problems = []
    flags = [GCC, "-std=c++20", "-O2", "-fcf-protection=full"]
    programs = {"with": [source("small.cpp"), *installed.pkg_config()],
                "without": [source("empty.cpp")]}
    claims = {}
    for name, words in programs.items():
        output = os.path.join(folder, f"notes-{installed.name}-{name}")
        command([*flags, *words, "-o", output])
        claims[name] = features(command(["readelf", "-nW", output]))
        for line in command(["readelf", "-lW", output]).splitlines():
            if re.search(r"^\s+\w+ .* RWE +0x", line):
                problems.append(f"{output}: a segment to be written and executed: {line.strip()}")
    # The switch exchanges no shadow stack.
    allowed = claims["without"] - {"SHSTK"}
    if not claims["with"] <= allowed:
        problems.append(f"a program with heddle claims {claims['with']}, not {allowed}")
    return problems


def archive(installed, folder):
    """Everything of the archive linked into one object, as a program of nothing else would be."""
    output = os.path.join(folder, f"notes-{installed.name}.o")
    command(["ld", "-r", "--whole-archive", installed.archive, "-o", output])
    said = command(["readelf", "-nW", output])
    claims = features(said)
    # Of the protections that the compiler can claim the switch honours the first only, and that
    # counts where the rest of the archive honours it too.
    true = {"IBT"} if "-fcf-protection=full" in " ".join(installed.options) else set()
    return [] if claims == true else [f"{installed.archive} claims {claims}, not {true}"]


def features(text):
    """The protections that notes claim."""
    found = re.search(r"x86 feature: ([\w, ]+)", text)
    return set(found[1].split(", ")) if found else set()
