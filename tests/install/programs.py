"""A stranger's program, compiled in the many ways that strangers have."""

import os
import re

from steps import BARE, GCC, SECTIONS, WARNINGS, attempt, command, prints, source

SAYS = "abab thrown cancelled same echo"

# How program.cpp is compiled, and with what it must do the same.
WAYS = {
    "C++20 without optimisation": ("-std=c++20", "-O0"),
    "C++23 with all optimisation": ("-std=c++2b", "-O3"),
    "linked statically": ("-std=c++20", "-O2", "-static"),
    "a static position-independent executable": ("-std=c++20", "-O2", "-static-pie", "-fPIE"),
    "unused sections left out": ("-std=c++20", "-O2", "-fvisibility=hidden", *SECTIONS),
}

# How bare.cpp ends the process: its argument, and what it then prints.
ENDINGS = {
    "spawn outside": "spawn is called outside of a fiber",
    "run inside": "run() is called inside a fiber",
    "no such worker": "fiber_options::worker is 9",
    "empty handle": "the handle is empty",
    "deadlock": "deadlock_error",
    "thrown at": '-fno-exceptions: fiber 2 "victim": from a library',
}


def add(cases, installed, folder, compiler):
    """Adds the cases of one compiler; programs are built in `folder`."""
    for way, flags in WAYS.items():
        name = f"{installed.name}: a program with {compiler}: {way}"
        cases.add(name, program, installed, folder, compiler, flags)
    for level in ("-O0", "-O2"):
        cases.add(f"{installed.name}: a program without exceptions with {compiler}: {level}",
                  bare, installed, folder, compiler, level)
    cases.add(f"{installed.name}: throwing forms are refused without exceptions by {compiler}",
              refused, installed, compiler)


def add_one(cases, installed, folder, compiler):
    """Adds the case of one program."""
    cases.add(f"{installed.name}: a program with {compiler}",
              program, installed, folder, compiler, ("-std=c++20", "-O1"))


def program(installed, folder, compiler, flags):
    """program.cpp compiles without a warning, runs, and keeps its stacks unexecutable."""
    output = os.path.join(folder, "-".join([installed.name, compiler, *flags]).replace("=", "-"))
    output = output.replace(",", "")
    command([compiler, *flags, *WARNINGS, source("program.cpp"), "-o", output,
             *installed.pkg_config()])
    problems = prints(output, SAYS)
    segments = command(["readelf", "-lW", output])
    stack = next((line for line in segments.splitlines() if "GNU_STACK" in line), "none")
    if not re.search(r" RW +0x", stack):
        problems.append(f"{output}: an executable stack: {stack.strip()}")
    if "-static" not in " ".join(flags):
        linked_boost = "libboost_context" in command(["readelf", "-dW", output])
        if linked_boost != (installed.name == "boost"):
            problems.append(f"{output}: Boost.Context is{'' if linked_boost else ' not'} linked")
    return problems


def bare(installed, folder, compiler, level):
    """bare.cpp runs as it should, beside a file that is compiled with exceptions, and what would
    have to throw at it ends the process instead.
    """
    output = os.path.join(folder, f"{installed.name}-bare-{compiler}{level}")
    flags = (compiler, "-std=c++20", level, *WARNINGS, f"-I{installed.include}")
    command([*flags, *BARE, "-c", source("bare.cpp"), "-o", output + ".o"])
    command([*flags, "-c", source("throwing.cpp"), "-o", output + "-throwing.o"])
    problems = []
    # Whichever comes first gives the templates that both have: none may be in the way.
    for objects in ((".o", "-throwing.o"), ("-throwing.o", ".o")):
        command([compiler, *(output + end for end in objects), "-o", output,
                 *installed.pkg_config()])
        problems += prints(output, "bare")
    for argument, words in ENDINGS.items():
        ended = attempt([output, argument])
        if ended.how() != "was ended by SIGABRT" or words not in ended.output:
            problems.append(f"{output} {argument!r} {ended.how()}: {ended.output}")
    return problems


def refused(installed, compiler):
    """Each marked line of refused.cpp is an error, and no other line is."""
    with open(source("refused.cpp"), encoding="utf-8") as file:
        marked = {number for number, line in enumerate(file, 1) if line.endswith("// refused\n")}
    limit = "-fmax-errors=0" if compiler == GCC else "-ferror-limit=0"
    said = attempt([compiler, "-std=c++20", *BARE, limit, "-fsyntax-only",
                    f"-I{installed.include}", source("refused.cpp")]).output
    found = {int(number)
             for number in re.findall(r"refused\.cpp:(\d+):.*error:.*unavailable", said)}
    errors = {int(number) for number in re.findall(r":(\d+):\d+: error:", said)}
    allowed = command([compiler, "-std=c++20", *WARNINGS, "-fsyntax-only",
                       f"-I{installed.include}", source("refused.cpp")])
    problems = [f"line {number}: {compiler} takes it" for number in sorted(marked - found)]
    problems += [f"line {number}: {compiler} refuses it" for number in sorted(errors - marked)]
    return problems + [allowed] * bool(allowed)


def add_lto(cases, installed, folder, compiler):
    """Adds the cases of programs that the linker optimises as a whole, archive included."""
    cases.add(f"{installed.name}: a program with {compiler}: optimised as a whole",
              program, installed, folder, compiler, ("-std=c++20", "-O3", "-flto=auto"))
    cases.add(f"{installed.name}: a program without exceptions with {compiler}: optimised as a "
              "whole", bare, installed, folder, compiler, "-flto=auto")
