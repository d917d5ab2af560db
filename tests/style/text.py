"""What holds for every text: columns, no unfinished business, formatting, names, top level."""

import re
import subprocess

from tree import SOURCE, Check, Plant

COLUMNS_MAX = 100
NAMED_SOURCES = ("meson.build", "meson_options.txt")

# Written in two halves, so that this file passes its own check.
MARKER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")

# What the top level may hold: the layout's own, and what tools expect to find there.
TOP_LEVEL = frozenset("""
runtime arch tests bench meson.build README.md
LICENSE CONTRIBUTING.md CHANGELOG.md SECURITY.md meson_options.txt
.ci .clang-format .clang-tidy .editorconfig .gitattributes .gitignore
""".split())

EXAMPLES = "tests/examples/"
COMPARED = EXAMPLES + "coming_from_test.cpp"
CPP_BLOCK = re.compile(r"^ *``` ?(?:cpp|c\+\+|cc|cxx)(?!\w)[^\n]*\n(.*?)^ *```", re.M | re.S | re.I)


def is_source(tree, path):
    """C++, assembly, Python, shell and meson, by name or by first line."""
    if path.endswith(SOURCE + (".py", ".sh")) or path.endswith(NAMED_SOURCES):
        return True
    return "." not in path.rpartition("/")[2] and tree.text(path).startswith("#!")


def columns(tree):
    """Lines that are too long."""
    return [f"{path}:{number}: {len(line)} columns; {COLUMNS_MAX} are the limit"
            for path in tree.each() if is_source(tree, path)
            for number, line in enumerate(tree.lines(path), 1) if len(line) > COLUMNS_MAX]


def markers(tree):
    """Notes of work left undone: finish it, or open an issue."""
    return [f"{path}:{number}: {match[0]}: finish it or leave it out"
            for path in tree.each()
            for number, line in enumerate(tree.lines(path), 1)
            for match in MARKER.finditer(line)]


def formatting(tree):
    """Files that clang-format would change."""
    paths = tree.each(".cpp", ".hpp", ".h")
    if not paths:
        return []
    result = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *paths], cwd=tree.root,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    first = {}
    for path, number in re.findall(r"^(.+?):(\d+):\d+: error: ", result.stdout, re.M):
        first.setdefault(path, number)
    if result.returncode != 0 and not first:
        return [result.stdout.strip()]
    return [f"{path}:{number}: would be changed from here on by clang-format-14 -i {path}"
            for path, number in first.items()]


def readme(tree):
    """Programs in README that no example is: what README shows is what the tests run."""
    built = tree.text(EXAMPLES + "meson.build")
    examples = {tree.text(path) for path in tree.files
                if path.startswith(EXAMPLES) and f"'{path[len(EXAMPLES):]}'" in built}
    problems = []
    for path in tree.each("README.md"):
        text = tree.text(path)
        for block in CPP_BLOCK.finditer(text):
            if "int main" in block[1] and block[1] not in examples:
                number = text.count("\n", 0, block.start()) + 1
                problems.append(f"{path}:{number}: this program is none that {EXAMPLES} builds")
    return problems


def comparisons(tree):
    """What README tells users of other libraries to write, and no test compiles."""
    if "README.md" not in tree.each("README.md"):
        return []
    text = tree.text(COMPARED) if COMPARED in tree.files else ""
    tested = re.sub(r"//.*|\s+", "", text)
    problems = []
    inside = False
    for number, line in enumerate(tree.lines("README.md"), 1):
        if line.startswith("#"):
            inside = line.startswith("## Coming from")
        cells = re.split(r"(?<!\\)\|", line)
        if inside and len(cells) > 3:
            problems += [f"README.md:{number}: {COMPARED} has no `{code}`"
                         for code in re.findall("`([^`]+)`", cells[-2])
                         if re.sub(r"\s+", "", code) not in tested]
    return problems


def named_cases(tree):
    """Cases that tests/README.md names and no test has."""
    page = "tests/README.md"
    if page not in tree.each(".md"):
        return []
    tests = "".join(tree.text(path) for path in sorted(tree.files) if path.startswith("tests/")
                    and (path.endswith(".cpp") or path.endswith("/check")))
    joined = re.sub(r'"\s*\n\s*"', "", tests)  # literals that go on in the next line
    return [f"{page}:{number}: no test is called “{name}”"
            for number, line in enumerate(tree.lines(page), 1)
            for name in re.findall("“([^”]+)”", line) if f'{name}"' not in joined]


def top_level(tree):
    """Files and folders that the layout has no place for."""
    entries = sorted({path.partition("/")[0] for path in tree.each()})
    return [f"{entry}: not part of the top level" for entry in entries if entry not in TOP_LEVEL]


PROGRAM = "int main() {\n    return 42;\n}\n"
SHOWN = f"```cpp\n{PROGRAM}```\n"
NEWCOMERS = "## Coming from C\n\n| there | here |\n|---|---|\n| `a \\| x` | %s |\n"
BUILT = (EXAMPLES + "meson.build", "executable('planted', 'planted.cpp')\n")
CHECKS = (
    Check("columns", columns, (
        Plant("tests/planted_script", "#!/bin/sh\n#" + "x" * (COLUMNS_MAX - 1) + "\n", False),
        Plant("tests/planted_script", "#!/bin/sh\n#" + "x" * COLUMNS_MAX + "\n"),
        Plant("arch/planted.S", "//" + "x" * COLUMNS_MAX + "\n"),
        Plant("tests/planted/meson.build", "#" + "x" * COLUMNS_MAX + "\n"),
        Plant("tests/planted.py", "#" + "ä" * COLUMNS_MAX + "\n"),
    )),
    Check("no unfinished business", markers, (
        Plant("runtime/planted.hpp", "// a method\n", False),
        Plant("runtime/planted.hpp", "// TO" + "DO: later\n"),
        Plant("tests/planted.md", "FIX" + "ME\n"),
    )),
    Check("formatting", formatting, (
        Plant("runtime/planted.cpp", "int f(int x) {\n    return x;\n}\n", False),
        Plant("runtime/planted.cpp", "int f(int x) { return\n   x; }\n"),
        Plant("arch/planted.h", "int  f();\n"),
    )),
    Check("README shows what the tests run", readme, (
        Plant("README.md", "```cpp\nint not_a_program();\n```\n", False),
        Plant("README.md", SHOWN, False, beside=((EXAMPLES + "planted.cpp", PROGRAM), BUILT)),
        Plant("README.md", SHOWN, beside=((EXAMPLES + "planted.cpp", PROGRAM + "\n"), BUILT)),
        Plant("README.md", SHOWN, beside=((EXAMPLES + "planted.cpp", PROGRAM),)),
        Plant("README.md", SHOWN.replace("cpp", " C++ title")),
        Plant("README.md", SHOWN),
    )),
    Check("what README tells newcomers to write compiles", comparisons, (
        Plant("README.md", NEWCOMERS % "`b( )` after", False, beside=((COMPARED, "{ b(); }"),)),
        Plant("README.md", NEWCOMERS % "`b()` after", beside=((COMPARED, "// b()\n"),)),
        Plant("README.md", NEWCOMERS % "x, `c()`", beside=((COMPARED, "b();\n"),)),
    )),
    Check("cases that are named exist", named_cases, (
        Plant("tests/README.md", "“of a planted case” it says\n", False,
              beside=(("tests/planted_test.cpp", 'TEST_CASE(\n    "of a "\n    "planted case")'),)),
        Plant("tests/README.md", "“a case that is planted” it says\n",
              beside=(("tests/planted_test.cpp", 'TEST_CASE("a case that was planted") {\n'),)),
    )),
    Check("top level", top_level, (
        Plant("tests/planted_text", "", False),
        Plant("planted.txt", ""),
        Plant("src/planted.cpp", ""),
    )),
)
