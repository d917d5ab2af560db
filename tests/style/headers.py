"""Every header compiles alone; the public ones whatever warnings a user switches on, and also with
exceptions and run-time type information switched off.
"""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from support import building
from tree import Check, Plant

INCLUDE = "runtime/include/"
PUBLIC = INCLUDE + "heddle/"

BASIC = ("-fsyntax-only", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-x", "c++", "-")
STRICT = ("-Wpedantic", "-Wshadow", "-Wconversion") + BASIC
BARE = ("-fno-exceptions", "-fno-rtti") + STRICT


def find(tree):
    """Compiles each header as the only line of a program and reports the first error of each."""
    public = (("g++", *STRICT), ("g++", *BARE), (building.find_compiler(building.CLANG), *STRICT))
    jobs = []
    for path in tree.each(".hpp", ".h"):
        if path.startswith(PUBLIC):
            jobs += [(path, path[len(INCLUDE):], command) for command in public]
        elif path.startswith(("runtime/", "tests/support/")) or path == "arch/context.h":
            jobs.append((path, path, ("g++", "-I", tree.root, *BASIC)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [problem for problem in pool.map(lambda job: compile_alone(tree, *job), jobs)
                if problem]


def compile_alone(tree, path, name, command):
    """Compiles the one header; returns a problem or None."""
    command = [*command, "-I", tree.full(INCLUDE)]
    result = subprocess.run(command, input=f'#include "{name}"\n', text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode == 0:
        return None
    errors = [line for line in result.stdout.splitlines() if "error" in line]
    return f"{path}: {command[0]}: {errors[0] if errors else result.stdout.strip()}"


CHECK = Check("headers compile alone", find, (
    Plant(PUBLIC + "planted.hpp", "#pragma once\n#include <vector>\nstd::vector<int> f();\n",
          False),
    Plant(PUBLIC + "planted.hpp", "#pragma once\nstd::vector<int> f();\n"),
    Plant(PUBLIC + "planted.hpp", "#pragma once\ninline int f(long x) { return x; }\n"),
    Plant(PUBLIC + "planted.hpp", "inline int f(int x) { { int x = 1; ++x; } return x; }\n"),
    Plant(PUBLIC + "planted.hpp", "#pragma once\ninline void f() { throw 1; }\n"),
    Plant("runtime/base/planted.hpp", "#pragma once\nstd::size_t f();\n"),
))
