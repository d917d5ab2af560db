"""Who may include whom: the layers, read from the #include lines.

                 public headers   runtime/include/heddle
                       ^
    diag, sim ────> core ────> reactor/reactor.hpp ────> base ────> heddle/detail
                    ^  └────> arch/context.h
    io ─> task ─> sync

An arrow is a permission, at any distance in its direction; everything but base and arch may
include the public headers. Public headers include the standard library and each other, and what
says whether the process has one thread.
"""

import os
import re

from tree import SOURCE, Check, Plant

PUBLIC = "runtime/include/heddle/"
DETAIL = PUBLIC + "detail/"

# Beside its own folder, what a folder may include: prefixes of paths from the root.
BASE = ("runtime/base/", DETAIL)
REACTOR = BASE + (PUBLIC,)
CORE = REACTOR + ("runtime/reactor/reactor.hpp", "arch/context.h")
SYNC = CORE + ("runtime/core/",)
TASK = SYNC + ("runtime/sync/",)
MAY_INCLUDE = {
    PUBLIC: (PUBLIC,),
    "runtime/base/": BASE,
    "runtime/reactor/": REACTOR,
    "runtime/core/": CORE,
    "runtime/sync/": SYNC,
    "runtime/task/": TASK,
    "runtime/io/": TASK + ("runtime/task/",),
    "runtime/diag/": SYNC,
    "runtime/sim/": SYNC,
    "arch/": (),
    # What the examples' tests skip, under which tool, and which seed they use, they have to report.
    "tests/examples/": (PUBLIC, "tests/support/report.hpp", "runtime/base/sanitizer.hpp"),
}

INCLUDE = re.compile(r'\s*#\s*include\s*(?:<(?P<angle>[^>]+)>|"(?P<quote>[^"]+)"|(?P<other>.*))')

STANDARD = frozenset("""
algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono
cinttypes climits clocale cmath codecvt compare complex concepts condition_variable coroutine
csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype deque
exception execution filesystem format forward_list fstream functional future initializer_list
iomanip ios iosfwd iostream istream iterator latch limits list locale map memory memory_resource
mutex new numbers numeric optional ostream queue random ranges ratio regex scoped_allocator
semaphore set shared_mutex source_location span sstream stack stdexcept stop_token streambuf string
string_view strstream syncstream system_error thread tuple type_traits typeindex typeinfo
unordered_map unordered_set utility valarray variant vector version
""".split())

# One variable of glibc's, without which an uncontended lock would need an atomic instruction.
ONE_VARIABLE = {DETAIL + "atomics.hpp": "sys/single_threaded.h"}


def find(tree):
    """Reports every #include that goes against an arrow."""
    problems = []
    for path in tree.each(*SOURCE):
        home = next((folder for folder in MAY_INCLUDE if path.startswith(folder)), None)
        for number, line in enumerate(tree.lines(path), 1):
            match = INCLUDE.match(line)
            problem = match and home and judge(tree, path, home, match)
            if problem:
                problems.append(f"{path}:{number}: {problem}")
    return problems


def judge(tree, path, home, match):
    """What is wrong with one #include of a file under `home`; None where it is right."""
    if match["other"]:
        return "includes what only the preprocessor knows: name the file"
    name = match["angle"] or match["quote"]
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
    target = next((candidate for candidate in ("runtime/include/" + name, name, beside)
                   if candidate in tree.files), None)
    if target is None:
        if match["quote"]:
            return f'includes "{name}", which is not in the tree'
        if home == PUBLIC and name not in STANDARD and ONE_VARIABLE.get(path) != name:
            return f"a public header includes <{name}>, which is not the standard library's"
        return None
    if target.startswith((home,) + MAY_INCLUDE[home]):
        return None
    return f"{home} may not include {target}"


CHECK = Check("layers", find, (
    Plant("runtime/core/planted.cpp", '#include "runtime/reactor/reactor.hpp"\n', False),
    Plant("runtime/core/planted.cpp", '#include "arch/context.h"\n#include <sys/mman.h>\n', False),
    Plant("runtime/core/planted.hpp", '#include "arch/x86_64-sysv.h"\n'),
    Plant("runtime/base/planted.hpp", '#include "arch/context.h"\n'),
    Plant("runtime/base/planted.hpp", '#  include "runtime/core/planted.hpp"\n'),
    Plant("runtime/reactor/planted.hpp", '#include <arch/context.h>\n'),
    Plant("runtime/sync/planted.hpp", '#include "tests/support/report.hpp"\n'),
    Plant("runtime/include/heddle/planted.hpp", "#include <chrono>\n", False),
    Plant("runtime/include/heddle/planted.hpp", "#include <unistd.h>\n"),
    Plant("runtime/include/heddle/planted.hpp", "#include <sys/socket.h>\n"),
    Plant("runtime/include/heddle/planted.hpp", "#include <sys/single_threaded.h>\n"),
    Plant("runtime/include/heddle/planted.hpp", '#include "arch/context.h"\n'),
    Plant("runtime/include/heddle/detail/planted.hpp", "#include HEDDLE_CHOSEN\n"),
    Plant("tests/examples/planted.cpp", '#include "arch/context.h"\n'),
    Plant("tests/examples/planted.cpp", '#include "tests/support/in_fiber.hpp"\n'),
    Plant("tests/examples/planted.cpp", '#include "tests/support/report.hpp"\n', False),
    Plant("arch/planted.cpp", '#include "tests/support/report.hpp"\n'),
))
